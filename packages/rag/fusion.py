"""Reciprocal rank fusion (Cormack, Clarke & Büttcher, 2009): one ranking from several whose scores do not compare."""

from collections.abc import Sequence
from heapq import nlargest

from packages.rag.bm25 import Place

K = 60
"""Keeps one list's first rank from deciding alone; the value of the paper."""


def fuse(rankings: Sequence[Sequence[Place]], limit: int) -> list[tuple[Place, float]]:
    """The best `limit` places with their score, best first.

    A place scores the sum of 1 / (K + rank) over the lists that hold it, scaled so that the first of all lists has 1.
    """
    scores: dict[Place, float] = {}
    for ranking in rankings:
        for rank, place in enumerate(ranking, start=1):
            scores[place] = scores.get(place, 0.0) + (K + 1) / (K + rank) / len(rankings)
    return nlargest(limit, scores.items(), key=lambda item: (item[1], item[0][0].int, -item[0][1]))
