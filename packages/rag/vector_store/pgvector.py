"""The embedded default: chunks, BM25 postings and vectors in PostgreSQL, written and read in one transaction."""

import asyncio
from collections.abc import Collection, Hashable, Sequence
from uuid import UUID

import numpy as np
from cachetools import LRUCache
from sqlalchemy.ext.asyncio import AsyncSession

from packages.core.config import QdrantSettings
from packages.core.db.direct import Transaction
from packages.core.db.repositories import knowledge
from packages.core.db.repositories import knowledge_search as lookup
from packages.core.db.session import Database
from packages.rag import bm25
from packages.rag.documents import Candidate, Chunk, Filters, Match, Scope, StoredChunk
from packages.rag.embeddings import Vectors
from packages.rag.fusion import Fused, fuse
from packages.rag.lexical import terms as search_terms
from packages.rag.sketches import Sketches
from packages.rag.vector_store import ALL, DEPTH
from packages.rag.vector_store._transactions import joined

EXACT_LIMIT = 5_000
OVERSAMPLE, LEAST_SAMPLE = 16, 400
"""Nearest sketches whose vectors are compared: so many per chunk wanted, and at least; see `packages.rag.sketches`."""
SKETCH_BYTES = 64_000_000
"""Of sketches kept in memory: a brand of 100,000 chunks takes some 7 MB with vectors of 384 numbers."""


class PgVectorStore:
    """Searches a brand of up to `exact_limit` chunks exactly. Of a larger one it keeps the sketches of the vectors, and
    compares the vectors of the nearest ones. Neither costs more the more other tenants have.
    """

    searches_here = True
    """Whether PostgreSQL holds the vectors."""

    def __init__(self, database: Database, *, exact_limit: int = EXACT_LIMIT) -> None:
        self._database = database
        self._exact_limit = exact_limit
        self._sketches: LRUCache[tuple[Hashable, ...], Sketches] = LRUCache(
            SKETCH_BYTES, getsizeof=lambda kept: kept.size
        )
        self._reading: dict[Hashable, asyncio.Lock] = {}

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
        probe = _probe(vector, limit, embedder, filters)
        async with self._database.direct(scope.tenant_id, snapshot=True) as on:
            found = await self._survey(on, scope, (), probe)
            near = await self._nearest(on, scope, probe, found) if found.chunks else {}
            chunks = await _load(on, scope, near)
        return [Match(chunk=chunks[place], score=cosine) for place, cosine in near.items() if place in chunks]

    async def search_lexical(
        self, scope: Scope, terms: Sequence[str], limit: int, *, filters: Filters = ALL
    ) -> list[Match]:
        """See `VectorStore`."""
        async with self._database.direct(scope.tenant_id, snapshot=True) as on:
            found = await self._survey(on, scope, terms, None)
            scores = bm25.score(_postings(found), len(terms), bm25.CorpusStatistics(found.chunks, found.terms))
            best = scores.of(scores.best(limit, filters.source_ids))
            chunks = await _load(on, scope, best)
        return [Match(chunk=chunks[place], score=score.bm25) for place, score in best.items() if place in chunks]

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
        """See `VectorStore`. Short statements in one snapshot: nothing is committed in between for this reader.

        Ranks first and reads the texts of the winners only.
        """
        probe = _probe(vector, depth, embedder, filters)
        async with self._database.direct(scope.tenant_id, snapshot=True) as on:
            found = await self._survey(on, scope, terms, probe)
            if not found.chunks:
                return []
            near = await self._nearest(on, scope, probe, found)
            scores = bm25.score(_postings(found), len(terms), bm25.CorpusStatistics(found.chunks, found.terms))
            cosines: dict[bm25.Place, float | None] = dict(near)
            rest = [place for place in scores.best(depth, filters.source_ids) if place not in near]
            known = await self._cosines(on, scope, probe, rest) if rest else {}
            cosines.update((place, known.get(place)) for place in rest)
            fused = fuse(cosines, scores, unfamiliarity, limit)
            chunks = await _load(on, scope, [item.place for item in fused])
        return [_candidate(chunks[item.place], item) for item in fused if item.place in chunks]

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

    async def _survey(
        self, on: Transaction, scope: Scope, terms: Sequence[str], probe: lookup.Probe | None
    ) -> lookup.Survey:
        looked_up = probe if self.searches_here else None
        return await lookup.survey(on, scope.brand_id, terms, looked_up, exact_limit=self._exact_limit)

    async def _nearest(
        self, on: Transaction, scope: Scope, probe: lookup.Probe, found: lookup.Survey
    ) -> dict[bm25.Place, float]:
        """Places of the nearest chunks with their cosine, nearest first."""
        if found.near is not None:
            return found.near
        sketches = await self._sketches_of(on, scope, probe.embedder, found.chunks)
        vector = np.array(probe.values, dtype=np.float32)
        sources = None if probe.source_ids is None else frozenset(probe.source_ids)
        ids = await asyncio.to_thread(sketches.nearest, vector, max(LEAST_SAMPLE, OVERSAMPLE * probe.limit), sources)
        return await lookup.nearest_of(on, scope.brand_id, probe, ids)

    async def _sketches_of(self, on: Transaction, scope: Scope, embedder: str, chunks: int) -> Sketches:
        """The brand's sketches as of this transaction, read once however many ask at a time."""
        brand = (scope, embedder)
        key = (*brand, chunks, *await lookup.vectors_state(on, scope.brand_id, embedder))
        kept = self._sketches.get(key)
        if kept is not None:
            return kept
        async with self._reading.setdefault(brand, asyncio.Lock()):
            kept = self._sketches.get(key)
            if kept is None:
                kept = await asyncio.to_thread(Sketches.read, *await lookup.sketches(on, scope.brand_id, embedder))
                for outdated in [known for known in self._sketches if known[:2] == brand]:
                    self._sketches.pop(outdated)
                if kept.size <= SKETCH_BYTES:
                    self._sketches[key] = kept
        self._reading.pop(brand, None)
        return kept

    async def _cosines(
        self, on: Transaction, scope: Scope, probe: lookup.Probe, places: Sequence[bm25.Place]
    ) -> dict[bm25.Place, float]:
        """The cosines of the chunks at these places, as far as they have a vector of the embedder."""
        return await lookup.cosines(on, scope.brand_id, probe, places)


_POSITION = np.dtype([("size", ">i4"), ("value", ">i4")])
_SMALL = np.dtype([("size", ">i4"), ("value", ">i2")])


def _postings(found: lookup.Survey) -> bm25.Postings:
    return bm25.Postings(
        np.frombuffer(found.run_sources, bm25.SOURCE),
        np.frombuffer(found.run_terms, ">i4"),
        np.frombuffer(found.run_counts, ">i4"),
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


async def _load(on: Transaction, scope: Scope, places: Collection[bm25.Place]) -> dict[bm25.Place, StoredChunk]:
    rows = await lookup.load(on, scope.brand_id, list(places)) if places else []
    return {
        (row.source_id, row.position): StoredChunk(
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
        for row in rows
    }


def _candidate(chunk: StoredChunk, item: Fused) -> Candidate:
    return Candidate(
        chunk=chunk, score=item.score, dense=item.dense, bm25=item.lexical.bm25, coverage=item.lexical.coverage
    )


def create(settings: QdrantSettings, database: Database) -> PgVectorStore:
    """The store over this database."""
    return PgVectorStore(database)
