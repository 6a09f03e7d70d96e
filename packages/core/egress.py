"""Where a request may go that a tenant's word sends out: to public addresses only.

The caller connects to the very address that was checked. Checking a name and connecting to it later would resolve it
twice, and a hostile name server answers differently the second time.
"""

import asyncio
import socket
from collections.abc import Container
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address

RESOLVE_SECONDS = 5.0
_NAT64 = IPv6Network("64:ff9b::/96")


class ForbiddenAddress(Exception):
    """The host is, or resolves to, an address inside somebody's network."""


class UnknownHost(Exception):
    """The host's name does not resolve, at least not now."""


async def resolve(host: str, port: int, *, allowed_hosts: Container[str] = ()) -> str:
    """The IP address to connect to for a host name or a literal address.

    Args:
        allowed_hosts: hosts that the operator lets through although their addresses are private.

    Raises:
        ForbiddenAddress: one of the host's addresses is not public; all must be, since any may be connected to.
        UnknownHost: the name does not resolve in time.
    """
    try:
        async with asyncio.timeout(RESOLVE_SECONDS):
            rows = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError, TimeoutError) as error:
        raise UnknownHost(f"The host {host} cannot be resolved.") from error
    addresses = [str(row[4][0]) for row in rows]
    if host not in allowed_hosts and not all(is_public(address) for address in addresses):
        raise ForbiddenAddress(f"The host {host} is not on the public internet.")
    return addresses[0]


def is_public(address: str) -> bool:
    """Whether a literal IP address is reachable from the whole internet; an IPv4 address inside an IPv6 one counts."""
    parsed = ip_address(address.partition("%")[0])
    inner = _embedded(parsed) if isinstance(parsed, IPv6Address) else None
    if inner is not None:
        return is_public(str(inner))
    return parsed.is_global and not (parsed.is_multicast or parsed.is_reserved or parsed.is_unspecified)


def _embedded(address: IPv6Address) -> IPv4Address | None:
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else None)
