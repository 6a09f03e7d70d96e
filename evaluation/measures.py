"""How good a ranking is."""

from collections.abc import Hashable, Iterable, Mapping, Sequence
from math import log2
from typing import TypeVar

Item = TypeVar("Item", bound=Hashable)

RRF_K = 60


def ndcg(ranked: Sequence[Item], relevant: Mapping[Item, int], depth: int = 10) -> float:
    """Normalised discounted cumulative gain (Järvelin & Kekäläinen, 2002), gains 2^grade - 1; 0 to 1."""
    gained = _discounted([relevant.get(item, 0) for item in ranked[:depth]])
    ideal = _discounted(sorted(relevant.values(), reverse=True)[:depth])
    return gained / ideal if ideal else 0.0


def recall(ranked: Sequence[Item], relevant: Mapping[Item, int], depth: int) -> float:
    """The share of what is relevant among the first `depth`, of as many as there can be."""
    wanted = {item for item, grade in relevant.items() if grade > 0}
    return len(wanted & set(ranked[:depth])) / max(1, min(len(wanted), depth))


def reciprocal_rank_fusion(rankings: Iterable[Sequence[Item]]) -> list[Item]:
    """One ranking from several (Cormack, Clarke & Büttcher, 2009); what retrieval is compared with."""
    scores: dict[Item, float] = {}
    for ranking in rankings:
        for rank, item in enumerate(ranking, start=1):
            scores[item] = scores.get(item, 0.0) + 1 / (RRF_K + rank)
    return sorted(scores, key=lambda item: -scores[item])


def _discounted(grades: Sequence[int]) -> float:
    return float(sum((2**grade - 1) / log2(rank + 1) for rank, grade in enumerate(grades, start=1)))
