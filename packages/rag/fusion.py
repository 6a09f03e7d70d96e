"""One ranking from cosine and BM25, by their values: how it was found and what it gives is in docs/adr/0011.

BM25 counts as the share of the best that the question could reach, so that it means the same whatever the size of the
corpus and the length of the question. An embedder that hardly knows the question's language is believed less. And a
chunk gains from the other chunks of its source: a document that speaks of the matter throughout beats one that
mentions it.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from heapq import nlargest
from uuid import UUID

from packages.rag.bm25 import LexicalScore, LexicalScores, Place

LEXICAL = 0.7
"""Weight of BM25's share beside the cosine's 1."""
UNFAMILIAR_DENSE, UNFAMILIAR_LEXICAL = 0.8, 1.5
"""What a wholly unfamiliar language takes from the cosine's weight, and adds to that of BM25, as shares of them."""
OF_SOURCE = 0.6
"""Weight of the source's mean beside a chunk's own score."""
BEST_OF_SOURCE = 3
"""Chunks whose mean stands for their source."""
_DIGITS = 6
"""Stores compute cosines in different precision; what differs only there ranks the same everywhere."""


@dataclass(frozen=True, slots=True)
class Fused:
    """A candidate's score, about 0 to 1, and what it was made of; `dense` is None where no cosine is known."""

    place: Place
    score: float
    dense: float | None
    lexical: LexicalScore


def fuse(
    cosines: Mapping[Place, float | None], lexical: LexicalScores, unfamiliarity: float, limit: int
) -> list[Fused]:
    """The best `limit` candidates, best first.

    Args:
        cosines: every candidate of either search with its cosine; None where it has no vector of this embedder, which
            counts like the farthest candidate.
        lexical: of the same question.
        unfamiliarity: 0 if the embedder knows the question's language, up to 1 if it does not.
        limit: most to return.
    """
    if not cosines:
        return []
    scores = lexical.of(cosines)
    farthest = min((cosine for cosine in cosines.values() if cosine is not None), default=0.0)
    dense_weight = 1 - UNFAMILIAR_DENSE * unfamiliarity
    lexical_weight = LEXICAL * (1 + UNFAMILIAR_LEXICAL * unfamiliarity)
    best = dense_weight + lexical_weight
    share = lexical_weight / max(lexical.ideal, 1e-9)
    own = {
        place: (dense_weight * (farthest if cosine is None else cosine) + share * scores[place].bm25) / best
        for place, cosine in cosines.items()
    }
    means = _means(own, lexical)
    final = {
        place: round((score + OF_SOURCE * means[place[0]]) / (1 + OF_SOURCE), _DIGITS) for place, score in own.items()
    }
    ranked = nlargest(limit, final.items(), key=lambda item: (item[1], item[0][0].int, -item[0][1]))
    return [Fused(place, score, cosines[place], scores[place]) for place, score in ranked]


def _means(own: Mapping[Place, float], lexical: LexicalScores) -> dict[UUID, float]:
    """By source, the mean of its best candidates; a chunk that is no candidate counts like the worst of all.

    How many chunks a source has is known from what was seen of it, so a short document is not punished for being short.
    """
    floor = min(own.values())
    by_source: defaultdict[UUID, list[float]] = defaultdict(list)
    last: dict[UUID, int] = {}
    for (source, position), score in own.items():
        by_source[source].append(score)
        last[source] = max(last.get(source, -1), position)
    seen = lexical.last_positions(last)
    return {
        source: _mean(scores, min(BEST_OF_SOURCE, max(last[source], seen[source]) + 1), floor)
        for source, scores in by_source.items()
    }


def _mean(scores: Sequence[float], count: int, floor: float) -> float:
    best = nlargest(count, scores)
    return (sum(best) + floor * (count - len(best))) / count
