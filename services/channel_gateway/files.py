"""Files that go out with a message: from the object store, or from a public address that somebody named."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import aiohttp

from packages.core.config import MediaSettings
from packages.core.db.repositories import media
from packages.core.db.session import DATABASE_ERRORS, Database
from packages.core.domain import files
from packages.core.domain.messages import Attachment, OutboundResponse
from packages.core.errors import NotFound, Unavailable
from packages.core.links import MediaLinks
from packages.core.storage import ObjectStore
from services.channel_gateway.channels import File, FileUnavailable
from services.channel_gateway.spool import Refused

LINK_SECONDS = 6 * 3600.0
"""Platforms fetch a file when they get to it; some try for hours."""
_AWAY = "The stored file cannot be read just now."
_TEMPORARY = frozenset({408, 425, 429})


class Files:
    """Makes the attachments of messages ready to send.

    Args:
        base_url: the gateway's public address, from which platforms fetch files.
        secret: PARLEY_SECRET_KEY.
        http: the guarded way out.
    """

    def __init__(
        self,
        database: Database,
        store: ObjectStore,
        base_url: str,
        secret: str,
        http: aiohttp.ClientSession,
        settings: MediaSettings | None = None,
    ) -> None:
        self._database = database
        self._store = store
        self._links = MediaLinks(base_url, secret)
        self._http = http
        self._settings = settings or MediaSettings()

    async def prepare(self, response: OutboundResponse) -> list[File]:
        """One file for each attachment, in their order.

        Raises:
            FileUnavailable: one cannot be had (now, if it is retryable); says why, for agents.
        """
        wanted = [media_id for item in response.attachments if (media_id := _uuid(item.media_id))]
        rows: dict[UUID, Any] = {}
        if wanted:
            try:
                async with self._database.direct(response.tenant_id) as transaction:
                    rows = await media.by_id(transaction, UUID(response.tenant_id), wanted)
            except DATABASE_ERRORS as error:
                raise FileUnavailable(_AWAY, retryable=True) from error
        return [await self._file(attachment, rows) for attachment in response.attachments]

    async def _file(self, attachment: Attachment, rows: dict[UUID, Any]) -> File:
        if attachment.media_id:
            row = rows.get(_uuid(attachment.media_id) or UUID(int=0))
            return self._stored(attachment, row)
        if attachment.url:
            return await self._remote(attachment, attachment.url)
        raise FileUnavailable("The message names a file without saying where it is.")

    def _stored(self, attachment: Attachment, row: Any) -> File:
        if row is None or row.state == "gone":
            raise FileUnavailable("The file was deleted before it could be sent.")
        if row.state != "ready":
            raise FileUnavailable("The file is not stored here (yet).", retryable=row.state == "pending")
        name = files.safe_name(attachment.filename or row.filename, row.media_type)
        return File(
            kind=attachment.kind or row.kind,
            media_type=row.media_type,
            filename=name,
            size=row.size,
            url=self._links.url(row.id, name, seconds=LINK_SECONDS),
            read=self._reader(row.storage_key),
        )

    def _reader(self, key: str) -> Callable[[], Awaitable[bytes]]:
        async def read() -> bytes:
            try:
                return await self._store.get(key)
            except NotFound:
                raise FileUnavailable("The file was deleted before it could be sent.") from None
            except Unavailable as error:
                raise FileUnavailable(_AWAY, retryable=True) from error

        return read

    async def _remote(self, attachment: Attachment, url: str) -> File:
        """A file on the public web: looked at now, read only if the channel wants its bytes."""
        async with self._opened(url) as answer:
            head = await self._head(answer)
            size = answer.content_length
            if size is None:
                size = len(head) + len(await self._rest(answer, len(head)))
        if files.is_program(head):
            raise Refused("The file is a program. Such files are not sent.")
        kind = files.media_type(head, attachment.media_type or answer.content_type)

        async def read() -> bytes:
            async with self._opened(url) as again:
                return await self._rest(again, 0)

        return File(
            kind=attachment.kind or files.kind_of(kind),
            media_type=kind,
            filename=files.safe_name(attachment.filename or urlsplit(url).path, kind),
            size=size,
            url=url,
            read=read,
        )

    @asynccontextmanager
    async def _opened(self, url: str) -> AsyncIterator[aiohttp.ClientResponse]:
        """The address's answer, if it is a good one and not too large.

        Raises:
            FileUnavailable: it is not.
        """
        _check_address(url)
        try:
            async with (
                asyncio.timeout(self._settings.timeout_seconds),
                self._http.get(url, max_redirects=5, headers={"Accept-Encoding": "identity"}) as answer,
            ):
                if answer.status != 200:
                    retryable = answer.status >= 500 or answer.status in _TEMPORARY
                    raise FileUnavailable(
                        f"The file's address answers with status {answer.status}.", retryable=retryable
                    )
                self._check(answer.content_length or 0)
                yield answer
        except TimeoutError as error:
            raise FileUnavailable("The file's address did not answer in time.", retryable=True) from error
        except aiohttp.TooManyRedirects as error:
            raise FileUnavailable("The file's address redirects too often.") from error
        except (aiohttp.InvalidURL, ValueError) as error:
            raise FileUnavailable("The file's address is malformed.") from error
        except (aiohttp.ClientError, OSError) as error:
            forbidden = "not public" in str(error)
            reason = "is not a public one" if forbidden else f"cannot be reached ({type(error).__name__})"
            raise FileUnavailable(f"The file's address {reason}.", retryable=not forbidden) from error

    async def _head(self, answer: aiohttp.ClientResponse) -> bytes:
        head = bytearray()
        while len(head) < files.HEAD and (chunk := await answer.content.read(files.HEAD - len(head))):
            head += chunk
        return bytes(head)

    async def _rest(self, answer: aiohttp.ClientResponse, seen: int) -> bytes:
        data = bytearray()
        async for chunk in answer.content.iter_any():
            data += chunk
            self._check(seen + len(data))
        return bytes(data)

    def _check(self, size: int) -> None:
        if size > self._settings.max_bytes:
            raise Refused(f"The file is too large: at most {self._settings.max_bytes // (1024 * 1024)} MB are sent.")


def _check_address(url: str) -> None:
    try:
        split = urlsplit(url)
    except ValueError:
        raise FileUnavailable("The file's address is malformed.") from None
    if split.scheme not in {"http", "https"} or not split.hostname or split.username or split.password:
        raise FileUnavailable("The file's address must be a public one that begins with https://.")


def _uuid(value: str | None) -> UUID | None:
    try:
        return UUID(value) if value else None
    except ValueError:
        return None
