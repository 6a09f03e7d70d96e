"""The embedded default: chunks, BM25 postings and vectors in PostgreSQL, written and read in one transaction."""

import asyncio
from collections.abc import Sequence
from uuid import UUID

import numpy as np
from sqlalchemy.ext.asyncio import AsyncSession

from packages.core.config import QdrantSettings
from packages.core.db.direct import Transaction
from packages.core.db.repositories import knowledge
from packages.core.db.repositories import knowledge_search as lookup
from packages.core.db.session import Database
from packages.rag import bm25
from packages.rag.documents import Candidate, Chunk, Filters, Match, Scope, StoredChunk
from packages.rag.embeddings import Vectors
from packages.rag.fusion import fuse
from packages.rag.lexical import terms as search_terms
from packages.rag.vector_store import ALL, DEPTH
from packages.rag.vector_store._transactions import joined

EXACT_LIMIT = 20_000


class PgVectorStore:
    """Searches a brand of up to `exact_limit` chunks exactly, through the index on its brand: the cost then does not
    depend on other tenants. Larger brands go through HNSW.
    """

    searches_here = True
    """Whether PostgreSQL holds the vectors."""

    def __init__(self, database: Database, *, exact_limit: int = EXACT_LIMIT) -> None:
        self._database = database
        self._exact_limit = exact_limit

    async def initialize(self, dimensions: int, embedder: str) -> None:
        """The schema is the migrations' work."""

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
        """See `VectorStore`. Writers of one source queue up behind the lock on its row."""
        owner = knowledge.Owner(tenant_id=scope.tenant_id, brand_id=scope.brand_id, source_id=source_id)
        written = await asyncio.to_thread(lambda: [chunk_row(chunk) for chunk in chunks])
        async with joined(self._database, scope, session) as transaction:
            await knowledge.lock_source(transaction, scope.brand_id, source_id)
            await knowledge.delete_source_chunks(transaction, scope.brand_id, source_id)
            ids = await knowledge.insert_chunks(transaction, owner, version, written)
            await self._write_vectors(transaction, owner, ids, vectors, embedder)
        return ids

    async def settle(self, scope: Scope, source_id: UUID | None = None) -> None:
        """Nothing is left over: the transaction replaced everything."""

    async def delete_source(self, scope: Scope, source_id: UUID, *, session: AsyncSession | None = None) -> None:
        """See `VectorStore`."""
        async with joined(self._database, scope, session) as transaction:
            await knowledge.delete_source_chunks(transaction, scope.brand_id, source_id)

    async def delete_brand(self, scope: Scope, *, session: AsyncSession | None = None) -> None:
        """See `VectorStore`."""
        async with joined(self._database, scope, session) as transaction:
            await knowledge.delete_brand_chunks(transaction, scope.brand_id)

    async def search_dense(
        self, scope: Scope, vector: Vectors, limit: int, *, embedder: str, filters: Filters = ALL
    ) -> list[Match]:
        """See `VectorStore`."""
        found = await self._search(scope, vector, (), limit, depth=limit, embedder=embedder, filters=filters)
        return [Match(chunk=item.chunk, score=item.dense) for item in found if item.dense is not None]

    async def search_lexical(
        self, scope: Scope, terms: Sequence[str], limit: int, *, filters: Filters = ALL
    ) -> list[Match]:
        """See `VectorStore`."""
        found = await self._search(scope, None, terms, limit, depth=limit, embedder="", filters=filters)
        return [Match(chunk=item.chunk, score=item.bm25) for item in found]

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
    ) -> list[Candidate]:
        """See `VectorStore`. Short statements in one snapshot: nothing is committed in between for this reader."""
        return await self._search(scope, vector, terms, limit, depth=depth, embedder=embedder, filters=filters)

    async def vectors_of(self, scope: Scope, source_id: UUID, *, embedder: str) -> dict[str, Vectors]:
        """See `VectorStore`."""
        async with self._database.tenant(scope.tenant_id) as session:
            rows = await knowledge.vectors_of_source(session, scope.brand_id, source_id, embedder)
        return {digest: np.fromstring(value[1:-1], dtype=np.float32, sep=",") for digest, value in rows}

    async def _write_vectors(
        self, session: AsyncSession, owner: knowledge.Owner, ids: Sequence[UUID], vectors: Vectors, embedder: str
    ) -> None:
        await knowledge.insert_vectors(
            session, owner, ids, vectors.ravel().tolist(), vectors.shape[1] if vectors.ndim == 2 else 0, embedder
        )

    async def _nearest(
        self, on: Transaction, scope: Scope, probe: lookup.Probe, found: lookup.Survey
    ) -> dict[bm25.Place, float]:
        """Places of the nearest chunks with their cosine, nearest first."""
        return await lookup.nearest_indexed(on, scope.brand_id, probe) if found.near is None else found.near

    async def _cosines(self, scope: Scope, probe: lookup.Probe, ids: Sequence[UUID]) -> dict[UUID, float]:
        """Cosines that PostgreSQL does not know; for stores that keep the vectors elsewhere."""
        return {}

    async def _search(
        self,
        scope: Scope,
        vector: Vectors | None,
        terms: Sequence[str],
        limit: int,
        *,
        depth: int,
        embedder: str,
        filters: Filters,
    ) -> list[Candidate]:
        """Ranks first and reads the texts of the winners only."""
        probe = None if vector is None else _probe(vector, depth, embedder, filters)
        async with self._database.direct(scope.tenant_id, snapshot=True) as on:
            looked_up = probe if self.searches_here else None
            found = await lookup.survey(on, scope.brand_id, terms, looked_up, exact_limit=self._exact_limit)
            if not found.chunks:
                return []
            near = {} if probe is None else await self._nearest(on, scope, probe, found)
            scores = bm25.score(_postings(found), len(terms), bm25.CorpusStatistics(found.chunks, found.terms))
            fused = dict(fuse([list(near), scores.best(depth, filters.source_ids)], limit))
            if not fused:
                return []
            # The nearest ones brought their cosine along.
            vector_again = probe.literal if probe and not fused.keys() <= near.keys() else None
            rows = await lookup.load(on, scope.brand_id, list(fused), vector=vector_again, embedder=embedder)
        cosines = {row.id: near.get((row.source_id, row.position), row.cosine) for row in rows}
        unknown = [chunk_id for chunk_id, cosine in cosines.items() if cosine is None]
        if probe and unknown:
            cosines.update(await self._cosines(scope, probe, unknown))
        by_place = {(row.source_id, row.position): row for row in rows}
        return [
            _candidate(by_place[place], score, cosines[by_place[place].id], scores.of(place))
            for place, score in fused.items()
            if place in by_place
        ]


