"""The way out to the platforms: a tenant names the host (`settings.api_base`), so its address is checked at the socket.

Checking there leaves no gap between the check and the connection, and covers redirects and literal addresses too.
"""

import errno
import socket
from collections.abc import Sequence
from ipaddress import ip_address, ip_network
from typing import Any

import aiohttp

from packages.core import egress

CONNECTIONS = 512


class ForbiddenAddress(OSError):
    """The platform's host is inside somebody's network."""


def session(allowed_networks: Sequence[str]) -> aiohttp.ClientSession:
    """A client that connects to public addresses only, and to the networks that the operator allows.

    Args:
        allowed_networks: such as `127.0.0.0/8`, for a simulator or a proxy.

    Raises:
        ValueError: one of them is no network.
    """
    networks = [ip_network(network) for network in allowed_networks]

    def open_socket(info: Any) -> socket.socket:
        family, kind, protocol, _, destination = info
        address = str(destination[0])
        if not egress.is_public(address) and not any(ip_address(address) in network for network in networks):
            why = f"{address} is not public, and PARLEY_DELIVERY__ALLOWED_NETWORKS does not name it"
            raise ForbiddenAddress(errno.EACCES, why)
        return socket.socket(family, kind, protocol)

    connector = aiohttp.TCPConnector(limit=CONNECTIONS, socket_factory=open_socket)
    return aiohttp.ClientSession(connector=connector)
