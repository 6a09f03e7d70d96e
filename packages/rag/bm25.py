"""Okapi BM25 (Robertson & Zaragoza, 2009) over postings, with numpy: the same scores in every store.

idf is ln(1 + (N - df + 0.5) / (df + 0.5)), which is never negative. k1 and b are the customary 1.2 and 0.75.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from heapq import nlargest
from itertools import chain
from math import log
from uuid import UUID

import numpy as np

K1 = 1.2
B = 0.75

Place = tuple[UUID, int]
"""Where a chunk is: its source and its position there."""


@dataclass(frozen=True, slots=True)
class Posting:
    """Where one term stands in one source: parallel sequences over the source's chunks."""

    source_id: UUID
    term: str
    positions: Sequence[int]
    frequencies: Sequence[int]
    lengths: Sequence[int]


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


def score(postings: Iterable[Posting], terms: Sequence[str], corpus: CorpusStatistics) -> dict[Place, LexicalScore]:
    """Every chunk that holds one of the terms, scored. A term that stands nowhere still counts against coverage."""
    by_term: dict[str, list[Posting]] = defaultdict(list)
    for posting in postings:
        by_term[posting.term].append(posting)
    rows: dict[Place, int] = {}
    bm25 = np.zeros(1024)
    covered = np.zeros(1024)
    average = max(corpus.terms, 1) / max(corpus.chunks, 1)
    mass = 0.0
    for term in terms:
        found = by_term.get(term, [])
        count = sum(len(posting.positions) for posting in found)
        idf = inverse_document_frequency(corpus.chunks, count)
        mass += idf
        if not found:
            continue
        index = [
            rows.setdefault((posting.source_id, place), len(rows)) for posting in found for place in posting.positions
        ]
        if len(rows) > len(bm25):
            bm25, covered = (np.concatenate([array, np.zeros(len(rows) * 2)]) for array in (bm25, covered))
        frequency = np.fromiter(chain.from_iterable(posting.frequencies for posting in found), dtype=np.float64)
        length = np.fromiter(chain.from_iterable(posting.lengths for posting in found), dtype=np.float64)
        bm25[index] += idf * frequency * (K1 + 1) / (frequency + K1 * (1 - B + B * length / average))
        covered[index] += idf
    return {place: LexicalScore(float(bm25[row]), float(covered[row] / mass)) for place, row in rows.items()}


def inverse_document_frequency(chunks: int, containing: int) -> float:
    """How much a term tells, from how many chunks hold it."""
    return log(1 + (max(chunks, containing) - containing + 0.5) / (containing + 0.5))


NO_SCORE = LexicalScore(0.0, 0.0)


def best(scores: dict[Place, LexicalScore], limit: int, source_ids: frozenset[UUID] | None = None) -> list[Place]:
    """The places with the highest BM25, best first, of these sources only if any are named."""
    allowed = scores if source_ids is None else [place for place in scores if place[0] in source_ids]
    return nlargest(limit, allowed, key=lambda place: (scores[place].bm25, place[0].int, -place[1]))
