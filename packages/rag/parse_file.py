"""The parsing process: it forks a limited child per document, which writes one JSON answer.

`packages.rag.nursery` starts it; nothing else should import it, because it imports every parser's library.
"""

import contextlib
import json
import os
import resource
import selectors
import signal
import sys
import tempfile
import traceback
from pathlib import Path
from typing import Any, NoReturn

from packages.rag import parsers
from packages.rag.assembly import parse_whole
from packages.rag.documents import Document, UnreadableDocument
from packages.rag.file_types import extension, is_plain_name, sniff

_IDLE_SECONDS = 300.0
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
    """Load every parser, then fork a child for each request on stdin and report on it, until there are no more."""
    parsers.load()
    Server().serve()


class Server:
    """The server half of `packages.rag.nursery`. It has one thread, because a process with more must not fork."""

    def __init__(self) -> None:
        self._children: dict[int, int] = {}
        self._rest = b""
        self._woken, wake = os.pipe()
        os.set_blocking(self._woken, False)
        os.set_blocking(wake, False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(wake)

    def serve(self) -> None:
        """Until stdin ends, or nothing came for a while."""
        with selectors.DefaultSelector() as selector:
            selector.register(sys.stdin.fileno(), selectors.EVENT_READ)
            selector.register(self._woken, selectors.EVENT_READ)
            while True:
                ready = {key.fd for key, _ in selector.select(_IDLE_SECONDS)}
                if self._woken in ready:
                    self._reap()
                if (not ready and not self._children) or (sys.stdin.fileno() in ready and not self._take()):
                    break
        for child in self._children:
            _end_group(child)

    def _take(self) -> bool:
        """Fork for each whole line that has come; false at the end."""
        data = os.read(sys.stdin.fileno(), 1 << 16)
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._fork(json.loads(line))
        return bool(data)

    def _fork(self, request: dict[str, Any]) -> None:
        child = os.fork()
        if child == 0:
            _be_child(request)
        os.setpgid(child, child)
        self._children[child] = request["number"]
        _report({"number": request["number"], "pid": child})

    def _reap(self) -> None:
        with contextlib.suppress(BlockingIOError):  # Several signals may have left one byte.
            os.read(self._woken, 1 << 12)
        for child in list(self._children):
            ended, status = os.waitpid(child, os.WNOHANG)
            if ended:
                _end_group(child)
                _report({"number": self._children.pop(child), "status": os.waitstatus_to_exitcode(status)})


def _report(report: dict[str, int]) -> None:
    os.write(sys.stdout.fileno(), json.dumps(report).encode() + b"\n")


def _end_group(child: int) -> None:
    """Kill what a child started and left behind."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(child, signal.SIGKILL)


def _be_child(request: dict[str, Any]) -> NoReturn:
    """Serve one request in this forked process and end it, whatever happens."""
    status = 1
    try:
        os.setpgid(0, 0)
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        folder = Path(request["folder"])
        nothing = os.open(os.devnull, os.O_RDWR)
        errors = os.open(folder / "errors", os.O_WRONLY | os.O_CREAT, 0o600)
        for target, source in enumerate((nothing, nothing, errors)):
            os.dup2(source, target)
        tempfile.tempdir = str(folder)
        _limit(request)
        _answer(folder, request)
        status = 0
    finally:
        if sys.exc_info()[0] is not None:
            traceback.print_exc()
        os._exit(status)


def _limit(request: dict[str, Any]) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (request["memory_bytes"],) * 2)
    # Text recognition raises the soft limit to the hard one (packages.rag.ocr).
    resource.setrlimit(resource.RLIMIT_CPU, (request["cpu_seconds"], request["most_cpu_seconds"]))
    resource.setrlimit(resource.RLIMIT_FSIZE, (request["output_bytes"],) * 2)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _answer(folder: Path, request: dict[str, Any]) -> None:
    """Parse the file in the folder, and write the answer beside it."""
    try:
        document = parse((folder / "input").read_bytes(), request["media_type"], request["filename"])
        answer: dict[str, object] = {"document": document.to_dict()}
    except UnreadableDocument as error:
        answer = {"error": error.message, "code": error.code}
    except MemoryError:
        answer = {"error": "memory", "code": "too_complex"}
    except RecursionError:
        answer = {"error": "depth", "code": "too_deep"}
    (folder / "output.part").write_text(json.dumps(answer))
    (folder / "output.part").rename(folder / "output")


if __name__ == "__main__":
    main()
