"""Uploaded files: one small interface over a folder and over an S3-compatible bucket.

A key is a path whose first part is the tenant's id: `<tenant>/<brand>/<source>/original`. What is not such a path is
refused before it reaches a disk or a bucket, so no key can leave its store or reach another tenant by a trick of `..`.
"""

import asyncio
import errno
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol, TypeVar, runtime_checkable
from urllib.parse import unquote, urlsplit

from packages.core.config import Settings, StorageSettings
from packages.core.errors import InvalidInput, NotFound, Unavailable

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import ObjectIdentifierTypeDef

Result = TypeVar("Result")
_PART = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,199}")
_MAX_KEY = 900
_MISSING = frozenset({"NoSuchKey", "404", "NotFound"})
_BEYOND = frozenset({"InvalidRange", "416"})


@runtime_checkable
class ObjectStore(Protocol):
    """Bytes by key.

    Every method raises `InvalidInput` for a malformed key and `Unavailable` where the store is away or full; the
    same call may succeed later.
    """

    async def put(self, key: str, data: bytes) -> None:
        """Store durably, replacing what was there; a reader sees the old bytes or the new, never a part."""
        ...

    async def put_file(self, key: str, path: Path) -> None:
        """Like `put`, from a local file, which is not read into memory as a whole."""
        ...

    async def get(self, key: str) -> bytes:
        """The bytes stored under a key.

        Raises:
            NotFound: there is no such object.
        """
        ...

    async def get_range(self, key: str, start: int, length: int) -> bytes:
        """At most `length` (1 or more) bytes from position `start` on; fewer at the object's end, none beyond it.

        Raises:
            NotFound: there is no such object.
        """
        ...

    async def exists(self, key: str) -> bool:
        """Whether there is an object under the key."""
        ...

    async def delete(self, key: str) -> None:
        """Delete an object; an absent one is no error."""
        ...

    async def delete_prefix(self, prefix: str) -> None:
        """Delete every object below a path of whole parts: `a/b` takes `a/b/c` along, but not `a/bc`."""
        ...

    async def ping(self) -> None:
        """Raise unless the store can be reached."""
        ...


def create(settings: Settings) -> ObjectStore:
    """The store that the settings name.

    Raises:
        ValueError: PARLEY_STORAGE__URL is neither `file:///folder` nor `s3://bucket`.
    """
    url = urlsplit(settings.storage_url)
    if url.scheme == "file" and url.path and url.netloc in {"", "localhost"}:
        return FolderStore(Path(unquote(url.path)))
    if url.scheme == "s3" and url.netloc:
        return S3Store(url.netloc, settings.storage, prefix=url.path.strip("/"))
    raise ValueError("PARLEY_STORAGE__URL must be file:///folder or s3://bucket.")


def check_key(key: str, *, parts: int = 2) -> str:
    """The key itself, if it is a relative path of at least `parts` plain parts.

    Raises:
        InvalidInput: it is not.
    """
    found = key.split("/")
    if len(key) > _MAX_KEY or len(found) < parts or not all(_PART.fullmatch(part) for part in found):
        raise InvalidInput("The object key is malformed: tenant first, then plain names divided by slashes.")
    return key


