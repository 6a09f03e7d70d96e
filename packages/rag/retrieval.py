"""A question to ranked chunks with citations: dense and lexical search side by side, fused by what each can know.

The one code path for search, answers and conversations.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from uuid import UUID

import msgspec
import numpy as np
from redis.asyncio import Redis

from packages.core.config import Settings
from packages.core.db.repositories import knowledge as rows
from packages.core.db.repositories import knowledge_search
from packages.core.db.session import Database
from packages.rag import embeddings, followup, vector_store
from packages.rag.caches import SharedMemory, TieredCache
from packages.rag.documents import Candidate, Chunk, Filters, Hit, Scope
from packages.rag.duplicates import distinct
from packages.rag.embeddings import MODELS_DIR, Embedder, Vectors
from packages.rag.lexical import query_terms
from packages.rag.vector_store import DEPTH, VectorStore

LONGEST_QUESTION = 4000
VECTOR_BYTES, HIT_BYTES = 8_000_000, 16_000_000
"""Of this process's memory: some 4,000 questions' vectors of 384 numbers, and the hits of some 1,500 questions."""
SPARE = 2
"""Hits asked for beyond the wanted ones, because some may say the same."""
REDIS_SECONDS = 0.25


class Caches:
    """What questions brought to light before: their vectors, and the hits of whole searches."""

    def __init__(self, shared: SharedMemory | None = None) -> None:
        self.shared = shared or SharedMemory()
        self.vectors: TieredCache[Vectors] = TieredCache(
            name="vectors",
            encode=lambda vector: vector.astype("<f4").tobytes(),
            decode=lambda found: np.frombuffer(found, "<f4").astype(np.float32),
            size=lambda vector: vector.nbytes,
            max_bytes=VECTOR_BYTES,
            shared=self.shared,
        )
        self.hits: TieredCache[list[Hit]] = TieredCache(
            name="search",
            encode=msgspec.msgpack.Encoder().encode,
            decode=msgspec.msgpack.Decoder(list[Hit]).decode,
            size=lambda hits: sum(700 + 2 * len(hit.text) for hit in hits),
            max_bytes=HIT_BYTES,
            shared=self.shared,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Knowledge:
    """What retrieval and ingestion need; built once per process and shared."""

    database: Database
    store: VectorStore
    embedder: Embedder
    caches: Caches = field(default_factory=Caches)

    async def close(self) -> None:
        """Close the embedder's connections and the cache's; the database is the caller's."""
        await self.embedder.close()
        await self.caches.shared.close()


def open_knowledge(settings: Settings, database: Database, models_dir: Path = MODELS_DIR) -> Knowledge:
    """The store and the embedder that the settings name.

    Raises:
        MissingModel: the local model was not brought yet.
    """
    return Knowledge(
        database=database,
        store=vector_store.create(settings.qdrant, database),
        embedder=embeddings.create(settings.embeddings, models_dir),
        caches=Caches(SharedMemory(_redis(settings))),
    )


def _redis(settings: Settings) -> "Redis | None":
    """A client that gives up at once: what it could save is a few milliseconds."""
    if settings.redis.url is None:
        return None
    client: Redis = Redis.from_url(
        settings.redis.url, socket_connect_timeout=REDIS_SECONDS, socket_timeout=REDIS_SECONDS, max_connections=64
    )
    return client


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchFilters:
    """What a tenant narrows a search to: sources that bear all of `tags`, in one of `languages`, or named by id."""

    source_ids: frozenset[UUID] | None = None
    tags: tuple[str, ...] = ()
    languages: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class BrandKnowledge:
    """The state of a brand's knowledge. `stale_sources` were indexed by another embedder and wait for theirs."""

    version: int
    sources: int
    chunks: int
    stale_sources: tuple[UUID, ...]


async def initialize_brand_knowledge(knowledge: Knowledge, scope: Scope) -> BrandKnowledge:
    """Make sure that the brand can be indexed and searched with the present embedder. Harmless to repeat.

    Raises:
        NotFound: the tenant has no such brand.
    """
    await knowledge.store.initialize(knowledge.embedder.dimensions, knowledge.embedder.name)
    async with knowledge.database.tenant(scope.tenant_id, snapshot=True) as session:
        state = await rows.brand_state(session, scope.brand_id, knowledge.embedder.name)
    return BrandKnowledge(
        version=state.version, sources=state.sources, chunks=state.chunks, stale_sources=state.stale_sources
    )


async def refresh_brand_knowledge(knowledge: Knowledge, scope: Scope) -> BrandKnowledge:
    """Bring every indexed source to the present embedder, from its stored chunks; the files are not read again.

    Each source is switched over in one transaction of its own, so answers keep coming meanwhile. Embeds nothing where
    nothing is stale.

    Raises:
        NotFound: the tenant has no such brand.
        Unavailable: the embedding provider is away; what was done until then stays done.
    """
    state = await initialize_brand_knowledge(knowledge, scope)
    for source_id in state.stale_sources:
        await _re_embed(knowledge, scope, source_id)
    return await initialize_brand_knowledge(knowledge, scope) if state.stale_sources else state


