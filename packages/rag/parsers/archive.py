"""Archives: each file in them as a document of its own; source code repositories among them."""

import functools
import io
import posixpath
import tarfile
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from lzma import LZMAError

from packages.rag.documents import Document, Part, UnreadableDocument
from packages.rag.file_types import left_out
from packages.rag.zip_files import LARGEST_MEMBER, LARGEST_TOTAL, MB, MOST_MEMBERS, ZipFile

WHAT = "archive"


class ArchiveParser:
    """Reads ZIP and (compressed) tar. Links and devices in a tar stay out, so nothing outside it is ever read."""

    media_types = (
        "application/zip",
        "application/x-zip-compressed",
        "application/x-tar",
        "application/gzip",
        "application/x-gzip",
        "application/x-bzip2",
        "application/x-xz",
    )
    extensions = ("zip", "tar", "gz", "tgz", "bz2", "tbz2", "xz", "txz")

    def parse(self, data: bytes) -> Document:
        """The files as parts, in the order of their names; what is not worth reading is counted in the notes."""
        members = dict(_zip(data) if data.startswith(b"PK") else _tar(data))
        if not members:
            raise UnreadableDocument("This archive is empty. Upload one with files in it.", code="empty")
        root = _common_folder(list(members))
        parts: list[Part] = []
        skipped: Counter[str] = Counter()
        for name in sorted(members):
            reason = left_out(name.removeprefix(root))
            if reason is None:
                parts.append(Part(name=name.removeprefix(root), media_type="", read=members[name]))
            else:
                skipped[reason] += 1
        notes = tuple(f"Left out as {reason}: {count} files." for reason, count in skipped.items())
        return Document(blocks=(), title=root.strip("/") or None, notes=notes, parts=tuple(parts))


def _zip(data: bytes) -> Iterator[tuple[str, functools.partial[bytes]]]:
    package = ZipFile(data, WHAT)
    for name in package.names:
        yield name, functools.partial(package.read, name)


def _tar(data: bytes) -> Iterator[tuple[str, functools.partial[bytes]]]:
    total = count = 0
    try:
        with tarfile.open(fileobj=io.BytesIO(data), mode="r|*") as file:
            for member in file:
                count += 1
                total += member.size
                if count > MOST_MEMBERS or member.size > LARGEST_MEMBER or total > LARGEST_TOTAL:
                    raise UnreadableDocument(
                        f"This archive is too large: at most {MOST_MEMBERS} files of {LARGEST_TOTAL // MB} MB in all "
                        "can be read. Upload its files one by one.",
                        code="too_large",
                    )
                content = file.extractfile(member) if member.isfile() else None
                if content is not None:
                    name = posixpath.normpath("/" + member.name).lstrip("/")
                    yield name, functools.partial(bytes, content.read())
    except (tarfile.TarError, EOFError, OSError, zlib.error, LZMAError) as error:
        raise UnreadableDocument(
            f"This archive is damaged or of an unknown kind ({error}). Pack it again as ZIP and upload that.",
            code="corrupt",
        ) from error


def _common_folder(names: Sequence[str]) -> str:
    """The one folder that holds everything, as archives of repositories have it, with a slash; else empty."""
    first = names[0].partition("/")[0] + "/"
    return first if all(name.startswith(first) for name in names) else ""


parser = ArchiveParser()
