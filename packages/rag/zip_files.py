"""ZIP archives that somebody else made: opened within limits on count, size and ratio, so that a bomb stays small."""

import io
import posixpath
import zipfile
import zlib

from packages.rag.documents import UnreadableDocument

MB = 1024 * 1024
MOST_MEMBERS = 20_000
LARGEST_MEMBER = 200 * MB
LARGEST_TOTAL = 500 * MB
HIGHEST_RATIO = 200
_SMALL = 20 * MB


class ZipFile:
    """Members by their normalised names. Reading counts against one total, whatever the directory claims.

    Args:
        data: the whole archive.
        what: what it is for its owner ("Word document"), for the reason of a refusal.

    Raises:
        UnreadableDocument: broken, encrypted, or with more inside than can be read.
    """

    def __init__(self, data: bytes, what: str) -> None:
        self._what = what
        self._read = 0
        try:
            self._file = zipfile.ZipFile(io.BytesIO(data))
        except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
            raise self._corrupt(error) from error
        infos = self._file.infolist()
        if len(infos) > MOST_MEMBERS:
            raise self._bomb(f"it holds {len(infos)} files; at most {MOST_MEMBERS} can be read")
        self._infos = {_normal(info.filename): info for info in infos if not info.is_dir()}
        if sum(info.file_size for info in self._infos.values()) > LARGEST_TOTAL:
            raise self._bomb(f"unpacked it is larger than {LARGEST_TOTAL // MB} MB")

    @property
    def names(self) -> list[str]:
        """Names of the files, with folders, in the archive's order."""
        return list(self._infos)

    def has(self, name: str) -> bool:
        """Whether there is such a file."""
        return name in self._infos

    def size(self, name: str) -> int:
        """Bytes of a member as the archive claims."""
        return self._infos[name].file_size

    def check(self) -> None:
        """Refuse what `read` would refuse for its size, before a library unpacks the archive by itself.

        Raises:
            UnreadableDocument: a member is encrypted or too large.
        """
        for name in self._infos:
            self._check(name)

    def read(self, name: str) -> bytes:
        """A member, unpacked.

        Raises:
            UnreadableDocument: it is missing, broken, encrypted or too large.
        """
        info = self._check(name)
        try:
            with self._file.open(info) as member:
                data = member.read(info.file_size + 1)
        except (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError, RuntimeError) as error:
            raise self._corrupt(error) from error
        self._read += len(data)
        if self._read > LARGEST_TOTAL:
            raise self._bomb(f"unpacked it is larger than {LARGEST_TOTAL // MB} MB")
        return data

    def _check(self, name: str) -> zipfile.ZipInfo:
        info = self._infos.get(name)
        if info is None:
            raise self._corrupt(f"{name} is missing")
        if info.flag_bits & 0x1:
            raise UnreadableDocument(
                f"This {self._what} is protected by a password. Save it without one and upload it again.",
                code="encrypted",
            )
        if info.file_size > max(_SMALL, info.compress_size * HIGHEST_RATIO) or info.file_size > LARGEST_MEMBER:
            raise self._bomb(f"{name} would unpack to {info.file_size // MB} MB")
        return info

    def _corrupt(self, error: object) -> UnreadableDocument:
        return UnreadableDocument(
            f"This {self._what} is damaged or incomplete ({error}). Open it, save it again and upload the copy.",
            code="corrupt",
        )

    def _bomb(self, reason: str) -> UnreadableDocument:
        return UnreadableDocument(
            f"This {self._what} is too large once unpacked: {reason}. Upload its files one by one.", code="too_large"
        )


def _normal(name: str) -> str:
    """Without leading slashes, dots and Windows separators."""
    return posixpath.normpath("/" + name.replace("\\", "/")).lstrip("/")
