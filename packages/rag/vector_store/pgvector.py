"""The embedded default: chunks, BM25 postings and vectors in PostgreSQL, written and read in one transaction."""

from collections.abc import Sequence
from uuid import UUID

import numpy as np
from sqlalchemy.ext.asyncio import AsyncSession

from packages.core.config import QdrantSettings
from packages.core.db.repositories import knowledge
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
        async with joined(self._database, scope, session) as transaction:
            await knowledge.lock_source(transaction, scope.brand_id, source_id)
            await knowledge.delete_source_chunks(transaction, scope.brand_id, source_id)
            ids = await knowledge.insert_chunks(transaction, owner, version, [chunk_row(chunk) for chunk in chunks])
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
        self,
        session: AsyncSession,
        scope: Scope,
        vector: Vectors,
        limit: int,
        *,
        embedder: str,
        filters: Filters,
        corpus: bm25.CorpusStatistics,
    ) -> list[bm25.Place]:
        return await knowledge.nearest(
            session,
            scope.brand_id,
            vector.tolist(),
            limit,
            embedder=embedder,
            source_ids=None if filters.source_ids is None else list(filters.source_ids),
            exact=corpus.chunks <= self._exact_limit,
        )

    async def _cosines(self, scope: Scope, vector: Vectors, ids: Sequence[UUID], embedder: str) -> dict[UUID, float]:
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
        async with self._database.tenant(scope.tenant_id, snapshot=True) as session:
            corpus = bm25.CorpusStatistics(*await knowledge.corpus_statistics(session, scope.brand_id))
            if not corpus.chunks:
                return []
            near: list[bm25.Place] = []
            if vector is not None:
                near = await self._nearest(
                    session, scope, vector, depth, embedder=embedder, filters=filters, corpus=corpus
                )
            found = await knowledge.postings(session, scope.brand_id, terms)
            scores = bm25.score([bm25.Posting(*row) for row in found], terms, corpus)
            fused = dict(fuse([near, bm25.best(scores, depth, filters.source_ids)], limit))
            probe = None if vector is None else vector.tolist()
            rows = await knowledge.load(session, scope.brand_id, list(fused), vector=probe, embedder=embedder)
        unknown = [row.id for row in rows if row.cosine is None]
        cosines = await self._cosines(scope, vector, unknown, embedder) if vector is not None and unknown else {}
        by_place = {(row.source_id, row.position): row for row in rows}
        return [
            _candidate(by_place[place], score, cosines.get(by_place[place].id, by_place[place].cosine), scores)
            for place, score in fused.items()
            if place in by_place
        ]


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


def _candidate(
    row: knowledge.LoadedChunk, fused: float, cosine: float | None, scores: dict[bm25.Place, bm25.LexicalScore]
) -> Candidate:
    lexical = scores.get((row.source_id, row.position), bm25.NO_SCORE)
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
