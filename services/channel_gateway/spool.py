"""A file on its way: checked while it arrives, in memory as long as it is small, then on disk."""

import asyncio
import hashlib
import tempfile
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from packages.core.config import MediaSettings
from packages.core.domain import files
from packages.core.storage import ObjectStore
from services.channel_gateway.channels import FileUnavailable

IN_MEMORY = 1024 * 1024
_MB = 1024 * 1024


class Refused(FileUnavailable):
    """The file is complete, or would be, but is not kept."""


class Spool:
    """Takes a file's bytes. Use as an async context manager; at its end the local copy is gone."""

    def __init__(self, settings: MediaSettings) -> None:
        self._settings = settings
        self._buffer = bytearray()
        self._file: IO[bytes] | None = None
        self._hash = hashlib.sha256()
        self._head = b""
        self.size = 0

    async def __aenter__(self) -> Self:
        """Ready to write."""
        return self

    async def __aexit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        """Remove the local copy."""
        if self._file:
            await asyncio.to_thread(self._file.close)

    @property
    def sha256(self) -> str:
        """Of what was written, in hexadecimal."""
        return self._hash.hexdigest()

    @property
    def head(self) -> bytes:
        """The first bytes, enough to tell what the file is."""
        return self._head

    def check_size(self, announced: int | None) -> None:
        """Refuse a file by the size that is said of it.

        Raises:
            Refused: it is too large.
        """
        if announced is not None and announced > self._settings.max_bytes:
            limit = self._settings.max_bytes
            raise Refused(f"The file is too large: it has {_megabytes(announced)}, and {_megabytes(limit)} are kept.")

    async def write(self, chunk: bytes) -> None:
        """Take the next bytes.

        Raises:
            Refused: it has become too large, whatever was said of its size.
        """
        self.size += len(chunk)
        if self.size > self._settings.max_bytes:
            raise Refused(f"The file is too large: at most {_megabytes(self._settings.max_bytes)} are kept.")
        if len(self._head) < files.HEAD:
            self._head += bytes(chunk[: files.HEAD - len(self._head)])
        self._hash.update(chunk)
        self._buffer += chunk
        if len(self._buffer) > IN_MEMORY:
            await self._flush()

    def complete(self, announced: int | None) -> None:
        """All bytes have come.

        Raises:
            FileUnavailable: there are none, or fewer than announced; the connection broke, so another try may help.
        """
        if self.size == 0:
            raise FileUnavailable("The platform sent an empty file.", retryable=True)
        if announced is not None and self.size < announced:
            raise FileUnavailable("The platform broke off in the middle of the file.", retryable=True)

    def media_type(self, claimed: str | None) -> str:
        """What the file is, by its first bytes.

        Raises:
            Refused: such files are not kept.
        """
        kind = files.media_type(self._head, claimed)
        if files.is_program(self._head):
            raise Refused("The file is a program. Such files are not kept.")
        if not kind.startswith(tuple(self._settings.allowed_types)):
            raise Refused(f"Files of the type {kind} are not kept.")
        return kind

    async def store(self, store: ObjectStore, key: str) -> None:
        """Copy it into the object store.

        Raises:
            Unavailable: the store is away.
        """
        if self._file is None:
            await store.put(key, bytes(self._buffer))
        else:
            await self._flush()
            await store.put_file(key, Path(self._file.name))

    async def _flush(self) -> None:
        data, self._buffer = self._buffer, bytearray()
        self._file = await asyncio.to_thread(_append, self._file, data)


def _append(file: IO[bytes] | None, data: bytearray) -> IO[bytes]:
    file = file or tempfile.NamedTemporaryFile(prefix="parley-media-")  # noqa: SIM115 - closed by __aexit__
    file.write(data)
    file.flush()
    return file


def _megabytes(size: int) -> str:
    return f"{size / _MB:.0f} MB" if size >= 10 * _MB else f"{size / _MB:.1f} MB"
