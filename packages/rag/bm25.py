"""Okapi BM25 (Robertson & Zaragoza, 2009) over postings, with numpy: the same scores in every store.

idf is ln(1 + (N - df + 0.5) / (df + 0.5)), which is never negative. k1 and b are the customary 1.2 and 0.75.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

K1 = 1.2
B = 0.75
_POSITIONS = 1 << 32

SOURCE = np.dtype("S16")
"""A source's id as its bytes: thousands of them are compared, and few become a UUID."""
_DIGITS = 9
"""Sums of the same parts in another order differ behind these; chunks with the same words must not."""

Place = tuple[UUID, int]
"""Where a chunk is: its source and its position there."""


def source_keys(sources: Collection[UUID]) -> NDArray[np.bytes_]:
    """The ids as their bytes, in the order given, which sort like the ids."""
    return np.array([source.bytes for source in sources], dtype=SOURCE)


@dataclass(frozen=True, slots=True)
class Postings:
    """Where the terms of a question stand, in runs of places: one run per term and source, in any order.

    `sources` (see `source_keys`), `terms` (counted from 0 in the question) and `counts` have an item per run;
    `positions`, `frequencies` and `lengths` have one per place, the runs end to end.
    """

    sources: NDArray[np.bytes_]
    terms: NDArray[np.integer]
    counts: NDArray[np.integer]
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
        sources: the sources in ascending order (see `source_keys`).
        keys: ascending; the number of the source in `sources` times 2 to the 32nd, plus the position.
        bm25: parallel to `keys`.
        coverage: parallel to `keys`.
        ideal: what BM25 could reach at most for this question: each term's idf times k1 + 1.
    """

    def __init__(
        self,
        sources: NDArray[np.bytes_],
        keys: NDArray[np.int64],
        bm25: NDArray[np.float64],
        coverage: NDArray[np.float64],
        ideal: float,
    ) -> None:
        self._sources = sources
        self._keys, self._bm25, self._coverage = keys, bm25, coverage
        self.ideal = ideal

    def __len__(self) -> int:
        """How many chunks have a score."""
        return len(self._keys)

    def of(self, places: Collection[Place]) -> dict[Place, LexicalScore]:
        """The scores of these chunks; zeros for one that holds no term."""
        if not len(self._keys):
            return dict.fromkeys(places, NO_SCORE)
        numbers, known = self._numbers([source for source, _ in places])
        wanted = numbers * _POSITIONS + np.array([position for _, position in places], dtype=np.int64)
        rows = np.minimum(self._keys.searchsorted(wanted), len(self._keys) - 1)
        held = (known & (self._keys[rows] == wanted)).tolist()
        scores = zip(places, held, self._bm25[rows].tolist(), self._coverage[rows].tolist(), strict=True)
        return {place: LexicalScore(bm25, coverage) if holds else NO_SCORE for place, holds, bm25, coverage in scores}

    def last_positions(self, sources: Collection[UUID]) -> dict[UUID, int]:
        """The position of each source's last chunk that holds a term; -1 if none does."""
        if not len(self._keys):
            return dict.fromkeys(sources, -1)
        numbers, known = self._numbers(sources)
        last = self._keys[self._keys.searchsorted((numbers + 1) * _POSITIONS) - 1] % _POSITIONS
        return dict(zip(sources, np.where(known, last, -1).tolist(), strict=True))

    def best(self, limit: int, source_ids: Collection[UUID] | None = None) -> list[Place]:
        """The places with the highest BM25, best first, of these sources only if any are named.

        Equal scores are ranked by the later source, then by the earlier position.
        """
        rows = np.arange(len(self._keys))
        if source_ids is not None:
            allowed = np.isin(self._sources, source_keys(source_ids))
            rows = rows[allowed[self._keys // _POSITIONS]] if len(rows) else rows
        if len(rows) > limit > 0:
            scores = self._bm25[rows]
            rows = rows[scores >= np.partition(scores, len(rows) - limit)[len(rows) - limit]]
        numbers, positions = np.divmod(self._keys[rows], _POSITIONS)
        order = np.lexsort((positions, -numbers, -self._bm25[rows]))[:limit]
        sources = [UUID(bytes=source.ljust(16, b"\0")) for source in self._sources[numbers[order]].tolist()]
        return list(zip(sources, positions[order].tolist(), strict=True))

    def _numbers(self, sources: Collection[UUID]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """Where the sources stand among ours, and whether they do."""
        keys = source_keys(sources)
        numbers = np.minimum(self._sources.searchsorted(keys), len(self._sources) - 1)
        return numbers.astype(np.int64), self._sources[numbers] == keys


def score(postings: Postings, terms: int, corpus: CorpusStatistics) -> LexicalScores:
    """Score every chunk that holds one of a question's `terms` terms.

    A term that stands nowhere still counts against coverage.
    """
    counts = np.asarray(postings.counts, dtype=np.int64)
    term_of_run = np.asarray(postings.terms, dtype=np.int64)
    idf = inverse_document_frequency(corpus.chunks, np.bincount(term_of_run, weights=counts, minlength=terms))
    sources, number_of_run = np.unique(postings.sources, return_inverse=True)
    keys, rows = np.unique(
        np.repeat(number_of_run * _POSITIONS, counts) + postings.positions.astype(np.int64), return_inverse=True
    )
    idf_of_place = np.repeat(idf[term_of_run], counts)
    frequency, length = postings.frequencies.astype(np.float64), postings.lengths.astype(np.float64)
    average = max(corpus.terms, 1) / max(corpus.chunks, 1)
    parts = idf_of_place * frequency * (K1 + 1) / (frequency + K1 * (1 - B + B * length / average))
    bm25 = np.bincount(rows, weights=parts, minlength=len(keys)).astype(np.float64, copy=False).round(_DIGITS)
    covered = np.bincount(rows, weights=idf_of_place, minlength=len(keys))
    mass = float(idf.sum())
    return LexicalScores(sources, keys, bm25, covered / max(mass, np.finfo(np.float64).tiny), mass * (K1 + 1))


def inverse_document_frequency(chunks: int, containing: Any) -> NDArray[np.float64]:
    """How much terms tell, from how many chunks hold each (a number or an array of them)."""
    holding = np.asarray(containing, dtype=np.float64)
    result: NDArray[np.float64] = np.log(1 + (np.maximum(chunks, holding) - holding + 0.5) / (holding + 0.5))
    return result
