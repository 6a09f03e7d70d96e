"""What several parsers share: blocks under a path of headings, pipe tables, text from bytes."""

import re
import unicodedata
from collections.abc import Iterable, Sequence

from charset_normalizer import from_bytes

from packages.rag.documents import Block, BlockKind, UnreadableDocument

_SPACES = re.compile(r"[^\S\n]+")
_EMPTY_LINES = re.compile(r"\n{3,}")
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0e-\x1f\x7f\ufeff\u200b\u200e\u200f\u202a-\u202e\u2060\u2066-\u2069\u00ad]")


class Outline:
    """Collects blocks and knows which headings are open."""

    def __init__(self) -> None:
        self.blocks: list[Block] = []
        self.page: int | None = None
        self._open: list[tuple[int, str]] = []

    @property
    def path(self) -> tuple[str, ...]:
        """The open headings, outermost first."""
        return tuple(text for _, text in self._open)

    def heading(self, level: int, text: str) -> None:
        """Close headings of this level and below, and open this one."""
        text = one_line(text)
        if not text:
            return
        while self._open and self._open[-1][0] >= level:
            self._open.pop()
        self.blocks.append(Block(kind=BlockKind.HEADING, text=text, headings=self.path, page=self.page))
        self._open.append((level, text))

    def close_headings(self) -> None:
        """What follows stands under no heading."""
        self._open.clear()

    def add(self, kind: BlockKind, text: str, *, language: str | None = None) -> None:
        """A block under the open headings; nothing if it has no text."""
        text = text.strip("\n") if kind is BlockKind.CODE else text.strip()
        if text.strip():
            self.blocks.append(Block(kind=kind, text=text, headings=self.path, page=self.page, language=language))

    @property
    def first_heading(self) -> str | None:
        """The text of the first heading, which is the title of a document that names no other."""
        return next((block.text for block in self.blocks if block.kind is BlockKind.HEADING), None)


def clean(text: str) -> str:
    """NFC, line feeds only, no control characters, no runs of spaces or of empty lines."""
    text = unicodedata.normalize("NFC", text.replace("\r\n", "\n").replace("\r", "\n"))
    text = _CONTROL.sub("", text)
    return _EMPTY_LINES.sub("\n\n", "\n".join(_SPACES.sub(" ", line).strip() for line in text.split("\n"))).strip()


def one_line(text: str) -> str:
    """White space of any kind as single spaces."""
    return " ".join(_CONTROL.sub("", unicodedata.normalize("NFC", text)).split())


def pipe_table(rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table of cell texts; the first row is the header. Short rows are filled up."""
    cells = [[one_line(cell).replace("|", "\\|") for cell in row] for row in rows]
    cells = [row for row in cells if any(row)]
    if not cells:
        return ""
    width = max(len(row) for row in cells)
    lines = ["| " + " | ".join(row + [""] * (width - len(row))) + " |" for row in cells]
    return "\n".join([lines[0], "|" + " --- |" * width, *lines[1:]])


def required(blocks: Sequence[Block], what: str) -> tuple[Block, ...]:
    """The blocks, if any of them says something.

    Raises:
        UnreadableDocument: none does.
    """
    if not any(block.text.strip() for block in blocks):
        raise UnreadableDocument(f"This {what} contains no text. Upload a file with text in it.", code="empty")
    return tuple(blocks)


_MARKS = (
    (b"\xef\xbb\xbf", "utf-8-sig"),
    (b"\xff\xfe\x00\x00", "utf-32"),
    (b"\x00\x00\xfe\xff", "utf-32"),
    (b"\xff\xfe", "utf-16"),
    (b"\xfe\xff", "utf-16"),
)
_DECLARED = re.compile(rb"""<meta[^>]+charset=["']?([\w-]+)|<\?xml[^>]+encoding=["']([\w-]+)""", re.IGNORECASE)
_DETECTION_SAMPLE = 200_000


def decode(data: bytes, *, declared: bool = False) -> str:
    """Text of unknown encoding: by its mark, as UTF-8, by its declaration (HTML), else by what its letters suggest.

    Raises:
        UnreadableDocument: empty, or not text at all.
    """
    if not data.strip(b" \t\r\n\x00"):
        raise UnreadableDocument("This file is empty. Upload the file again, with content.", code="empty")
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return data.decode(encoding, errors="replace")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        return _guess(data, declared)
    if text.count("\x00") > len(text) // 100:
        raise UnreadableDocument("This file is not text. Upload it with its right type.", code="not_text")
    return text


def _guess(data: bytes, declared: bool) -> str:
    found = _DECLARED.search(data[:4096]) if declared else None
    if found:
        try:
            return data.decode((found.group(1) or found.group(2)).decode())
        except (LookupError, UnicodeDecodeError):
            pass  # A page that names an encoding it is not written in: look at its letters instead.
    if data[:1024].count(b"\x00") > 8 or data.startswith((b"%PDF", b"PK\x03\x04")):
        raise UnreadableDocument("This file is not text. Upload it with its right type.", code="not_text")
    best = from_bytes(data[:_DETECTION_SAMPLE]).best()
    if best is None:
        return data.decode("cp1252", errors="replace")
    return data.decode(best.encoding, errors="replace")
