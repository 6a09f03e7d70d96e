"""Whether an answer is right: by its words, its meaning, the source it cites, or by being none.

Two answers say the same if one holds most of the other's content words, or their embeddings are close; and if both
name numbers, they must share one. That is lenient on wording, not on figures.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from packages.rag.embeddings import Embedder
from packages.rag.lexical import terms

SHARED_WORDS = 0.6
ALIKE = 0.75
"""Cosine from which on two answers are taken to say the same."""
_NUMBER = re.compile(r"\d+(?:[.,:]\d+)*")
_MARKS = re.compile(r"\s*\[\d{1,3}\]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What an item expects."""

    answer: str | None = None
    source_ids: frozenset[str] = frozenset()
    abstain: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """What came."""

    text: str
    abstained: bool
    cited: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """`answer` and `source` are None where nothing was expected. `likeness` is the cosine to the expected answer."""

    abstention: bool
    answer: bool | None = None
    source: bool | None = None
    likeness: float | None = None

    @property
    def passed(self) -> bool:
        """Whether all that was expected came."""
        return self.abstention and self.answer is not False and self.source is not False

    def checks(self) -> dict[str, bool | None]:
        """For the result."""
        return {"abstention": self.abstention, "answer": self.answer, "source": self.source}


async def judge(embedder: Embedder, expected: Expected, given: Given) -> Judgement:
    """Judge one answer.

    Raises:
        Unavailable: the embedding provider is away.
    """
    if expected.abstain or given.abstained:
        missed = None if expected.abstain else False
        return Judgement(
            abstention=expected.abstain == given.abstained,
            answer=missed if expected.answer else None,
            source=missed if expected.source_ids else None,
        )
    source = bool(expected.source_ids & given.cited) if expected.source_ids else None
    if not expected.answer:
        return Judgement(abstention=True, source=source)
    said = _MARKS.sub("", given.text)
    vectors = await embedder.embed([expected.answer, said])
    likeness = float(vectors[0] @ vectors[1])
    same = _figures_agree(expected.answer, said) and (likeness >= ALIKE or _share_words(expected.answer, said))
    return Judgement(abstention=True, answer=same, source=source, likeness=round(likeness, 4))


def _share_words(expected: str, said: str) -> bool:
    one, other = set(terms(expected)), set(terms(said))
    smaller = min(len(one), len(other))
    return smaller > 0 and len(one & other) >= SHARED_WORDS * smaller


def _figures_agree(expected: str, said: str) -> bool:
    one, other = set(_NUMBER.findall(expected)), set(_NUMBER.findall(said))
    return not one or not other or bool(one & other)


def cited_sources(citations: Sequence[object]) -> frozenset[str]:
    """The sources of citations as they are stored."""
    return frozenset(str(item["source_id"]) for item in citations if isinstance(item, dict))
