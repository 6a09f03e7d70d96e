"""A customer's file: getFile names its path, and the path is fetched from an address that holds the bot's token.

The address is made for one request; it is neither kept nor logged, and no error quotes it.
"""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import quote

import aiohttp
from telegram.error import InvalidToken, TelegramError
from yarl import URL

from packages.core.domain.channels import Channel as Account
from packages.core.domain.messages import Attachment
from services.channel_gateway.channels import Download, FileUnavailable
from services.channel_gateway.channels.telegram.bot import CONNECT_SECONDS, Refused, ask, base_of, bot_of

_PIECE = 64 * 1024
_READ_SECONDS = 30.0
_PATH = re.compile(r"[\w.-]+(?:/[\w.-]+)*", re.ASCII)


@asynccontextmanager
async def download(attachment: Attachment, account: Account, http: aiohttp.ClientSession) -> AsyncIterator[Download]:
    """A file on its way.

    Raises:
        FileUnavailable: on entering, or while the pieces come.
    """
    path, size = await _path(attachment, account, http)
    token = account.credentials.bot_token.get_secret_value()
    url = URL(f"{base_of(account)}/file/bot{quote(token, safe=':')}/{path}", encoded=True)
    timeout = aiohttp.ClientTimeout(None, sock_connect=CONNECT_SECONDS, sock_read=_READ_SECONDS)
    try:
        response = await http.get(url, timeout=timeout, allow_redirects=False)
    except (aiohttp.ClientError, TimeoutError, OSError):
        raise FileUnavailable("Telegram's files cannot be reached.", retryable=True) from None
    async with response:
        if response.status != 200:
            later = response.status in {408, 429} or response.status >= 500
            raise FileUnavailable(f"Telegram answered with status {response.status}.", retryable=later)
        yield Download(
            chunks=_pieces(response),
            media_type=attachment.media_type,
            filename=attachment.filename or path.rpartition("/")[2],
            size=response.content_length if response.content_length is not None else size,
        )


async def _path(attachment: Attachment, account: Account, http: aiohttp.ClientSession) -> tuple[str, int | None]:
    if not attachment.external_id:
        raise FileUnavailable("The message names no file.")
    try:
        file = await ask(bot_of(account, http).get_file(attachment.external_id))
    except Refused as error:
        raise _unavailable(error) from None
    except InvalidToken:
        raise FileUnavailable("The bot token is missing.") from None
    except TelegramError:
        raise FileUnavailable("Telegram cannot be reached, or did not answer.", retryable=True) from None
    # The library puts the base and the token before the path; a server in local mode names a path of its own disk.
    token = account.credentials.bot_token.get_secret_value()
    path = (file.file_path or "").partition(f"/file/bot{token}/")[2]
    if not _PATH.fullmatch(path) or ".." in path:
        raise FileUnavailable("Telegram names no path from which the file can be fetched.")
    return path, file.file_size


def _unavailable(error: Refused) -> FileUnavailable:
    said = error.description.lower()
    if "too big" in said:
        return FileUnavailable("The file is larger than the 20 MB that Telegram gives to bots.")
    if error.status == 429 or error.status >= 500 or "temporarily unavailable" in said:
        return FileUnavailable("Telegram does not give the file now.", retryable=True)
    if error.status in {401, 404}:
        return FileUnavailable("Telegram does not accept the bot token.")
    return FileUnavailable(f"Telegram does not give the file: {error.description or f'status {error.status}'}")


async def _pieces(response: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    try:
        async for piece in response.content.iter_chunked(_PIECE):
            yield piece
    except (aiohttp.ClientError, TimeoutError, OSError):
        raise FileUnavailable("The file broke off on its way.", retryable=True) from None
