"""Answers in the documents' own words: the shortest passages that answer, verbatim, at most three.

No language model takes part. Passages of the best chunks are scored by the likeness of their embedding to the question
and by the question's terms that they hold; `confidence` says whether what came out answers at all.
"""

import asyncio
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b

import numpy as np
from cachetools import LRUCache
from numpy.typing import NDArray

from packages.rag.documents import Hit
from packages.rag.embeddings import Embedder, Vectors
from packages.rag.lexical import query_terms, terms
from services.orchestrator.engine.confidence import Signals, confidence
from services.orchestrator.engine.passages import MAX_CHARACTERS, Passage, passages

MAX_PASSAGES = 12
"""Passages that are embedded; an embedding is what costs. Terms decide which, and the rank of their chunk."""

EMBEDDED_CHARACTERS = 320
MAX_SPANS = 3
CACHED_BYTES = 8_000_000
"""Of passages' vectors: some 4,500 of 384 numbers."""

LIKENESS, OVERLAP, HEADING, NUMBER = 0.6, 0.3, 0.1, 0.06
"""Weights of a passage's likeness, of the terms it holds, of those in its heading, of a number that was asked for."""

HEADING_ANSWERS = 0.6
"""Share of the question's terms in a heading from which on the section as a whole is taken to be the answer."""
SECTION_CHARACTERS = 420
COMPANION = 0.92
"""A passage of another chunk joins the answer only if it scores nearly as well and adds terms of the question."""


_DIGIT = re.compile(r"\d")
_ASKS_FOR_NUMBER = re.compile(
    r"\b(?:when|what (?:time|year|date|age)|how (?:many|much|long|old|far|big|tall|often)|cu[aá]ndo|cu[aá]nt[oa]s?|"
    r"quand|"
    r"combien|wann|wie (?:viele?|lange|oft|alt)|quando|quant[oa]s?|quanto|wanneer|hoe (?:veel|lang|oud))\b|几|"
    r"多少|多久|什么时候",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Scored:
    """A passage with what speaks for it: `likeness` is a cosine, `overlap` and `heading` are shares of terms."""

    passage: Passage
    likeness: float
    overlap: float
    heading: float
    covers: frozenset[str]
    has_wanted_number: bool = False

    @property
    def score(self) -> float:
        """One number to rank by."""
        known = OVERLAP * self.overlap + HEADING * self.heading + NUMBER * self.has_wanted_number
        return LIKENESS * self.likeness + known


@dataclass(frozen=True, slots=True)
class Extract:
    """Passages that answer, best first, how sure that is (0..1), and the signals behind it."""

    passages: tuple[Passage, ...]
    confidence: float
    signals: Signals


class ExtractiveAnswerer:
    """Chooses passages. Vectors of passages are kept, since customers ask about the same pages again and again."""

    name = "extractive"

    def __init__(self, embedder: Embedder) -> None:
        self._embedder = embedder
        self._vectors: LRUCache[bytes, NDArray[np.float32]] = LRUCache(CACHED_BYTES, getsizeof=_cached_size)

    async def answer(self, question: str, hits: Sequence[Hit], language: str | None = None) -> Extract | None:
        """The passages that answer the question best; None if there is nothing to choose from."""
        scored = await self.scored(question, hits, language)
        if not scored:
            return None
        best = max(scored, key=lambda item: item.score)
        signals = Signals.of(hits, [item.likeness for item in scored], best.overlap)
        return Extract(tuple(_choose(scored, best)), confidence(signals), signals)

    async def scored(
        self, question: str, hits: Sequence[Hit], language: str | None = None, most: int = MAX_PASSAGES
    ) -> list[Scored]:
        """The hits' passages with what speaks for each, in their order; those with most of the question's terms."""
        matched = await asyncio.to_thread(_matched, question, hits, language, most)
        if not matched:
            return []
        texts = [item.passage.in_context[:EMBEDDED_CHARACTERS] for item in matched]
        vectors = await self._embed([question, *texts])
        likeness = vectors[1:] @ vectors[0]
        return [replace(item, likeness=float(cosine)) for item, cosine in zip(matched, likeness, strict=True)]

    async def _embed(self, texts: Sequence[str]) -> Vectors:
        keys = [blake2b(text.encode(), digest_size=16).digest() for text in texts]
        missing = {key: text for key, text in zip(keys, texts, strict=True) if key not in self._vectors}
        fresh = dict(zip(missing, await self._embedder.embed(list(missing.values())), strict=True)) if missing else {}
        found = [fresh[key] if key in fresh else self._vectors[key] for key in keys]
        for key, vector in fresh.items():
            self._vectors[key] = vector.copy()  # a row of a batch would keep the whole batch alive
        return np.stack(found)


def _cached_size(vector: NDArray[np.float32]) -> int:
    """Bytes of a remembered vector, with its key and what surrounds both."""
    return vector.nbytes + 250


def _matched(question: str, hits: Sequence[Hit], language: str | None, most: int) -> list[Scored]:
    """The passages worth embedding, in the order of the hits, their likeness still unknown."""
    wanted = frozenset(query_terms(question, language))
    matched = [_match(passage, wanted, language) for hit in hits for passage in passages(hit)]
    if _ASKS_FOR_NUMBER.search(question):
        matched = [replace(item, has_wanted_number=bool(_DIGIT.search(item.passage.text))) for item in matched]
    best_first = sorted(range(len(matched)), key=lambda index: -matched[index].overlap)
    return [matched[index] for index in sorted(best_first[:most])]


def _match(passage: Passage, wanted: frozenset[str], language: str | None) -> Scored:
    heading = wanted & set(terms(passage.heading, language))
    covers = heading | (wanted & set(terms(passage.text, language)))
    size = max(len(wanted), 1)
    return Scored(passage, 0.0, len(covers) / size, len(heading) / size, covers)


def _choose(scored: Sequence[Scored], best: Scored) -> list[Passage]:
    if best.heading >= HEADING_ANSWERS and best.passage.hit.kind != "faq":
        return [_section(passages(best.passage.hit))]
    chosen = [_with_sequel(best, scored)]
    covered = set(best.covers)
    for item in sorted(scored, key=lambda item: -item.score):
        if len(chosen) == MAX_SPANS or item.score < COMPANION * best.score:
            break
        if item.passage.hit is not best.passage.hit and item.covers - covered:
            chosen.append(item.passage)
            covered |= item.covers
    return chosen


def _section(of_chunk: Sequence[Passage]) -> Passage:
    """The beginning of a section, up to a readable length."""
    first = of_chunk[0]
    end = first.end
    for passage in of_chunk[1:]:
        begins_late = passage.start - first.start > SECTION_CHARACTERS
        if begins_late or (passage.end - first.start > SECTION_CHARACTERS and not passage.is_list):
            break
        end = passage.end
    return Passage(first.hit, first.start, end, first.order, first.above)


def _with_sequel(best: Scored, scored: Sequence[Scored]) -> Passage:
    """The passage, and the one behind it where that speaks to the question nearly as well."""
    passage = best.passage
    for item in scored:
        follows = item.passage.hit is passage.hit and item.passage.order == passage.order + 1
        follows = follows and not item.passage.text.startswith("|")
        if follows and item.score >= COMPANION * best.score and item.passage.end - passage.start <= MAX_CHARACTERS:
            return replace(passage, end=item.passage.end)
    return passage
