"""Okapi BM25 (Robertson & Zaragoza, 2009) over postings, with numpy: the same scores in every store.

idf is ln(1 + (N - df + 0.5) / (df + 0.5)), which is never negative. k1 and b are the customary 1.2 and 0.75.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

K1 = 1.2
B = 0.75
_POSITIONS = 1 << 32

Place = tuple[UUID, int]
"""Where a chunk is: its source and its position there."""


@dataclass(frozen=True, slots=True)
class Postings:
    """Where the terms of a question stand, in runs of places: one run per term and source, in the terms' order.

    `sources`, `terms` (counted from 0 in the question) and `counts` have an item per run; `positions`, `frequencies`
    and `lengths` have one per place, the runs end to end.
    """

    sources: Sequence[UUID]
    terms: Sequence[int]
    counts: Sequence[int]
    positions: NDArray[np.integer]
    frequencies: NDArray[np.integer]
    lengths: NDArray[np.integer]


@dataclass(frozen=True, slots=True)
class CorpusStatistics:
    """Of one brand: how many chunks, and how many terms they hold together."""

    chunks: int
    terms: int


@dataclass(frozen=True, slots=True)
class LexicalScore:
    """BM25, and the share of the question's idf mass that the chunk contains."""

    bm25: float
    coverage: float


NO_SCORE = LexicalScore(0.0, 0.0)


class LexicalScores:
    """The scores of every chunk that holds one of the terms.

    Args:
        sources: the sources in their order.
        keys: ascending; the number of the source in `sources` times 2 to the 32nd, plus the position.
        bm25: parallel to `keys`.
        coverage: parallel to `keys`.
        ideal: what BM25 could reach at most for this question: each term's idf times k1 + 1.
    """

    def __init__(
        self,
        sources: Sequence[UUID],
        keys: NDArray[np.int64],
        bm25: NDArray[np.float64],
        coverage: NDArray[np.float64],
        ideal: float,
    ) -> None:
        self._sources = sources
        self._numbers = {source: number for number, source in enumerate(sources)}
        self._keys, self._bm25, self._coverage = keys, bm25, coverage
        self.ideal = ideal

    def __len__(self) -> int:
        """How many chunks have a score."""
        return len(self._keys)

    def of(self, places: Collection[Place]) -> dict[Place, LexicalScore]:
        """The scores of these chunks; zeros for one that holds no term."""
        known = {
            place: self._numbers[place[0]] * _POSITIONS + place[1] for place in places if place[0] in self._numbers
        }
        wanted = np.fromiter(known.values(), dtype=np.int64, count=len(known))
        rows = np.minimum(self._keys.searchsorted(wanted), len(self._keys) - 1)
        held = (self._keys[rows] == wanted).tolist()
        scores = zip(known, held, self._bm25[rows].tolist(), self._coverage[rows].tolist(), strict=True)
        found = {place: LexicalScore(bm25, coverage) for place, holds, bm25, coverage in scores if holds}
        return {place: found.get(place, NO_SCORE) for place in places}

    def last_position(self, source: UUID) -> int:
        """The position of the source's last chunk that holds a term; -1 if none does."""
        number = self._numbers.get(source)
        if number is None:
            return -1
        row = int(self._keys.searchsorted((number + 1) * _POSITIONS)) - 1
        return int(self._keys[row] % _POSITIONS)

    def best(self, limit: int, source_ids: frozenset[UUID] | None = None) -> list[Place]:
        """The places with the highest BM25, best first, of these sources only if any are named.

        Equal scores are ranked by the later source, then by the earlier position.
        """
        rows = np.arange(len(self._keys))
        if source_ids is not None:
            allowed = np.array([source in source_ids for source in self._sources], dtype=np.bool_)
            rows = rows[allowed[self._keys // _POSITIONS]] if len(rows) else rows
        if len(rows) > limit > 0:
            scores = self._bm25[rows]
            rows = rows[scores >= np.partition(scores, len(rows) - limit)[len(rows) - limit]]
        numbers, positions = np.divmod(self._keys[rows], _POSITIONS)
        order = np.lexsort((positions, -numbers, -self._bm25[rows]))[:limit]
        ranked = zip(numbers[order].tolist(), positions[order].tolist(), strict=True)
        return [(self._sources[number], position) for number, position in ranked]


def score(postings: Postings, terms: int, corpus: CorpusStatistics) -> LexicalScores:
    """Score every chunk that holds one of a question's `terms` terms.

    A term that stands nowhere still counts against coverage.
    """
    counts = np.asarray(postings.counts, dtype=np.int64)
    term_of_run = np.asarray(postings.terms, dtype=np.int64)
    idf = inverse_document_frequency(corpus.chunks, np.bincount(term_of_run, weights=counts, minlength=terms))
    sources = sorted(set(postings.sources))
    numbers = {source: number for number, source in enumerate(sources)}
    number_of_run = np.array([numbers[source] for source in postings.sources], dtype=np.int64)
    keys, rows = np.unique(
        np.repeat(number_of_run * _POSITIONS, counts) + postings.positions.astype(np.int64), return_inverse=True
    )
    idf_of_place = np.repeat(idf[term_of_run], counts)
    frequency, length = postings.frequencies.astype(np.float64), postings.lengths.astype(np.float64)
    average = max(corpus.terms, 1) / max(corpus.chunks, 1)
    parts = idf_of_place * frequency * (K1 + 1) / (frequency + K1 * (1 - B + B * length / average))
    # Sums are made term by term, so chunks with the same words have the very same score in every store.
    bm25 = np.bincount(rows, weights=parts, minlength=len(keys)).astype(np.float64, copy=False)
    covered = np.bincount(rows, weights=idf_of_place, minlength=len(keys))
    mass = float(idf.sum())
    return LexicalScores(sources, keys, bm25, covered / max(mass, np.finfo(np.float64).tiny), mass * (K1 + 1))


def inverse_document_frequency(chunks: int, containing: Any) -> NDArray[np.float64]:
    """How much terms tell, from how many chunks hold each (a number or an array of them)."""
    holding = np.asarray(containing, dtype=np.float64)
    result: NDArray[np.float64] = np.log(1 + (np.maximum(chunks, holding) - holding + 0.5) / (holding + 0.5))
    return result
