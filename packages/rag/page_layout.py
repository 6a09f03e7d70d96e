"""Lines of printed pages to headings, paragraphs and lists.

A text layer has lines only; what they belong to is told by their length, their ends and their beginnings. Running
heads and page numbers are dropped, words divided at a line's end are joined.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence

from packages.rag.documents import BlockKind
from packages.rag.parsing import Outline, clean, one_line
from packages.rag.tables import add_rows

_BULLET = re.compile(r"^(?:[•●▪◦‣·∙*–-]|\d{1,2}[.)]|[a-z][.)]|\([a-z0-9]{1,3}\))\s+\S")
_NUMBERED = re.compile(r"^(\d{1,2}(?:\.\d{1,2}){0,4})\.?\s+[^\W\d_]")
_NAMED = re.compile(r"^(?:chapter|section|part|article|appendix|annex)\s+[\dIVXLA-Z]+\b", re.IGNORECASE)
_ENDS = re.compile(r"[.!?:;,…。！？]['\"”’)\]]*$")
_DIVIDED = re.compile(r"[^\W\d_]-$")
_LONGEST_HEADING = 90
_MOST_HEADING_WORDS = 12
_FEW_LINES = 3
_RUNNING_EDGE = 2


def table_mark(number: int) -> str:
    """The line that stands for a page's table; it ends as a sentence does, so it is never a running head."""
    return f"\ufffc{number}."


class PageLayout:
    """Turns the lines of one page after another into blocks.

    Args:
        pages: the lines of each page.
        bookmarks: heading texts (folded to one line) with their level, where the document names them itself.
    """

    def __init__(self, pages: Sequence[Sequence[str]], bookmarks: Mapping[str, int]) -> None:
        self.outline = Outline()
        self._bookmarks = bookmarks
        self._running = _running_lines(pages)
        lengths = sorted(len(line) for page in pages for line in page if line)
        self._width = lengths[int(len(lengths) * 0.9)] if lengths else 0
        self._kind = BlockKind.PARAGRAPH
        self._lines: list[str] = []
        self._tables: Mapping[str, Sequence[Sequence[str]]] = {}

    def add_page(
        self, number: int, lines: Sequence[str], tables: Mapping[str, Sequence[Sequence[str]]] | None = None
    ) -> None:
        """Read a page; `number` counts from 1, `tables` are the rows of each table by the line that stands for it."""
        self.outline.page = number
        self._tables = tables or {}
        kept = _without_running(lines, self._running)
        for index, line in enumerate(kept):
            following = next((item for item in kept[index + 1 :] if item), "")
            self._take(line, following)
        self._flush()

    def _take(self, line: str, following: str) -> None:
        if line in self._tables:
            self._flush()
            add_rows(self._tables[line], self.outline)
            return
        if not line:
            if not (self._lines and following[:1].islower() and not _ENDS.search(self._lines[-1])):
                self._flush()
            return
        level = self._heading_level(line, following)
        if level is not None:
            self._flush()
            self.outline.heading(level, line)
        elif _BULLET.match(line):
            if self._kind is not BlockKind.LIST:
                self._flush()
            self._kind = BlockKind.LIST
            self._lines.append(line)
        else:
            self._continue(line)

    def _continue(self, line: str) -> None:
        before = self._lines[-1] if self._lines else ""
        if self._kind is BlockKind.LIST and before and self._ends_block(before, line):
            self._flush()
            before = ""
        if not before:
            self._lines.append(line)
        elif _DIVIDED.search(before) and line[:1].islower():
            self._lines[-1] = before[:-1] + line
        elif self._kind is BlockKind.PARAGRAPH and self._is_short(before) and not line[:1].islower():
            self._lines.append(line)
        else:
            self._lines[-1] = f"{before} {line}"

    def _ends_block(self, before: str, line: str) -> bool:
        """Whether a list is over: its last line came to an end, and this one begins anew."""
        last_line_length = len(before) % max(self._width, 1)
        return bool(_ENDS.search(before)) and not line[:1].islower() and last_line_length < 0.8 * self._width

    def _is_short(self, line: str) -> bool:
        return len(line) < 0.6 * self._width

    def _flush(self) -> None:
        self.outline.add(self._kind, clean("\n".join(self._lines)))
        self._kind = BlockKind.PARAGRAPH
        self._lines = []

    def _heading_level(self, line: str, following: str) -> int | None:
        """The level if this line is a heading; the first of the document is its title, at level 1."""
        if self._bookmarks:
            return self._bookmarks.get(one_line(line).casefold())
        if not _may_be_heading(line):
            return None
        numbered = _NUMBERED.match(line)
        before = self._lines[-1] if self._lines else ""
        is_first = not self.outline.blocks and not before
        if numbered and not self._is_short(following) and (not before or _ENDS.search(before)):
            return 1 + len(numbered.group(1).split("."))
        begins = not before or (_ENDS.search(before) is not None and self._kind is BlockKind.PARAGRAPH)
        is_shouted = line.isupper() and len(line) > 3
        if begins and (is_shouted or _NAMED.match(line) or self._stands_over_text(line, following)):
            return 1 if is_first else 2
        return None

    def _stands_over_text(self, line: str, following: str) -> bool:
        long_enough = len(following) >= 0.6 * self._width and len(following) > len(line)
        return self._is_short(line) and long_enough and not following[:1].islower()


def _may_be_heading(line: str) -> bool:
    words = line.split()
    return (
        len(line) <= _LONGEST_HEADING
        and len(words) <= _MOST_HEADING_WORDS
        and not _ENDS.search(line)
        and (line[0].isupper() or line[0].isdigit() or not line[0].isascii())
        and any(letter.isalpha() for letter in line)
        and not line.startswith(("•", "●"))
    )


def _running_lines(pages: Sequence[Sequence[str]]) -> frozenset[str]:
    """Lines that stand at the edge of at least half of the pages, but for their numbers; sentences never do."""
    counts: Counter[str] = Counter()
    full = 0
    for page in pages:
        texts = [line for line in page if line]
        if len(texts) > _FEW_LINES:
            full += 1
            edge = (*texts[:_RUNNING_EDGE], *texts[-_RUNNING_EDGE:])
            counts.update({_shape(line) for line in edge if not _ENDS.search(line)})
    return frozenset(shape for shape, count in counts.items() if full > _FEW_LINES and count >= full / 2)


def _without_running(lines: Sequence[str], running: frozenset[str]) -> list[str]:
    texts = [index for index, line in enumerate(lines) if line]
    if len(texts) <= _FEW_LINES:
        return list(lines)
    edge = {*texts[:_RUNNING_EDGE], *texts[-_RUNNING_EDGE:]}
    return [line for index, line in enumerate(lines) if index not in edge or _shape(line) not in running]


def _shape(line: str) -> str:
    return re.sub(r"\d+", "#", line.casefold())