_POSITION = np.dtype([("size", ">i4"), ("value", ">i4")])
_SMALL = np.dtype([("size", ">i4"), ("value", ">i2")])


def _postings(found: lookup.Survey) -> bm25.Postings:
    return bm25.Postings(
        found.run_sources,
        found.run_terms,
        found.run_counts,
        np.frombuffer(found.positions, _POSITION)["value"],
        np.frombuffer(found.frequencies, _SMALL)["value"],
        np.frombuffer(found.lengths, _SMALL)["value"],
    )


def _probe(vector: Vectors, depth: int, embedder: str, filters: Filters) -> lookup.Probe:
    sources = None if filters.source_ids is None else list(filters.source_ids)
    return lookup.Probe(values=vector.tolist(), embedder=embedder, limit=depth, source_ids=sources)


def chunk_row(chunk: Chunk) -> knowledge.ChunkRow:
    """A chunk as it is written, with the terms of its text in context."""
    return knowledge.ChunkRow(
        text=chunk.text,
        headings=chunk.headings,
        page=chunk.page,
        kind=chunk.kind,
        token_count=chunk.token_count,
        content_hash=chunk.content_hash,
        terms=search_terms(chunk.indexed_text, chunk.language),
    )


def _candidate(row: lookup.LoadedChunk, fused: float, cosine: float | None, lexical: bm25.LexicalScore) -> Candidate:
    chunk = StoredChunk(
        id=row.id,
        source_id=row.source_id,
        source_version=row.source_version,
        position=row.position,
        title=row.title,
        text=row.text,
        headings=tuple(row.headings),
        page=row.page,
        kind=row.kind,
    )
    return Candidate(chunk=chunk, score=fused, dense=cosine, bm25=lexical.bm25, coverage=lexical.coverage)


def create(settings: QdrantSettings, database: Database) -> PgVectorStore:
    """The store over this database."""
    return PgVectorStore(database)
