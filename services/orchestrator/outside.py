"""The way out to addresses that tenants name: public ones only, signed, with limits on time, size and redirects.

The address is checked at the socket, so that neither a name server nor a redirect can lead into the operator's own
network between the check and the connection.
"""

import asyncio
import errno
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from typing import Any
from urllib.parse import urljoin, urlsplit

import aiohttp
import msgspec
from yarl import URL

from packages.core import egress
from packages.core.crypto import hmac_sha256

SIGNATURE = "X-Parley-Signature"
IDEMPOTENCY = "Idempotency-Key"
SIGNING_SECRET = "signing_secret"  # noqa: S105 - its name among an action's sealed values
CONNECTIONS = 128
MOST_REDIRECTS = 3
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_SECRET_HEADERS = frozenset({"authorization", "cookie", "x-api-key", SIGNATURE.lower()})


class OutsideFailed(Exception):
    """No usable answer. `reason` is one word for records; `is_certain`: the request surely had no effect there.

    bad_url, forbidden_address, unreachable, timeout, too_large, too_many_redirects, broken.
    """

    def __init__(self, reason: str, message: str, *, is_certain: bool = False) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.is_certain = is_certain


class _Forbidden(OSError):
    """The host is inside somebody's network."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """A whole answer, whatever its status; header names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def media_type(self) -> str:
        """Without parameters, in lower case."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A request to send. `body` is sent as JSON; `secret` signs it; header values are never logged.

    `is_whole` says of a body so far that the rest need not be waited for, as in a stream of events.
    """

    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: Any = None
    secret: str | None = field(default=None, repr=False)
    seconds: float = 5.0
    max_bytes: int = 256 * 1024
    is_whole: Callable[[bytes], bool] | None = None


def signature(secret: str, method: str, url: str, body: bytes, at: int) -> str:
    """`t=<unix time>,v1=<HMAC-SHA256 in hexadecimal>` over time, method, path with query, and body, one per line.

    The receiver computes the same with its copy of the secret, and refuses times that lie minutes back.
    """
    parts = urlsplit(url)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    signed = f"{at}\n{method.upper()}\n{target}\n".encode() + body
    return f"t={at},v1={hmac_sha256(secret.encode(), signed)}"


class Outside:
    """One process's guarded client; safe to share between tasks.

    Args:
        allowed_networks: private networks that the operator lets through, such as `127.0.0.0/8`.

    Raises:
        ValueError: one of them is no network.
    """

    def __init__(self, allowed_networks: Sequence[str] = ()) -> None:
        self._networks = [ip_network(network) for network in allowed_networks]
        self._session: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()

    async def send(self, call: Call) -> Answered:
        """The answer to a request; redirects of reads are followed, each checked anew, secrets left behind.

        Raises:
            OutsideFailed: there is none, or none within the limits.
        """
        try:
            async with asyncio.timeout(call.seconds):
                return await self._follow(call)
        except TimeoutError as error:
            raise OutsideFailed("timeout", f"No answer within {call.seconds:g} seconds.") from error
        except aiohttp.ClientConnectorError as error:
            if _is_forbidden(error):
                message = "The address is not on the public internet."
                raise OutsideFailed("forbidden_address", message, is_certain=True) from error
            raise OutsideFailed("unreachable", "The server cannot be reached.", is_certain=True) from error
        except (aiohttp.ClientError, OSError) as error:
            raise OutsideFailed("broken", f"The connection broke off ({type(error).__name__}).") from error

    async def _follow(self, call: Call) -> Answered:
        url, origin = call.url, _origin(checked_url(call.url))
        for _ in range(MOST_REDIRECTS + 1):
            answered = await self._once(call, url, same_origin=_origin(url) == origin)
            location = answered.headers.get("location")
            if answered.status not in _REDIRECTS or not location or call.method.upper() != "GET":
                return answered
            url = checked_url(urljoin(url, location))
        raise OutsideFailed("too_many_redirects", "The address redirects too often.")

    async def _once(self, call: Call, url: str, *, same_origin: bool) -> Answered:
        data = b"" if call.body is None else msgspec.json.encode(call.body)
        headers = {"User-Agent": "Parley/1.0 (actions)", "Accept": "application/json", "Accept-Encoding": "identity"}
        headers |= {k: v for k, v in call.headers.items() if same_origin or k.lower() not in _SECRET_HEADERS}
        if call.body is not None:
            headers["Content-Type"] = "application/json"
        if call.secret and same_origin:
            headers[SIGNATURE] = signature(call.secret, call.method, url, data, int(time.time()))
        session = self._opened()
        # sent as it was signed: not normalised on the way
        async with session.request(
            call.method, URL(url, encoded=True), headers=headers, data=data or None, allow_redirects=False
        ) as response:
            body = await _read(response, call)
            return Answered(
                status=response.status, headers={k.lower(): v for k, v in response.headers.items()}, body=body
            )

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            connector = aiohttp.TCPConnector(limit=CONNECTIONS, socket_factory=self._socket)
            self._session = aiohttp.ClientSession(
                connector=connector, cookie_jar=aiohttp.DummyCookieJar(), requote_redirect_url=False
            )
        return self._session

    def _socket(self, info: Any) -> socket.socket:
        family, kind, protocol, _, destination = info
        address = str(destination[0])
        if not egress.is_public(address) and not any(ip_address(address) in network for network in self._networks):
            raise _Forbidden(errno.EACCES, f"{address} is not public")
        return socket.socket(family, kind, protocol)


def checked_url(url: str) -> str:
    """The URL, if it is a plain http(s) one.

    Raises:
        OutsideFailed: it is not.
    """
    try:
        parts = urlsplit(url)
        is_plain = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.username is None
    except ValueError:
        is_plain = False
    if not is_plain or any(character.isspace() for character in url):
        message = "Only http:// and https:// addresses without a user name can be called."
        raise OutsideFailed("bad_url", message, is_certain=True)
    return url


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port


def _is_forbidden(error: aiohttp.ClientConnectorError) -> bool:
    return isinstance(error.os_error, _Forbidden) or error.os_error.errno == errno.EACCES


async def _read(response: aiohttp.ClientResponse, call: Call) -> bytes:
    """The body as long as it stays within the limit; a false Content-Length does not help a server."""
    data = bytearray()
    async for part in response.content.iter_chunked(64 * 1024):
        data += part
        if len(data) > call.max_bytes:
            raise OutsideFailed("too_large", f"The answer is larger than {call.max_bytes // 1024} KiB.")
        if call.is_whole is not None and call.is_whole(bytes(data)):
            response.close()
            break
    return bytes(data)
