"""Customers' files: asked for at Twilio's API with credentials, fetched from its CDN without."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
from yarl import URL

from packages.core.domain.channels import Channel as Account
from packages.core.domain.messages import Attachment
from services.channel_gateway.channels import Download, FileUnavailable
from services.channel_gateway.channels.twilio.account import api_base, credentials

_API_HOST = re.compile(r"api(\.[a-z0-9-]+){0,2}\.twilio\.com")
_CDN_HOST = re.compile(r"([a-z0-9-]+\.)*(twiliocdn|twilio)\.com")
_OLD_CDN = ("s3-external-1.amazonaws.com", "/media.twiliocdn.com/")
_HOPS = 4
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_LIMIT = aiohttp.ClientTimeout(total=None, connect=5, sock_read=30)
_CHUNK = 64 * 1024


@asynccontextmanager
async def download(attachment: Attachment, account: Account, http: aiohttp.ClientSession) -> AsyncIterator[Download]:
    """Open a file; each hop's host is checked, and only the API itself sees the credentials.

    Raises:
        FileUnavailable: Twilio does not give it, or it lies elsewhere.
    """
    base = _url(api_base(account) or "")
    url = _start(_url(attachment.url or ""), base)
    for _ in range(_HOPS):
        async with await _ask(url, account, base, http) as response:
            if response.status in _REDIRECTS and (target := response.headers.get("Location")):
                url = url.join(_url(target))
                continue
            _check(response.status)
            yield Download(
                chunks=response.content.iter_chunked(_CHUNK),
                media_type=attachment.media_type or response.headers.get("Content-Type"),
                filename=attachment.filename,
                size=response.content_length,
            )
            return
    raise FileUnavailable("Twilio redirects without end.")


def _url(text: str) -> URL:
    try:
        return URL(text, encoded=True)
    except ValueError as error:
        raise FileUnavailable("The file's address cannot be read.") from error


def _start(url: URL, base: URL) -> URL:
    """The address at the API; where another host plays the API, at that."""
    if base.host and _is_twilio(url, _API_HOST):
        return base.origin().with_path(url.path, encoded=True)
    return url


async def _ask(url: URL, account: Account, base: URL, http: aiohttp.ClientSession) -> aiohttp.ClientResponse:
    headers = {}
    if _is_api(url, base):
        opened = credentials(account)
        username = opened.api_key_sid or opened.account_sid
        secret = opened.api_key_secret if opened.api_key_sid else opened.auth_token
        headers["Authorization"] = aiohttp.encode_basic_auth(username, secret.get_secret_value())
    elif not _is_cdn(url, base):
        raise FileUnavailable("The file does not lie with Twilio, so it is not fetched.")
    try:
        return await http.get(url, headers=headers, timeout=_LIMIT, allow_redirects=False)
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        why = f"Twilio does not give the file: {type(error).__name__}"
        raise FileUnavailable(why, retryable=True) from error


def _check(status: int) -> None:
    if status == 200:
        return
    if status == 404:
        raise FileUnavailable("Twilio does not have the file any more.")
    retryable = status >= 500 or status in {408, 425, 429}
    raise FileUnavailable(f"Twilio does not give the file: status {status}.", retryable=retryable)


def _is_api(url: URL, base: URL) -> bool:
    if base.host:
        return _origin(url) == _origin(base) and url.path.startswith("/2010-04-01/")
    return _is_twilio(url, _API_HOST)


def _is_cdn(url: URL, base: URL) -> bool:
    if base.host:
        return _origin(url) == _origin(base)
    if _is_twilio(url, _CDN_HOST):
        return True
    return _origin(url) == ("https", _OLD_CDN[0], 443) and url.path.startswith(_OLD_CDN[1])


def _is_twilio(url: URL, host: re.Pattern[str]) -> bool:
    scheme, name, port = _origin(url)
    return scheme == "https" and port == 443 and url.user is None and bool(host.fullmatch(name))


def _origin(url: URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host or "", url.port