class FolderStore:
    """Objects as files below one folder."""

    def __init__(self, root: Path) -> None:
        self._root = root

    async def put(self, key: str, data: bytes) -> None:
        """See ObjectStore."""
        await self._run(self._write, self._path(key), lambda file: file.write(data))

    async def put_file(self, key: str, path: Path) -> None:
        """See ObjectStore."""

        def copy(file: BinaryIO) -> None:
            with path.open("rb") as original:
                shutil.copyfileobj(original, file)

        await self._run(self._write, self._path(key), copy)

    async def get(self, key: str) -> bytes:
        """See ObjectStore."""
        return await self._run(self._read, self._path(key))

    async def get_range(self, key: str, start: int, length: int) -> bytes:
        """See ObjectStore."""
        return await self._run(self._read, self._path(key), start, length)

    async def exists(self, key: str) -> bool:
        """See ObjectStore."""
        return await self._run(self._path(key).is_file)

    async def delete(self, key: str) -> None:
        """See ObjectStore."""
        await self._run(self._unlink, self._path(key))

    async def delete_prefix(self, prefix: str) -> None:
        """See ObjectStore."""
        folder = self._root / check_key(prefix.rstrip("/"), parts=1)
        await self._run(self._remove, folder)

    async def ping(self) -> None:
        """See ObjectStore."""
        await self._run(self._probe)

    def _path(self, key: str) -> Path:
        return self._root / check_key(key)

    def _read(self, path: Path, start: int = 0, length: int = -1) -> bytes:
        try:
            with path.open("rb") as file:
                file.seek(start)
                return file.read(length)
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            raise NotFound("There is no object under this key.") from None

    def _write(self, path: Path, fill: Callable[[BinaryIO], object]) -> None:
        handle, unfinished = _temporary_file(path.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                fill(file)
                file.flush()
                os.fsync(file.fileno())
            Path(unfinished).replace(path)
        except BaseException:
            Path(unfinished).unlink(missing_ok=True)
            raise
        for folder in (path.parent, *path.parents[1 : len(path.relative_to(self._root).parts)]):
            _sync_folder(folder)

    def _unlink(self, path: Path) -> None:
        with suppress(FileNotFoundError, NotADirectoryError):
            path.unlink()
        with suppress(OSError):  # the first folder that is not empty ends it
            for folder in path.parents[: len(path.relative_to(self._root).parts) - 1]:
                folder.rmdir()

    def _remove(self, folder: Path) -> None:
        while folder.is_dir():
            try:
                shutil.rmtree(folder)
            except OSError as error:
                if error.errno not in {errno.ENOENT, errno.ENOTEMPTY}:  # a put or a delete went on meanwhile
                    raise

    def _probe(self) -> None:
        self._root.mkdir(parents=True, exist_ok=True)
        if not os.access(self._root, os.W_OK):
            raise PermissionError(f"{self._root} cannot be written")

    async def _run(self, work: Callable[..., Result], *arguments: object) -> Result:
        try:
            return await asyncio.to_thread(work, *arguments)
        except OSError as error:
            raise Unavailable(f"The object store cannot be used: {error.strerror or error}") from error


class S3Store:
    """Objects in an S3-compatible bucket: path addressing and signature version 4, which all of them speak."""

    def __init__(self, bucket: str, settings: StorageSettings, *, prefix: str = "", client: Any = None) -> None:
        self._bucket = bucket
        self._prefix = f"{prefix}/" if prefix else ""
        self._client: S3Client = client or _s3_client(settings)

    async def put(self, key: str, data: bytes) -> None:
        """See ObjectStore."""
        await self._run(self._client.put_object, Bucket=self._bucket, Key=self._full(key), Body=data)

    async def put_file(self, key: str, path: Path) -> None:
        """See ObjectStore."""

        def upload(full_key: str) -> None:
            with path.open("rb") as file:
                self._client.put_object(Bucket=self._bucket, Key=full_key, Body=file)

        await self._run(upload, self._full(key))

    async def get(self, key: str) -> bytes:
        """See ObjectStore."""
        return await self._run(self._read, self._full(key))

    async def get_range(self, key: str, start: int, length: int) -> bytes:
        """See ObjectStore."""
        return await self._run(self._read_range, self._full(key), start, length)

    async def exists(self, key: str) -> bool:
        """See ObjectStore."""
        try:
            await self._run(self._client.head_object, Bucket=self._bucket, Key=self._full(key))
        except NotFound:
            return False
        return True

    async def delete(self, key: str) -> None:
        """See ObjectStore."""
        await self._run(self._client.delete_object, Bucket=self._bucket, Key=self._full(key))

    async def delete_prefix(self, prefix: str) -> None:
        """See ObjectStore."""
        await self._run(self._remove, self._prefix + check_key(prefix.rstrip("/"), parts=1) + "/")

    async def ping(self) -> None:
        """See ObjectStore."""
        try:
            await self._run(self._client.head_bucket, Bucket=self._bucket)
        except NotFound as error:
            raise Unavailable(f"There is no bucket named {self._bucket}.") from error

    def _full(self, key: str) -> str:
        return self._prefix + check_key(key)

    def _read(self, key: str) -> bytes:
        return self._client.get_object(Bucket=self._bucket, Key=key)["Body"].read()

    def _read_range(self, key: str, start: int, length: int) -> bytes:
        from botocore.exceptions import ClientError  # noqa: PLC0415 - see _s3_client

        wanted = f"bytes={start}-{start + length - 1}"
        try:
            return self._client.get_object(Bucket=self._bucket, Key=key, Range=wanted)["Body"].read()
        except ClientError as error:
            if error.response.get("Error", {}).get("Code") in _BEYOND:
                return b""
            raise

    def _remove(self, prefix: str) -> None:
        pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=prefix)
        for page in pages:
            found: list[ObjectIdentifierTypeDef] = [{"Key": item["Key"]} for item in page.get("Contents", [])]
            if not found:
                continue
            answer = self._client.delete_objects(Bucket=self._bucket, Delete={"Objects": found, "Quiet": True})
            if answer.get("Errors"):
                raise Unavailable(f"The object store kept {len(answer['Errors'])} of {len(found)} objects.")

    async def _run(self, work: Callable[..., Result], *arguments: object, **named: object) -> Result:
        with _s3_errors():
            return await asyncio.to_thread(work, *arguments, **named)


@contextmanager
def _s3_errors() -> Iterator[None]:
    from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError  # noqa: PLC0415 - see _s3_client

    try:
        yield
    except ClientError as error:
        code = error.response.get("Error", {}).get("Code", "")
        if code in _MISSING:
            raise NotFound("There is no object under this key.") from None
        raise Unavailable(f"The object store refused: {code}") from error
    except (BotoCoreError, HTTPClientError, OSError) as error:
        raise Unavailable(f"The object store cannot be reached: {error}") from error


def _s3_client(settings: StorageSettings) -> "S3Client":
    """A client with timeouts. boto3 is imported here, because a folder store must not pay its 0.5 s and 40 MB."""
    import boto3  # noqa: PLC0415
    from botocore.config import Config  # noqa: PLC0415

    return boto3.session.Session().client(
        "s3",
        endpoint_url=settings.endpoint,
        region_name=settings.region,
        aws_access_key_id=settings.access_key,
        aws_secret_access_key=settings.secret_key.get_secret_value() if settings.secret_key else None,
        config=Config(
            signature_version="s3v4",
            s3={"addressing_style": "path"},
            connect_timeout=3,
            read_timeout=20,
            retries={"mode": "standard", "max_attempts": 3},
            max_pool_connections=16,
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        ),
    )


def _temporary_file(folder: Path) -> tuple[int, str]:
    """An open file in a folder that a concurrent delete may remove between its making and its use."""
    for _ in range(100):
        with suppress(FileNotFoundError):
            folder.mkdir(parents=True, exist_ok=True)
            return tempfile.mkstemp(prefix=".", dir=folder)
    raise FileNotFoundError(f"{folder} disappears as soon as it is made")


def _sync_folder(folder: Path) -> None:
    """Make a rename survive a power cut. A folder that is gone held an object that was deleted at once."""
    with suppress(FileNotFoundError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
