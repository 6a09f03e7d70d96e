"""The parsing process: `python -m packages.rag.parse_file REQUEST`. One document in, one JSON answer out.

`packages.rag.sandbox` starts it; nothing else should import it, because it imports every parser's library.
"""

import json
import resource
import sys
from pathlib import Path

from packages.rag import parsers
from packages.rag.assembly import parse_whole
from packages.rag.documents import Document, UnreadableDocument
from packages.rag.file_types import extension, is_plain_name, sniff

_VAGUE = {"", "text/plain", "application/octet-stream", "binary/octet-stream", "application/x-unknown"}
_OLD_OFFICE = {"ppt": "PowerPoint (.pptx)", "xlsb": "Excel (.xlsx)"}


def choose(found: dict[str, parsers.Parser], data: bytes, media_type: str, filename: str | None) -> parsers.Parser:
    """The parser of what the bytes show themselves to be, else of the media type, else of the file name's ending.

    Raises:
        UnreadableDocument: there is none, or the file is empty or encrypted.
    """
    if not data.strip(b" \t\r\n\x00"):
        raise UnreadableDocument("This file is empty. Upload the file again, with content.", code="empty")
    kind = media_type.partition(";")[0].strip().casefold()
    ending = extension(filename or "")
    by_name = next((item for item in found.values() if ending in item.extensions), None)
    by_type = next((item for item in found.values() if kind in item.media_types), None)
    # Browsers send Markdown and tables as text/plain or application/octet-stream: the name then knows better.
    claimed = by_name or by_type if kind in _VAGUE else by_type or by_name
    shown = sniff(data)
    _refuse_known(shown)
    if shown == "html":  # Pages are also named as what makes them (.php, .aspx), but Markdown may begin with HTML.
        return claimed or _of(found, "html")
    if shown is not None and any(shown in item.extensions for item in found.values()):
        return _of(found, shown)
    if claimed is None and shown is None and _may_be_text(data, kind, filename or ""):
        claimed = _of(found, "txt")
    if claimed is None:
        known = ", ".join(sorted({ending for item in found.values() for ending in item.extensions[:3]}))
        raise UnreadableDocument(
            f"Files of type {media_type or ending or 'unknown'} cannot be read. Upload one of: {known}.",
            code="unsupported_format",
        )
    return claimed


def _of(found: dict[str, parsers.Parser], ending: str) -> parsers.Parser:
    return next(item for item in found.values() if ending in item.extensions)


def _refuse_known(shown: str | None) -> None:
    if shown == "encrypted":
        raise UnreadableDocument(
            "This Office document is protected by a password. Save it without one and upload it again.",
            code="encrypted",
        )
    if shown in _OLD_OFFICE:
        raise UnreadableDocument(
            f"This is a document of an old or binary Office format. Save it as {_OLD_OFFICE[shown]} and upload that.",
            code="unsupported_format",
        )


def _may_be_text(data: bytes, kind: str, filename: str) -> bool:
    return (kind in _VAGUE or kind.startswith("text/") or is_plain_name(filename)) and b"\x00" not in data[:4096]


def parse(data: bytes, media_type: str, filename: str | None) -> Document:
    """Parse in this process, with all that is inside."""
    found = parsers.load()

    def one(part: bytes, kind: str, name: str | None) -> Document:
        return choose(found, part, kind, name).parse(part)

    return parse_whole(one, data, media_type, filename)


def main() -> None:
    """Limit this process, parse the file that the request names, and write the answer beside it."""
    request = json.loads(sys.argv[1])
    resource.setrlimit(resource.RLIMIT_AS, (request["memory_bytes"],) * 2)
    resource.setrlimit(resource.RLIMIT_CPU, (request["cpu_seconds"],) * 2)
    resource.setrlimit(resource.RLIMIT_FSIZE, (request["output_bytes"],) * 2)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    folder = Path(request["folder"])
    try:
        document = parse((folder / "input").read_bytes(), request["media_type"], request["filename"])
        answer: dict[str, object] = {"document": document.to_dict()}
    except UnreadableDocument as error:
        answer = {"error": error.message, "code": error.code}
    except MemoryError:
        answer = {"error": "memory", "code": "too_complex"}
    except RecursionError:
        answer = {"error": "depth", "code": "too_complex"}
    (folder / "output.part").write_text(json.dumps(answer))
    (folder / "output.part").rename(folder / "output")


if __name__ == "__main__":
    main()
