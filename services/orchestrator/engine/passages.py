"""Chunks to passages: the smallest pieces that can answer on their own. Offsets point into the chunk's own text.

A sentence; a list with its lead-in; a row of a table, read with the table's header; the answer below a question.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from packages.rag.documents import Hit, in_context
from packages.rag.sentences import spans

MAX_CHARACTERS = 600
LIST_CHARACTERS = 1200
"""Steps are of little use without the last of them."""

_ITEM = re.compile(r"\s*(?:[-*\u2022\u2013]|\d{1,3}[.)])\s+")
_TABLE_RULE = re.compile(r"^[|\s:-]+$")
_CELL_BORDER = re.compile(r"(?<!\\)\|")
_QUESTION_ENDS = ("?", "？", "؟")

Border = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Passage:
    """`hit.text[start:end]`, verbatim. `order` counts from 0 within the chunk.

    `above` is the line of the chunk that the passage is read under: the question it answers, or its table's header.
    """

    hit: Hit
    start: int
    end: int
    order: int
    above: str = ""

    @property
    def text(self) -> str:
        """The words themselves."""
        return self.hit.text[self.start : self.end]

    @property
    def is_list(self) -> bool:
        """Whether it has items."""
        return any(_ITEM.match(line) for line in self.text.splitlines())

    @property
    def shown(self) -> str:
        """The words as a customer reads them: the cells of a table's row behind the names of their columns."""
        if not self.text.startswith("|"):
            return self.text
        names, cells = _cells(self.above), _cells(self.text)
        if len(names) != len(cells):
            return " · ".join(cell for cell in cells if cell)
        pairs = zip(names, cells, strict=True)
        return "; ".join(f"{name}: {cell}" if name else cell for name, cell in pairs if cell)

    @property
    def heading(self) -> str:
        """What the passage is about, in its author's words: the question it answers, or the innermost heading."""
        if self.above.endswith(_QUESTION_ENDS):
            return self.above
        return self.hit.headings[-1] if self.hit.headings else self.hit.title

    @property
    def in_context(self) -> str:
        """The passage under its heading, as it is compared with a question."""
        return in_context("", (self.heading,), self.shown)


def passages(hit: Hit) -> list[Passage]:
    """The passages of one chunk, in their order."""
    if hit.kind == "faq":
        question, _, answer = hit.text.partition("\n")
        start, end = _faq_answer(question, answer) if answer.strip() else (0, len(hit.text))
        return [Passage(hit, start, end, 0, question)]
    return [
        Passage(hit, start, end, order, above) for order, (start, end, above) in enumerate(_with_lines_above(hit.text))
    ]


def _faq_answer(question: str, answer: str) -> Border:
    offset = len(question) + 1
    sentences = [(offset + start, offset + end) for start, end in spans(answer)]
    within = [end for _, end in sentences if end - sentences[0][0] <= MAX_CHARACTERS]
    return (sentences[0][0], within[-1] if within else sentences[0][1])


def _with_lines_above(text: str) -> Iterator[tuple[int, int, str]]:
    """The passages with the line each is read under; such a line is none itself, unless nothing stands under it."""
    borders = list(_merged(text, spans(text)))
    question = header = ""
    for index, (start, end) in enumerate(borders):
        piece = text[start:end]
        following = text[slice(*borders[index + 1])] if index + 1 < len(borders) else ""
        if _TABLE_RULE.match(piece):
            continue
        if _asks_alone(text, start, end) and following and not _asks_alone(text, *borders[index + 1]):
            question = piece
        elif piece.startswith("|") and following.startswith("|") and _TABLE_RULE.match(following):
            header = piece
            if index + 2 >= len(borders):
                yield start, end, ""
        else:
            yield start, end, header if piece.startswith("|") else question


def _asks_alone(text: str, start: int, end: int) -> bool:
    """Whether the passage is a line of its own that asks: what follows is its answer."""
    alone = text[end : end + 1] in ("", "\n") and (start == 0 or text[:start].endswith("\n"))
    return alone and text[start:end].endswith(_QUESTION_ENDS)


def _merged(text: str, borders: list[Border]) -> Iterator[Border]:
    """A lead-in that ends in a colon and the items below it are one passage, as far as it stays readable."""
    index = 0
    while index < len(borders):
        start, end = borders[index]
        index += 1
        opens = text[start:end].rstrip().endswith((":", "\uff1a"))
        in_list = opens or _ITEM.match(text[start:end]) is not None
        while in_list and index < len(borders):
            following = borders[index]
            is_item = _ITEM.match(text[slice(*following)]) is not None
            same_line = "\n" not in text[end : following[0]]
            if not (is_item or same_line or opens) or following[1] - start > LIST_CHARACTERS:
                break
            end, opens = following[1], False
            index += 1
        yield start, end


def _cells(row: str) -> list[str]:
    """The cells of a row of a pipe table."""
    return [cell.strip().replace("\\|", "|") for cell in _CELL_BORDER.split(row.strip().strip("|"))] if row else []
