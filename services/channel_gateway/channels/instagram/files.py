"""A customer's file, from Meta's content hosts: the link itself opens it, so no token ever goes along."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from email.message import Message
from urllib.parse import unquote, urljoin, urlsplit

import aiohttp

from packages.core.domain.channels import Channel as Account
from packages.core.domain.messages import Attachment
from services.channel_gateway.channels import Download, FileUnavailable
from services.channel_gateway.graph import CONNECT_SECONDS, USER_AGENT

HOSTS = ("lookaside.fbsbx.com", "lookaside.instagram.com")
DOMAINS = (".cdninstagram.com", ".fbcdn.net", ".fbsbx.com")
_REDIRECTS = 5
_READ_SECONDS = 30.0
_PIECE = 64 * 1024


@asynccontextmanager
async def download(attachment: Attachment, account: Account, http: aiohttp.ClientSession) -> AsyncIterator[Download]:
    """A file on its way.

    Raises:
        FileUnavailable: on entering, or while the pieces come.
    """
    if not attachment.url:
        raise FileUnavailable("Instagram names no address of the file.")
    response = await _follow(attachment.url, account, http)
    async with response:
        if response.status != 200:
            later = response.status in {408, 429} or response.status >= 500
            gone = "The link has expired." if response.status in {401, 403, 404, 410} else "Instagram does not give it."
            raise FileUnavailable(f"{gone} (status {response.status})", retryable=later)
        yield Download(
            chunks=_pieces(response),
            media_type=attachment.media_type or response.content_type,
            filename=attachment.filename or _filename(response.headers.get("Content-Disposition", "")),
            size=response.content_length,
        )


async def _follow(url: str, account: Account, http: aiohttp.ClientSession) -> aiohttp.ClientResponse:
    """The first answer that is no redirect; every hop's host is checked."""
    timeout = aiohttp.ClientTimeout(None, sock_connect=CONNECT_SECONDS, sock_read=_READ_SECONDS)
    for _ in range(_REDIRECTS):
        if not allowed(url, account):
            raise FileUnavailable("The file does not lie with Instagram.")
        try:
            response = await http.get(url, timeout=timeout, allow_redirects=False, headers={"User-Agent": USER_AGENT})
        except aiohttp.InvalidURL:
            raise FileUnavailable("The file's address is none.") from None
        except (aiohttp.ClientError, TimeoutError, OSError):
            raise FileUnavailable("Instagram's files cannot be reached.", retryable=True) from None
        target = response.headers.get("Location")
        if response.status not in {301, 302, 303, 307, 308} or not target:
            return response
        response.release()
        url = urljoin(url, target)
    raise FileUnavailable("The file's address leads round in circles.")


def allowed(url: str, account: Account) -> bool:
    """Whether a file lies with Meta's content hosts, or on that of `settings.api_base`."""
    try:
        parts = urlsplit(url)
        base = urlsplit(str(account.settings.get("api_base") or ""))
        name = (parts.hostname or "").lower()
        own = (base.scheme, base.hostname, base.port) == (parts.scheme, parts.hostname, parts.port)
        if own and base.hostname:
            return True
        return parts.scheme == "https" and parts.port in {None, 443} and (name in HOSTS or name.endswith(DOMAINS))
    except ValueError:  # not an address at all
        return False


def _filename(disposition: str) -> str | None:
    """The name in a Content-Disposition header."""
    header = Message()
    header["Content-Disposition"] = disposition
    name = header.get_filename()
    return unquote(name).rpartition("/")[2] or None if name else None


async def _pieces(response: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    try:
        async for piece in response.content.iter_chunked(_PIECE):
            yield piece
    except (aiohttp.ClientError, TimeoutError, OSError):
        raise FileUnavailable("The file broke off on its way.", retryable=True) from None
