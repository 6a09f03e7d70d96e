"""Everything in this process: exact, small, gone at the end. For tests and experiments."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import UUID

import numpy as np
from sqlalchemy.ext.asyncio import AsyncSession

from packages.core.db.base import new_id
from packages.rag import bm25
from packages.rag.documents import Candidate, Chunk, Filters, Match, Scope, StoredChunk
from packages.rag.embeddings import Vectors
from packages.rag.fusion import fuse
from packages.rag.lexical import terms as search_terms
from packages.rag.vector_store import ALL, DEPTH


@dataclass(frozen=True, slots=True)
class _Source:
    """One version of a source; never changed, only replaced."""

    chunks: tuple[StoredChunk, ...]
    hashes: tuple[str, ...]
    terms: tuple[Counter[str], ...]
    vectors: Vectors
    embedder: str


@dataclass(slots=True)
class MemoryVectorStore:
    """Chunks by scope and source. One assignment replaces a source, so a reader never sees half of one."""

    _brands: dict[Scope, dict[UUID, _Source]] = field(default_factory=lambda: defaultdict(dict))

    async def initialize(self, dimensions: int, embedder: str) -> None:
        """Nothing is needed."""

    async def replace_source(
        self,
        scope: Scope,
        source_id: UUID,
        version: int,
        chunks: Sequence[Chunk],
        vectors: Vectors,
        *,
        embedder: str,
        session: AsyncSession | None = None,
    ) -> list[UUID]:
        """See `VectorStore`. There is no transaction to join."""
        stored = tuple(
            StoredChunk(
                id=new_id(),
                source_id=source_id,
                source_version=version,
                position=chunk.position,
                title=chunk.title,
                text=chunk.text,
                headings=chunk.headings,
                page=chunk.page,
                kind=chunk.kind,
            )
            for chunk in chunks
        )
        terms = tuple(Counter(search_terms(chunk.indexed_text, chunk.language)) for chunk in chunks)
        hashes = tuple(chunk.content_hash for chunk in chunks)
        if stored:
            self._brands[scope][source_id] = _Source(stored, hashes, terms, vectors, embedder)
        else:
            self._brands[scope].pop(source_id, None)
        return [chunk.id for chunk in stored]

    async def settle(self, scope: Scope, source_id: UUID | None = None) -> None:
        """Nothing is left over."""

    async def delete_source(self, scope: Scope, source_id: UUID, *, session: AsyncSession | None = None) -> None:
        """See `VectorStore`."""
        self._brands[scope].pop(source_id, None)

    async def delete_brand(self, scope: Scope, *, session: AsyncSession | None = None) -> None:
        """See `VectorStore`."""
        self._brands.pop(scope, None)

    async def search_dense(
        self, scope: Scope, vector: Vectors, limit: int, *, embedder: str, filters: Filters = ALL
    ) -> list[Match]:
        """See `VectorStore`."""
        scored = self._cosines(scope, vector, embedder, filters)
        ranked = sorted(scored.items(), key=lambda item: (-item[1], item[0]))
        return [Match(chunk=self._chunk(scope, place), score=score) for place, score in ranked[:limit]]

    async def search_lexical(
        self, scope: Scope, terms: Sequence[str], limit: int, *, filters: Filters = ALL
    ) -> list[Match]:
        """See `VectorStore`."""
        scores = self._scores(scope, terms)
        best = scores.of(scores.best(limit, filters.source_ids))
        return [Match(chunk=self._chunk(scope, place), score=score.bm25) for place, score in best.items()]

    async def search(
        self,
        scope: Scope,
        vector: Vectors,
        terms: Sequence[str],
        limit: int,
        *,
        depth: int = DEPTH,
        embedder: str,
        filters: Filters = ALL,
        unfamiliarity: float = 0.0,
    ) -> list[Candidate]:
        """See `VectorStore`. There is no await inside, so nothing changes meanwhile."""
        cosines = self._cosines(scope, vector, embedder, filters)
        near = sorted(cosines, key=lambda place: (-cosines[place], place))[:depth]
        scores = self._scores(scope, terms)
        found = dict.fromkeys([*near, *scores.best(depth, filters.source_ids)])
        fused = fuse({place: cosines.get(place) for place in found}, scores, unfamiliarity, limit)
        return [
            Candidate(
                chunk=self._chunk(scope, item.place),
                score=item.score,
                dense=item.dense,
                bm25=item.lexical.bm25,
                coverage=item.lexical.coverage,
            )
            for item in fused
        ]

    async def vectors_of(self, scope: Scope, source_id: UUID, *, embedder: str) -> dict[str, Vectors]:
        """See `VectorStore`."""
        source = self._brands[scope].get(source_id)
        if source is None or source.embedder != embedder:
            return {}
        return dict(zip(source.hashes, source.vectors, strict=True))

    def _chunk(self, scope: Scope, place: bm25.Place) -> StoredChunk:
        return self._brands[scope][place[0]].chunks[place[1]]

    def _cosines(self, scope: Scope, vector: Vectors, embedder: str, filters: Filters) -> dict[bm25.Place, float]:
        found: dict[bm25.Place, float] = {}
        for source_id, source in self._brands[scope].items():
            if source.embedder == embedder and (filters.source_ids is None or source_id in filters.source_ids):
                cosines = np.asarray(source.vectors @ vector, dtype=np.float64).tolist()
                found.update(((source_id, position), cosine) for position, cosine in enumerate(cosines))
        return found

    def _scores(self, scope: Scope, terms: Sequence[str]) -> bm25.LexicalScores:
        sources = self._brands[scope].values()
        corpus = bm25.CorpusStatistics(
            sum(len(source.chunks) for source in sources),
            sum(counts.total() for source in sources for counts in source.terms),
        )
        runs = [
            (source.chunks[0].source_id, number, places, source)
            for number, term in enumerate(terms)
            for source in sources
            if (places := [place for place, counts in enumerate(source.terms) if term in counts])
        ]
        postings = bm25.Postings(
            bm25.source_keys([source_id for source_id, _, _, _ in runs]),
            np.array([number for _, number, _, _ in runs], dtype=np.int64),
            np.array([len(places) for _, _, places, _ in runs], dtype=np.int64),
            np.array([place for _, _, places, _ in runs for place in places], dtype=np.int32),
            np.array([source.terms[place][terms[number]] for _, number, places, source in runs for place in places]),
            np.array([source.terms[place].total() for _, _, places, source in runs for place in places]),
        )
        return bm25.score(postings, len(terms), corpus)