async def _re_embed(knowledge: Knowledge, scope: Scope, source_id: UUID) -> None:
    embedder = knowledge.embedder
    async with knowledge.database.tenant(scope.tenant_id) as session:
        stored = await rows.source_chunks(session, scope.brand_id, source_id)
    chunks = [_chunk(row, embedder.count_tokens([row.text])[0]) for row in stored]
    vectors = await embedder.embed([chunk.indexed_text for chunk in chunks])
    async with knowledge.database.tenant(scope.tenant_id) as session:
        await rows.lock_source(session, scope.brand_id, source_id)
        current = await rows.source_chunks(session, scope.brand_id, source_id)
        if [row.id for row in current] != [row.id for row in stored]:
            return  # Ingested anew meanwhile, and by the present embedder.
        version = await rows.mark_re_embedded(session, source_id, embedder.name)
        await knowledge.store.replace_source(
            scope, source_id, version, chunks, vectors, embedder=embedder.name, session=session
        )
        await rows.bump_version(session, scope.brand_id)
    await knowledge.store.settle(scope, source_id)


def _chunk(row: rows.SourceChunk, token_count: int) -> Chunk:
    return Chunk(
        position=row.position,
        text=row.text,
        headings=tuple(row.headings),
        page=row.page,
        kind=row.kind,
        token_count=token_count,
        content_hash=row.content_hash,
        title=row.title,
        language=row.language,
    )


async def retrieve_context(
    knowledge: Knowledge,
    scope: Scope,
    question: str,
    *,
    limit: int = 8,
    filters: SearchFilters | None = None,
    language: str | None = None,
    history: Sequence[str] = (),
) -> list[Hit]:
    """The chunks that most likely answer the question, best first, and no two that say the same.

    Args:
        knowledge: store and embedder.
        scope: whose knowledge.
        question: in the customer's words; only its first 4,000 characters count.
        limit: most hits to return.
        filters: narrows the sources. Sources that are not valid now never answer.
        language: of the question where its own words do not tell, such as the brand's.
        history: what the customer said before, oldest first, for a question that leans on it.

    Returns:
        At most `limit` hits; none if the question has no words or the brand has no knowledge.

    Raises:
        Unavailable: the embedding provider is away.
    """
    question = " ".join(followup.search_text(question, history).split())[:LONGEST_QUESTION]
    terms = query_terms(question, language)
    if not terms or limit < 1:
        return []
    async with knowledge.database.single_across_tenants() as on:
        now = await knowledge_search.brand_now(on, scope.tenant_id, scope.brand_id)
    if now is None:
        return []
    version, invalid = now
    narrowed = await _resolve(knowledge.database, scope, filters, frozenset(invalid))

    async def search() -> list[Hit]:
        candidates = await knowledge.store.search(
            scope,
            await embed_question(knowledge, scope, question),
            terms,
            limit + SPARE,
            depth=max(DEPTH, limit),
            embedder=knowledge.embedder.name,
            filters=narrowed,
            unfamiliarity=knowledge.embedder.unfamiliarity(question),
        )
        return distinct([_hit(item) for item in candidates], limit)

    asked = repr((question, terms, limit, None if narrowed.source_ids is None else sorted(narrowed.source_ids)))
    whose = f"{scope.tenant_id}:{scope.brand_id}:{version}"
    return list(await knowledge.caches.hits.get(f"{whose}:{knowledge.embedder.name}:{_digest(asked)}", search))


async def embed_question(knowledge: Knowledge, scope: Scope, question: str) -> Vectors:
    """The question's vector, shape (dimensions,); remembered per tenant, because customers ask alike."""

    async def embed() -> Vectors:
        vectors = await knowledge.embedder.embed([question])
        return vectors.reshape(-1)

    return await knowledge.caches.vectors.get(f"{scope.tenant_id}:{knowledge.embedder.name}:{_digest(question)}", embed)


def _digest(text: str) -> str:
    return blake2b(text.encode(), digest_size=16).hexdigest()


def _hit(item: Candidate) -> Hit:
    chunk = item.chunk
    return Hit(
        chunk_id=chunk.id,
        source_id=chunk.source_id,
        source_version=chunk.source_version,
        position=chunk.position,
        title=chunk.title,
        text=chunk.text,
        headings=chunk.headings,
        page=chunk.page,
        kind=chunk.kind,
        score=item.score,
        dense=item.dense,
        bm25=item.bm25,
        coverage=item.coverage,
    )


async def _resolve(
    database: Database, scope: Scope, filters: SearchFilters | None, invalid: frozenset[UUID]
) -> Filters:
    """Tags, languages and validity are the sources' own: they become a set of sources, so that no store knows them."""
    named = filters.source_ids if filters else None
    tags, languages = (filters.tags, filters.languages) if filters else ((), ())
    if not tags and not languages and (named is not None or not invalid):
        return Filters(source_ids=None if named is None else named - invalid)
    async with database.direct(scope.tenant_id) as on:
        chosen = frozenset(await knowledge_search.matching_sources(on, scope.brand_id, tags, languages))
    return Filters(source_ids=chosen if named is None else chosen & named)
