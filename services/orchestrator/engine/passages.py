"""Chunks to passages: the smallest pieces that can answer on their own. Offsets point into the chunk's own text."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from packages.rag.documents import Hit, in_context
from packages.rag.sentences import spans

MAX_CHARACTERS = 600

_ITEM = re.compile(r"\s*(?:[-*\u2022\u2013]|\d{1,3}[.)])\s+")
_TABLE_RULE = re.compile(r"^[|\s:-]+$")


@dataclass(frozen=True, slots=True)
class Passage:
    """`hit.text[start:end]`, verbatim. `order` counts from 0 within the chunk."""

    hit: Hit
    start: int
    end: int
    order: int

    @property
    def text(self) -> str:
        """The words themselves."""
        return self.hit.text[self.start : self.end]

    @property
    def heading(self) -> str:
        """What the passage is about, in its author's words: the FAQ's question, or the innermost heading."""
        if self.hit.kind == "faq":
            return self.hit.text.split("\n", 1)[0]
        return self.hit.headings[-1] if self.hit.headings else self.hit.title

    @property
    def in_context(self) -> str:
        """The passage under its heading, as it is compared with a question."""
        return in_context("", (self.heading,), self.text)


def passages(hit: Hit) -> list[Passage]:
    """The passages of one chunk: sentences, whole lists with their lead-in, table rows, the answer of a FAQ."""
    borders = _faq_answer(hit.text) if hit.kind == "faq" else _merge_lists(hit.text, spans(hit.text))
    return [Passage(hit, start, end, order) for order, (start, end) in enumerate(borders)]


def _faq_answer(text: str) -> list[tuple[int, int]]:
    question, _, answer = text.partition("\n")
    if not answer.strip():
        return [(0, len(text))]
    offset = len(question) + 1
    sentences = [(offset + start, offset + end) for start, end in spans(answer)]
    within = [end for _, end in sentences if end - sentences[0][0] <= MAX_CHARACTERS]
    return [(sentences[0][0], within[-1] if within else sentences[0][1])]


def _merge_lists(text: str, borders: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """A lead-in that ends in a colon and the items below it are one passage, as far as it stays readable."""
    return list(_merged(text, [border for border in borders if not _TABLE_RULE.match(text[slice(*border)])]))


def _merged(text: str, borders: list[tuple[int, int]]) -> Iterator[tuple[int, int]]:
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
            if not (is_item or same_line or opens) or following[1] - start > MAX_CHARACTERS:
                break
            end, opens = following[1], False
            index += 1
        yield start, end
