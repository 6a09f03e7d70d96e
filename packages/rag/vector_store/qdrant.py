"""Vectors in Qdrant, chunks and BM25 postings in PostgreSQL.

PostgreSQL decides what exists: points go into Qdrant before the transaction that makes their chunks visible commits,
and leave after it, and a search drops each point whose chunk is not there. So readers see a source's old chunks or
its new ones, and lexical scores equal those of the other stores.
"""

import contextlib
import re
from collections.abc import Iterable, Sequence
from uuid import UUID

import numpy as np
from qdrant_client import AsyncQdrantClient, models
from sqlalchemy.ext.asyncio import AsyncSession

from packages.core.config import QdrantSettings
from packages.core.db.direct import Transaction
from packages.core.db.repositories import knowledge
from packages.core.db.repositories import knowledge_search as lookup
from packages.core.db.session import Database
from packages.core.errors import NotFound
from packages.rag import bm25
from packages.rag.documents import Scope
from packages.rag.embeddings import Vectors
from packages.rag.vector_store.pgvector import PgVectorStore

UPSERT_BATCH = 256
TIMEOUT_SECONDS = 10
OVERFETCH = 2
"""Points asked for per hit wanted: those of a version that is being replaced may be among them."""


class QdrantVectorStore(PgVectorStore):
    """One collection per embedder; tenant and brand are in the payload and in every filter.

    Args:
        database: where the chunks live.
        client: of the cluster.
        prefix: begins the collections' names.
    """

    searches_here = False

    def __init__(self, database: Database, client: AsyncQdrantClient, *, prefix: str = "parley") -> None:
        super().__init__(database)
        self._client = client
        self._prefix = prefix

    async def initialize(self, dimensions: int, embedder: str) -> None:
        """Make the embedder's collection, partitioned by tenant."""
        name = self._collection(embedder)
        if not await self._client.collection_exists(name):
            await self._client.create_collection(
                name, vectors_config=models.VectorParams(size=dimensions, distance=models.Distance.COSINE)
            )
        for key in ("brand_id", "source_id"):
            await self._client.create_payload_index(name, key, models.PayloadSchemaType.KEYWORD)
        await self._client.create_payload_index(
            name, "tenant_id", models.KeywordIndexParams(type=models.KeywordIndexType.KEYWORD, is_tenant=True)
        )

    async def settle(self, scope: Scope, source_id: UUID | None = None) -> None:
        """Delete points without a chunk. The source's lock keeps points of a write in progress."""
        async with self._database.tenant(scope.tenant_id) as session:
            if source_id is None:
                if not await knowledge.has_chunks(session, scope.brand_id):
                    await self._delete_points(_conditions(scope))
                return
            with contextlib.suppress(NotFound):  # A deleted source has no chunks, so all its points go.
                await knowledge.lock_source(session, scope.brand_id, source_id)
            alive = await knowledge.chunk_hashes(session, scope.brand_id, source_id)
            condition = _conditions(scope, [source_id])
            if alive:
                condition.must_not = [models.HasIdCondition(has_id=[str(chunk_id) for chunk_id in alive])]
            await self._delete_points(condition)

    async def delete_source(self, scope: Scope, source_id: UUID, *, session: AsyncSession | None = None) -> None:
        """See `VectorStore`. In a transaction of the caller, call `settle` after it."""
        await super().delete_source(scope, source_id, session=session)
        if session is None:
            await self.settle(scope, source_id)

    async def delete_brand(self, scope: Scope, *, session: AsyncSession | None = None) -> None:
        """See `VectorStore`. In a transaction of the caller, call `settle` after it."""
        await super().delete_brand(scope, session=session)
        if session is None:
            await self.settle(scope)

    async def vectors_of(self, scope: Scope, source_id: UUID, *, embedder: str) -> dict[str, Vectors]:
        """See `VectorStore`."""
        async with self._database.tenant(scope.tenant_id) as session:
            hashes = await knowledge.chunk_hashes(session, scope.brand_id, source_id)
        if not hashes:
            return {}
        points = await self._client.retrieve(
            self._collection(embedder), [str(chunk_id) for chunk_id in hashes], with_payload=False, with_vectors=True
        )
        return {hashes[UUID(str(point.id))]: np.asarray(point.vector, dtype=np.float32) for point in points}

    async def _write_vectors(
        self, session: AsyncSession, owner: knowledge.Owner, ids: Sequence[UUID], vectors: Vectors, embedder: str
    ) -> None:
        payload = {
            "tenant_id": str(owner.tenant_id),
            "brand_id": str(owner.brand_id),
            "source_id": str(owner.source_id),
        }
        for start in range(0, len(ids), UPSERT_BATCH):
            points = [
                models.PointStruct(id=str(ids[row]), vector=vectors[row].tolist(), payload=payload)
                for row in range(start, min(start + UPSERT_BATCH, len(ids)))
            ]
            await self._client.upsert(self._collection(embedder), points, wait=True)

    async def _nearest(
        self, on: Transaction, scope: Scope, probe: lookup.Probe, found: lookup.Survey
    ) -> dict[bm25.Place, float]:
        cosines = await self._query(probe, _conditions(scope, probe.source_ids), probe.limit * OVERFETCH)
        places = await lookup.places(on, scope.brand_id, list(cosines))
        near = [(places[chunk_id], cosine) for chunk_id, cosine in cosines.items() if chunk_id in places]
        return dict(near[: probe.limit])

    async def _cosines(
        self, on: Transaction, scope: Scope, probe: lookup.Probe, places: Sequence[bm25.Place]
    ) -> dict[bm25.Place, float]:
        ids = await lookup.ids_at(on, scope.brand_id, places)
        condition = _conditions(scope)
        condition.must = [*_listed(condition), models.HasIdCondition(has_id=[str(chunk_id) for chunk_id in ids])]
        found = await self._query(probe, condition, len(ids))
        return {ids[chunk_id]: cosine for chunk_id, cosine in found.items()}

    async def _query(self, probe: lookup.Probe, condition: models.Filter, limit: int) -> dict[UUID, float]:
        """Cosine by chunk id, nearest first."""
        response = await self._client.query_points(
            self._collection(probe.embedder),
            query=probe.values,
            query_filter=condition,
            limit=limit,
            with_payload=False,
        )
        return {UUID(str(point.id)): point.score for point in response.points}

    async def _delete_points(self, condition: models.Filter) -> None:
        """In every collection of ours: a source may have been indexed by an earlier embedder."""
        for collection in (await self._client.get_collections()).collections:
            if collection.name.startswith(f"{self._prefix}_"):
                await self._client.delete(collection.name, models.FilterSelector(filter=condition), wait=True)

    def _collection(self, embedder: str) -> str:
        return f"{self._prefix}_{re.sub(r'[^A-Za-z0-9]+', '-', embedder).strip('-')}"


def _conditions(scope: Scope, source_ids: Iterable[UUID] | None = None) -> models.Filter:
    """What every request is bound to."""
    must: list[models.Condition] = [
        models.FieldCondition(key="tenant_id", match=models.MatchValue(value=str(scope.tenant_id))),
        models.FieldCondition(key="brand_id", match=models.MatchValue(value=str(scope.brand_id))),
    ]
    if source_ids is not None:
        match = models.MatchAny(any=[str(source_id) for source_id in source_ids])
        must.append(models.FieldCondition(key="source_id", match=match))
    return models.Filter(must=must)


def _listed(condition: models.Filter) -> list[models.Condition]:
    return condition.must if isinstance(condition.must, list) else []


def create(settings: QdrantSettings, database: Database) -> QdrantVectorStore:
    """The store over this database and the cluster that the settings name."""
    key = settings.api_key.get_secret_value() if settings.api_key else None
    return QdrantVectorStore(database, AsyncQdrantClient(url=settings.url, api_key=key, timeout=TIMEOUT_SECONDS))
