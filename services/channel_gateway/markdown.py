"""A message of our markdown subset as plain words and marks on them."""

import re
from dataclasses import dataclass

from markdown_it import MarkdownIt
from markdown_it.rules_inline import StateInline
from markdown_it.token import Token

_MARK = re.compile(r"[*_~`\\>#]|\]\(")
_ITEM = re.compile(r"(?:\A|\n) {0,3}(?:[-+]|\d+[.)]) ")
_PARSER = MarkdownIt("zero").enable(
    [
        "blockquote",
        "fence",
        "heading",
        "list",
        "newline",
        "emphasis",
        "strikethrough",
        "backticks",
        "link",
        "escape",
    ]
)
_ADDRESS = re.compile(r"://[^\s<>\[\]`]*[^\s<>\[\]`*_~.,;:!?)'\"]")


def _bare_address(state: StateInline, silent: bool) -> bool:
    """An address within the text is no mark-up, whatever is in it."""
    if state.src[state.pos] != ":" or not state.src[: state.pos].endswith(("http", "https")):
        return False
    found = _ADDRESS.match(state.src, state.pos)
    if found is None:
        return False
    if not silent:
        state.pending += found[0]
    state.pos = found.end()
    return True


_PARSER.inline.ruler.before("escape", "bare_address", _bare_address)
_KINDS = {"strong": "bold", "em": "italic", "s": "strike", "link": "link", "heading": "bold", "blockquote": "quote"}


@dataclass(frozen=True, slots=True)
class Span:
    """A mark on `text[start:end]`: bold, italic, strike, code, pre, link (to `url`) or quote."""

    start: int
    end: int
    kind: str
    url: str | None = None


@dataclass(frozen=True, slots=True)
class Document:
    """Plain words, and marks on them that nest properly, outer ones first."""

    text: str
    spans: tuple[Span, ...] = ()

    def followed_by(self, words: str) -> "Document":
        """The document and a paragraph of plain words."""
        return Document("\n\n".join(part for part in (self.text, words) if part), self.spans)


def parse(source: str, *, links: bool) -> Document:
    """Read a message.

    Args:
        links: whether addresses hide behind their words; else they follow them in brackets.
    """
    source = source.strip()
    if not _MARK.search(source) and not _ITEM.search(source):  # most answers: parsing costs more than sending
        return Document(source)
    builder = _Builder(links)
    for token in _PARSER.parse(source):
        builder.block(token)
    return builder.document()


class _Builder:
    """Writes words and notes where marks begin and end."""

    def __init__(self, links: bool) -> None:
        self._links = links
        self._out: list[str] = []
        self._length = 0
        self._spans: list[tuple[int, int, Span]] = []
        self._opened: list[tuple[int, int, str, str | None]] = []
        self._count = 0
        self._gap = ""
        self._fresh = False
        self._marker = ""
        self._quotes = 0
        self._numbers: list[int | None] = []

    def document(self) -> Document:
        """What was written."""
        spans = [span for _, _, span in sorted(self._spans, key=lambda found: (found[2].start, found[1]))]
        return Document("".join(self._out), tuple(spans))

    def block(self, token: Token) -> None:
        """Take one token of the block level."""
        name, _, edge = token.type.rpartition("_")
        if token.type == "inline":
            for child in _without_sums(token.children or []):
                self._inline(child)
        elif token.type == "fence":
            self._separate("\n\n")
            self._open("pre")
            self._write(token.content.rstrip("\n"))
            self._close("pre")
        elif name in {"bullet_list", "ordered_list"}:
            self._list(token, edge)
        elif name == "list_item":
            self._item(token, edge)
        elif name == "paragraph":
            self._separate("\n" if self._numbers else "\n\n")
        elif name == "blockquote":
            self._quote(edge)
        elif name == "heading":
            self._separate("\n\n")
            (self._open if edge == "open" else self._close)("bold")

    def _list(self, token: Token, edge: str) -> None:
        self._separate("\n" if len(self._numbers) > (edge == "close") else "\n\n")
        if edge == "open":
            self._numbers.append(int(token.attrGet("start") or 1) if token.type.startswith("ordered") else None)
        else:
            self._numbers.pop()

    def _item(self, token: Token, edge: str) -> None:
        if self._marker:  # the item before is empty, or begins with a list
            self._begin()
        self._separate("\n")
        if edge == "close":
            return
        number = self._numbers[-1]
        if number is None:
            mark = "+" if token.markup == "+" else "-"
        else:
            mark = f"{number}{token.markup}"
            self._numbers[-1] = number + 1
        self._marker = "  " * (len(self._numbers) - 1) + mark + " "

    def _quote(self, edge: str) -> None:
        self._separate("\n\n")
        self._quotes += 1 if edge == "open" else -1
        if edge == "open" and self._quotes == 1:
            self._open("quote")
        elif edge == "close" and self._quotes == 0:
            self._close("quote")

    def _inline(self, token: Token) -> None:
        name, _, edge = token.type.rpartition("_")
        if token.type in {"softbreak", "hardbreak"}:
            self._write("\n")
        elif token.type == "code_inline":
            self._open("code")
            self._write(token.content)
            self._close("code")
        elif name == "link":
            self._link(str(token.attrGet("href") or ""), edge)
        elif name in _KINDS:
            (self._open if edge == "open" else self._close)(_KINDS[name])
        else:
            self._write(token.content)

    def _link(self, url: str, edge: str) -> None:
        if edge == "open":
            self._open("link", url)
            return
        start, target = self._close("link")
        words = "".join(self._out)[start:].strip()
        if not words:
            self._write(target)
        elif not self._links and target not in {words, f"mailto:{words}", f"tel:{words}"}:
            self._write(f" ({target})")

    def _separate(self, gap: str) -> None:
        if self._out and not self._fresh and len(gap) > len(self._gap):
            self._gap = gap

    def _begin(self) -> None:
        """What comes before the next words: an empty line, the marker of a list's item."""
        lead, self._gap, self._marker = self._gap + self._marker, "", ""
        if lead:
            self._out.append(lead)
            self._length += len(lead)

    def _write(self, text: str) -> None:
        self._begin()
        self._fresh = False
        self._out.append(text)
        self._length += len(text)

    def _open(self, kind: str, url: str | None = None) -> None:
        if kind == "quote":
            gap, self._gap, self._fresh = self._gap, "", True
            self._out.append(gap)
            self._length += len(gap)
        else:
            self._begin()
        self._count += 1
        self._opened.append((self._length, self._count, kind, url))

    def _close(self, kind: str) -> tuple[int, str]:
        start, count, _, url = self._opened.pop()
        hidden = kind == "link" and not self._links
        if start < self._length and not hidden:
            self._spans.append((start, count, Span(start, self._length, kind, url)))
        return start, url or ""


def _without_sums(tokens: list[Token]) -> list[Token]:
    """Asterisks between letters or digits on both sides (2*3*4) are meant as they are, whatever CommonMark says."""
    opened: list[int] = []
    for place, token in enumerate(tokens):
        if token.type == "em_open":
            opened.append(place)
        elif token.type == "em_close":
            start = opened.pop()
            before = tokens[start - 1].content[-1:] if start else ""
            after = tokens[place + 1].content[:1] if place + 1 < len(tokens) else ""
            if before.isalnum() and after.isalnum():
                for edge in (tokens[start], token):
                    edge.type, edge.content = "text", edge.markup
    return tokens
