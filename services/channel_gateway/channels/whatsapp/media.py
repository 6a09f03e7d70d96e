"""WhatsApp's files: ours go up before a message names them, a customer's come down by their id.

After Meta's "Media" page: an id is good for 7 days, the URL behind it for 5 minutes, and both need the token.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urljoin, urlsplit

import aiohttp

from packages.core.domain.messages import Attachment
from services.channel_gateway import graph
from services.channel_gateway.channels import Download, File, FileUnavailable
from services.channel_gateway.channels.whatsapp.errors import meaning
from services.channel_gateway.channels.whatsapp.number import TIMEOUT_SECONDS, Number
from services.channel_gateway.graph import GraphAnswer

UPLOAD_LIMIT = 16 * 1024 * 1024
"""Larger files go by link: the platform fetches them itself, which may take longer than a send."""

_BYTES_PER_SECOND = 1024 * 1024
_SILENCE_SECONDS = 30.0
_CHUNK = 64 * 1024
_MOST_HOPS = 3
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_FILE_HOST = "lookaside.fbsbx.com"
_STORES = (".fbsbx.com", ".fbcdn.net", ".whatsapp.net")


async def upload(number: Number, file: File) -> GraphAnswer:
    """Put a file where messages can name it; the answer holds its `id`, good for 30 days."""
    form = aiohttp.FormData()
    form.add_field("messaging_product", "whatsapp")
    form.add_field("type", file.media_type)
    form.add_field("file", await file.read(), filename=file.filename or "file", content_type=file.media_type)
    seconds = TIMEOUT_SECONDS + file.size / _BYTES_PER_SECOND
    return await number.call("POST", f"{number.id}/media", form=form, seconds=seconds)


@asynccontextmanager
async def download(number: Number, attachment: Attachment) -> AsyncIterator[Download]:
    """A customer's file.

    Raises:
        FileUnavailable: the platform does not give it, or it lies elsewhere.
    """
    if not attachment.external_id:
        raise FileUnavailable("WhatsApp gave no id of the file.")
    described = await _look_up(number, attachment.external_id)
    response = await _open(number, str(described.get("url") or ""))
    if response.status == 404:  # the URL has expired in the meantime; a new one is as good as the id
        response.close()
        described = await _look_up(number, attachment.external_id)
        response = await _open(number, str(described.get("url") or ""))
    async with response:
        if response.status != 200:
            raise _refusal(response.status)
        yield Download(
            chunks=_chunks(response),
            media_type=_text(described.get("mime_type")) or response.headers.get("Content-Type"),
            filename=attachment.filename,
            size=_size(described.get("file_size")) or response.content_length,
        )


async def _look_up(number: Number, media_id: str) -> dict[str, object]:
    answer = await number.call("GET", media_id, params={"phone_number_id": number.id})
    if answer.ok:
        return answer.object()
    if answer.error:
        known = meaning(answer.error.code)
        reason = known.text or f"WhatsApp does not give the file: {answer.error.text}"
        # 100 (no such object): deleted, or older than the 7 days.
        raise FileUnavailable(reason, retryable=known.outcome == "retry" or known.account_down)
    raise FileUnavailable(answer.reason, retryable=answer.lost is not None or answer.temporary)


async def _open(number: Number, url: str) -> aiohttp.ClientResponse:
    """The first answer that is no redirect. The token goes to the platform's API and file host alone."""
    timeout = aiohttp.ClientTimeout(total=None, connect=graph.CONNECT_SECONDS, sock_read=_SILENCE_SECONDS)
    for _ in range(_MOST_HOPS):
        headers = {"User-Agent": graph.USER_AGENT}
        if _trusted(number, url):
            headers["Authorization"] = f"Bearer {number.token}"
        elif not _is_store(url):
            raise FileUnavailable(f"The file lies at {_origin(url)[1] or 'no host'}, which is not WhatsApp's.")
        try:
            response = await number.http.get(url, headers=headers, timeout=timeout, allow_redirects=False)
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            reason = f"The file's host does not answer: {error or type(error).__name__}"
            raise FileUnavailable(reason, retryable=True) from error
        if response.status not in _REDIRECTS:
            return response
        url = urljoin(url, response.headers.get("Location", ""))
        response.close()
    raise FileUnavailable("The file's host redirects without end.", retryable=True)


def _trusted(number: Number, url: str) -> bool:
    """Whether a URL is the API's own (of `api_base`, where that is set) or the file host's."""
    api = _origin(str(number.account.settings.get("api_base") or graph.HOST))
    return _origin(url) in {api, ("https", _FILE_HOST, 443)}


def _is_store(url: str) -> bool:
    """Whether a URL is one of the platform's stores, which take no token."""
    scheme, host, port = _origin(url)
    return scheme == "https" and port == 443 and host.endswith(_STORES)


def _origin(url: str) -> tuple[str, str, int]:
    """Scheme, host and port; empty ones of what is no URL."""
    try:
        parts = urlsplit(url)
        port = parts.port or {"https": 443, "http": 80}.get(parts.scheme, 0)
    except ValueError:
        return "", "", 0
    return parts.scheme, parts.hostname or "", port


def _refusal(status: int) -> FileUnavailable:
    if status == 404:
        return FileUnavailable("WhatsApp no longer has the file.")
    temporary = status >= 500 or status in {408, 429, 401, 403}
    return FileUnavailable(f"The file's host answered with status {status}.", retryable=temporary)


async def _chunks(response: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    try:
        async for chunk in response.content.iter_chunked(_CHUNK):
            yield chunk
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        raise FileUnavailable(f"The download broke off: {error or type(error).__name__}", retryable=True) from error


def _size(value: object) -> int | None:
    """A size in bytes, which the platform writes as text."""
    digits = str(value) if isinstance(value, str | int) else ""
    return int(digits) if digits.isascii() and digits.isdigit() and len(digits) < 16 else None


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None
