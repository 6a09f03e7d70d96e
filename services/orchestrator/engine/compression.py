"""Shorter knowledge for a prompt: the sentences that speak to the question, verbatim, as many as a budget holds.

Extractive: nothing is reworded, so a citation of what the model read is a citation of the chunk. What was left out is
marked, since two sentences that were apart must not read as one thought.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from packages.rag.documents import Hit
from packages.rag.embeddings import Embedder
from services.orchestrator.engine.extractive import Scored

GAP = "[…]"
PASSAGES = 48
"""Passages that are compared with the question; those beyond have none of its words, and the lowest ranks."""
RANK = 0.02
"""What each rank of its chunk takes from a passage's score."""
NEIGHBOUR = 0.5
"""Share of its score that a passage lends to the ones beside it: an answer leans on the sentence before it."""


class Scorer(Protocol):
    """What `ExtractiveAnswerer` offers."""

    async def scored(
        self, question: str, hits: Sequence[Hit], language: str | None = None, most: int = PASSAGES
    ) -> list[Scored]:
        """The hits' passages with what speaks for each."""
        ...


@dataclass(frozen=True, slots=True)
class Compressed:
    """`hits` with shortened texts and, in the same order, the whole `originals` to check a draft against.

    Tokens are the embedder's, a fair guess of any model's.
    """

    hits: tuple[Hit, ...]
    originals: tuple[Hit, ...]
    tokens_before: int
    tokens_after: int

    def as_dict(self) -> dict[str, int]:
        """For the trace."""
        return {"tokens_before": self.tokens_before, "tokens_after": self.tokens_after}


async def compress(question: str, hits: Sequence[Hit], budget: int, scorer: Scorer, embedder: Embedder) -> Compressed:
    """Keep the passages that speak most to the question, up to `budget` tokens, and at least one.

    A chunk of which nothing is kept is left out. Within the budget nothing changes.
    """
    before = sum(embedder.count_tokens([hit.text for hit in hits])) if hits else 0
    if before <= budget:
        return Compressed(tuple(hits), tuple(hits), before, before)
    scored = await scorer.scored(question, hits, most=PASSAGES)
    values = _values(scored, hits)
    costs = embedder.count_tokens([item.passage.text for item in scored])
    kept: set[int] = set()
    room = budget
    for index in sorted(range(len(scored)), key=lambda number: -values[number]):
        if costs[index] <= room or not kept:
            kept.add(index)
            room -= costs[index]
    chosen = [scored[index] for index in sorted(kept)]
    originals = tuple(hit for hit in hits if any(item.passage.hit is hit for item in chosen))
    shortened = tuple(replace(hit, text=_shortened(hit, chosen)) for hit in originals)
    return Compressed(shortened, originals, before, sum(embedder.count_tokens([hit.text for hit in shortened])))


def _values(scored: Sequence[Scored], hits: Sequence[Hit]) -> list[float]:
    rank = {hit.chunk_id: number for number, hit in enumerate(hits)}
    own = {(item.passage.hit.chunk_id, item.passage.order): item.score for item in scored}
    values = []
    for item in scored:
        chunk, order = item.passage.hit.chunk_id, item.passage.order
        beside = max(own.get((chunk, order - 1), 0.0), own.get((chunk, order + 1), 0.0))
        values.append(max(item.score, NEIGHBOUR * beside) - RANK * rank[chunk])
    return values


def _shortened(hit: Hit, chosen: Sequence[Scored]) -> str:
    """The chosen passages of the hit, with the lines they are read under, and marks where something was left out."""
    parts: list[str] = []
    above, end = "", 0
    for passage in (item.passage for item in chosen if item.passage.hit is hit):
        if passage.above and passage.above != above:
            parts.append(passage.above)
            end = hit.text.find(passage.above) + len(passage.above)
        elif hit.text[end : passage.start].strip():
            parts.append(GAP)
        above, end = passage.above, passage.end
        parts.append(passage.text)
    if hit.text[end:].strip():
        parts.append(GAP)
    return "\n".join(parts)
