"""What stands before and after a hit, as context for a model: an answer often needs the sentence beyond the cut."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from packages.core.db.repositories import knowledge_search
from packages.core.db.repositories.knowledge_search import LoadedChunk
from packages.rag.documents import Hit, Scope
from packages.rag.retrieval import Knowledge


@dataclass(frozen=True, slots=True)
class Surroundings:
    """The texts before and after a hit in its section, verbatim; None where there is none or no room was left."""

    before: str | None = None
    after: str | None = None


async def surroundings(
    knowledge: Knowledge, scope: Scope, hits: Sequence[Hit], *, room: int
) -> dict[UUID, Surroundings]:
    """Neighbours of the hits by chunk id, the best hits' first, as long as `room` characters last.

    A neighbour is the chunk before or after in the same version of the same source and under the same headings. One
    that is a hit itself is left out, and so is one that an earlier hit brought along.
    """
    taken = {(hit.source_id, hit.position) for hit in hits}
    wanted = {(hit.source_id, hit.position + step) for hit in hits for step in (-1, 1)} - taken
    async with knowledge.database.direct(scope.tenant_id) as on:
        rows = await knowledge_search.load(on, scope.brand_id, [place for place in wanted if place[1] >= 0])
    at = {(row.source_id, row.position): row for row in rows}
    found: dict[UUID, Surroundings] = {}
    for hit in hits:
        texts: dict[int, str] = {}
        for step in (1, -1):  # what follows tells more often what was meant
            row = at.get((hit.source_id, hit.position + step))
            if row is None or not _belongs(row, hit) or len(row.text) > room:
                continue
            texts[step] = row.text
            room -= len(row.text)
            del at[hit.source_id, hit.position + step]
        found[hit.chunk_id] = Surroundings(texts.get(-1), texts.get(1))
    return found


def _belongs(row: LoadedChunk, hit: Hit) -> bool:
    return row.source_version == hit.source_version and tuple(row.headings) == hit.headings
