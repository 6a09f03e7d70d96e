"""Download a source from the web, on a tenant's word: public addresses only, with limits on time, size and redirects.

The address that was checked is the address connected to, and every redirect is checked anew; otherwise a name server
or a redirect of the tenant's choice would lead into the operator's own network.
"""

import asyncio
from dataclasses import dataclass
from pathlib import PurePosixPath
from urllib.parse import unquote

import httpx

from packages.core import egress
from services.ingestion_worker.settings import FetchSettings

_RETRYABLE = frozenset({408, 425, 429, 500, 502, 503, 504})
_HEADERS = {
    "User-Agent": "Parley/1.0 (knowledge ingestion)",
    "Accept": "text/html,application/pdf,text/markdown,text/plain;q=0.9,*/*;q=0.5",
    "Accept-Encoding": "gzip, deflate",
}


class FetchFailed(Exception):
    """The source could not be downloaded. The message is for the tenant's admin."""

    def __init__(self, code: str, message: str, *, retryable: bool) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.retryable = retryable


@dataclass(frozen=True, slots=True)
class Fetched:
    """A download: its bytes, its media type without parameters, and its file name where the address has one.

    `url` is the address after redirects. `etag` and `last_modified` are the server's, to ask with the next time; if
    nothing has changed since then `not_modified` is true and there are no bytes. `robots` is what the server says to
    search engines in X-Robots-Tag.
    """

    data: bytes
    media_type: str
    filename: str | None
    url: str = ""
    etag: str | None = None
    last_modified: str | None = None
    not_modified: bool = False
    robots: str = ""


async def fetch(
    url: str, settings: FetchSettings, *, etag: str | None = None, last_modified: str | None = None
) -> Fetched:
    """Download one page or file; only if it has changed, where `etag` or `last_modified` of the last time are given.

    Raises:
        FetchFailed: refused, too large, too slow, or an answer other than 200; `retryable` says whether it may pass.
    """
    transport = PublicTransport(settings.allowed_hosts)
    try:
        async with (
            asyncio.timeout(settings.total_seconds),
            httpx.AsyncClient(transport=transport, timeout=10, headers=_HEADERS, trust_env=False) as client,
        ):
            return await _follow(client, _checked(url), settings, _conditions(etag, last_modified))
    except TimeoutError as error:
        raise FetchFailed(
            "fetch_timeout", f"The page did not arrive within {settings.total_seconds:g} seconds.", retryable=True
        ) from error
    except egress.ForbiddenAddress as error:
        raise FetchFailed(
            "forbidden_address",
            f"{error} Only public addresses can be fetched; upload the file instead.",
            retryable=False,
        ) from error
    except egress.UnknownHost as error:
        raise FetchFailed("unknown_host", f"{error} Check the address.", retryable=True) from error
    except httpx.HTTPError as error:
        reason = str(error) or type(error).__name__
        raise FetchFailed("fetch_failed", f"The page cannot be downloaded: {reason}", retryable=True) from error


class PublicTransport(httpx.AsyncBaseTransport):
    """Connects to the checked address of a host, and speaks to it (Host header, TLS name) by the host's name."""

    def __init__(self, allowed_hosts: frozenset[str]) -> None:
        self._allowed_hosts = allowed_hosts
        # No connection is kept: one kept for an address could be reused for another host on that address.
        self._inner = httpx.AsyncHTTPTransport(trust_env=False, limits=httpx.Limits(max_keepalive_connections=0))

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Resolve, check, connect."""
        host = request.url.host
        port = request.url.port or (443 if request.url.scheme == "https" else 80)
        address = await egress.resolve(host, port, allowed_hosts=self._allowed_hosts)
        return await self._inner.handle_async_request(
            httpx.Request(
                request.method,
                request.url.copy_with(host=address),
                headers=request.headers,
                stream=request.stream,
                extensions={**request.extensions, "sni_hostname": host},
            )
        )

    async def aclose(self) -> None:
        """Close what is open."""
        await self._inner.aclose()


def _conditions(etag: str | None, last_modified: str | None) -> dict[str, str]:
    asked = {"If-None-Match": etag, "If-Modified-Since": last_modified}
    return {name: value for name, value in asked.items() if value}


async def _follow(
    client: httpx.AsyncClient, url: httpx.URL, settings: FetchSettings, conditions: dict[str, str]
) -> Fetched:
    for _ in range(settings.max_redirects + 1):
        async with client.stream("GET", url, follow_redirects=False, headers=conditions) as response:
            if response.has_redirect_location:
                url = _checked(str(url.join(response.headers["Location"])))
                continue
            not_modified = bool(conditions) and response.status_code == httpx.codes.NOT_MODIFIED
            if not not_modified:
                _check_status(response.status_code)
            data = b"" if not_modified else await _read(response, settings.max_bytes)
        media_type = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        return Fetched(
            data,
            media_type or "application/octet-stream",
            _filename(url),
            url=str(url),
            etag=response.headers.get("ETag"),
            last_modified=response.headers.get("Last-Modified"),
            not_modified=not_modified,
            robots=response.headers.get("X-Robots-Tag", "").lower(),
        )
    raise FetchFailed(
        "too_many_redirects", "The address redirects too often; enter its final address.", retryable=False
    )


def _checked(url: str) -> httpx.URL:
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise FetchFailed("bad_url", f"The address is malformed: {error}", retryable=False) from error
    if parsed.scheme not in {"http", "https"} or not parsed.host or parsed.userinfo:
        raise FetchFailed(
            "bad_url", "Only http:// and https:// addresses without a user name can be fetched.", retryable=False
        )
    return parsed


def _check_status(status: int) -> None:
    if status == httpx.codes.OK:
        return
    if status in {401, 403}:
        message = f"The server refuses to show this page ({status}). Make it public, or upload the file instead."
    elif status in {404, 410}:
        message = f"There is no page at this address ({status}). Check the address."
    else:
        message = f"The server answered with status {status}."
    raise FetchFailed(f"http_{status}", message, retryable=status in _RETRYABLE)


async def _read(response: httpx.Response, max_bytes: int) -> bytes:
    """The body, decompressed, as long as it stays within the limit; a false Content-Length does not help a server."""
    too_large = FetchFailed(
        "too_large", f"The page is larger than {max_bytes // 1024} KiB. Divide it into smaller ones.", retryable=False
    )
    if int(response.headers.get("Content-Length", "0")) > max_bytes:
        raise too_large
    if response.headers.get("Content-Encoding", "identity").lower() not in {"identity", "gzip", "deflate"}:
        raise FetchFailed(
            "bad_encoding", "The server compresses the page in a way that was not asked for.", retryable=False
        )
    data = bytearray()
    async for part in response.aiter_bytes():
        data += part
        if len(data) > max_bytes:
            raise too_large
    return bytes(data)


def _filename(url: httpx.URL) -> str | None:
    name = PurePosixPath(unquote(url.path)).name
    return name[:500] or None
