"""The parsing process: `python -m packages.rag.parse_file REQUEST`. One document in, one JSON answer out.

`packages.rag.sandbox` starts it; nothing else should import it, because it imports every parser's library.
"""

import json
import resource
import sys
from pathlib import Path

from packages.rag import parsers
from packages.rag.documents import Document, UnreadableDocument


def choose(found: dict[str, parsers.Parser], media_type: str, filename: str | None) -> parsers.Parser:
    """The parser that claims the media type, else the file name's ending.

    Raises:
        UnreadableDocument: none does.
    """
    kind = media_type.partition(";")[0].strip().casefold()
    extension = Path(filename or "").suffix.lstrip(".").casefold()
    by_name = next((item for item in found.values() if extension in item.extensions), None)
    by_type = next((item for item in found.values() if kind in item.media_types), None)
    # Browsers send Markdown and tables as text/plain or application/octet-stream: the name then knows better.
    chosen = by_name or by_type if kind in {"", "text/plain", "application/octet-stream"} else by_type or by_name
    if chosen is None:
        known = ", ".join(sorted(ending for item in found.values() for ending in item.extensions))
        raise UnreadableDocument(
            f"Files of type {media_type or extension or 'unknown'} cannot be read. Upload one of: {known}.",
            code="unsupported_format",
        )
    return chosen


def parse(data: bytes, media_type: str, filename: str | None) -> Document:
    """Parse in this process."""
    return choose(parsers.load(), media_type, filename).parse(data)


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
