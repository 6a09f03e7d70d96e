"""One document into a brand's knowledge: parse, chunk, embed, store. Nothing is done twice for the same content."""

import asyncio
import hashlib
import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from uuid import UUID

import numpy as np

from packages.core.db.base import now
from packages.core.db.repositories import knowledge as rows
from packages.core.db.repositories.knowledge_quotas import used
from packages.core.db.tables.knowledge import KnowledgeSource, KnowledgeVersion
from packages.core.domain.knowledge import SourceStatus
from packages.core.storage import ObjectStore
from packages.rag import parses
from packages.rag.chunking import ChunkingOptions, chunk_document
from packages.rag.documents import Chunk, Document, Scope, UnreadableDocument
from packages.rag.embeddings import Vectors
from packages.rag.lexical import base_language, detect_language
from packages.rag.retrieval import Knowledge
from packages.rag.sandbox import DEFAULT_LIMITS, ParseLimits, parse_sandboxed

PARSERS_VERSION = 2
"""Counted up when parsers read the same bytes differently, so that sources are read again."""

EMBED_BATCH = 64

Progress = Callable[[str, int, int], Awaitable[None]]
"""Called with stage (parse, chunk, embed, store), steps done and steps in all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """A document's bytes, and what its sender said of it."""

    data: bytes
    media_type: str
    title: str
    filename: str | None = None
    language: str | None = None
    storage_key: str | None = None
    """Where the bytes lie, for going back to them later."""


class Superseded(Exception):
    """The source was called off, queued anew or taken over while this one read it; nothing was changed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What indexing is bound to: the source's epoch, and the chunks that its tenant may have in all. None: nothing."""

    epoch: int | None = None
    max_chunks: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ingested:
    """What became of a document. `embedded` counts the texts that the embedder saw; `unchanged` means no work."""

    version: int
    chunk_count: int
    embedded: int = 0
    unchanged: bool = False
    language: str | None = None


_UNBOUND = Terms()


async def ingest_document(
    knowledge: Knowledge,
    scope: Scope,
    source_id: UUID,
    upload: Upload,
    *,
    progress: Progress | None = None,
    options: ChunkingOptions | None = None,
    limits: ParseLimits = DEFAULT_LIMITS,
    storage: ObjectStore | None = None,
    terms: Terms = _UNBOUND,
) -> Ingested:
    """Index a document in the place of what its source held before.

    One transaction replaces the chunks, keeps the version, marks the source ready and counts up the brand's knowledge
    version; until it commits, readers see the old state. The caller sets `processing` before and `failed` after an
    error. With `storage`, what was read from the document is kept there, so that no attempt has to read it again.

    Raises:
        UnreadableDocument: with the reason for the admin.
        NotFound: the source was deleted meanwhile.
        Superseded: the source's epoch is not that of the terms any more.
        Unavailable: the embedding provider or the store is away; try again later.
    """
    options = options or ChunkingOptions()
    report = progress or _silent
    fingerprint = _fingerprint(knowledge, upload, options)
    unchanged = await _finish_unchanged(knowledge, scope, source_id, fingerprint, terms)
    if unchanged is not None:
        return unchanged
    await report("parse", 0, 1)
    key, document = await _parse(scope, source_id, upload, limits, storage)
    await report("chunk", 0, 1)
    language = _language(upload, document)
    chunks = await _chunk(knowledge, upload, document, language, options)
    await _check_quota(knowledge, scope, source_id, len(chunks), terms)
    vectors, embedded = await _embed(knowledge, scope, source_id, chunks, report)
    await report("store", 0, 1)
    read = _Read(document, key, language, fingerprint)
    version = await _store(knowledge, scope, source_id, upload, chunks, vectors, read, terms)
    await report("store", 1, 1)
    return Ingested(version=version, chunk_count=len(chunks), embedded=embedded, language=language)


@dataclass(frozen=True, slots=True)
class _Read:
    """What was made of a document on its way."""

    document: Document
    parse_key: str | None
    language: str | None
    fingerprint: str


async def _parse(
    scope: Scope, source_id: UUID, upload: Upload, limits: ParseLimits, storage: ObjectStore | None
) -> tuple[str | None, Document]:
    """The document, from the store where an earlier attempt or version kept it; and where it is kept."""
    if storage is None:
        return None, await parse_sandboxed(
            upload.data, media_type=upload.media_type, filename=upload.filename, limits=limits
        )
    said = [upload.media_type, upload.filename, PARSERS_VERSION, hashlib.sha256(upload.data).hexdigest()]
    digest = hashlib.sha256(json.dumps(said).encode()).hexdigest()[:32]
    key = f"{scope.tenant_id}/{scope.brand_id}/{source_id}/parses/{digest}"
    kept = await parses.load(storage, key)
    if kept is not None:
        return key, kept
    document = await parse_sandboxed(upload.data, media_type=upload.media_type, filename=upload.filename, limits=limits)
    await parses.keep(storage, key, document)
    return key, document


async def _chunk(
    knowledge: Knowledge, upload: Upload, document: Document, language: str | None, options: ChunkingOptions
) -> list[Chunk]:
    chunks = await asyncio.to_thread(
        chunk_document,
        document,
        count_tokens=knowledge.embedder.count_tokens,
        title=upload.title or document.title or "",
        language=language,
        options=options,
        embedder_limit=knowledge.embedder.max_tokens,
    )
    if not chunks:
        raise UnreadableDocument("This document contains no text. Upload one with text in it.", code="empty")
    return chunks


async def _silent(_stage: str, _done: int, _total: int) -> None:
    return


def _fingerprint(knowledge: Knowledge, upload: Upload, options: ChunkingOptions) -> str:
    """What the index of a source depends on; ends with the embedder's name, by which stale sources are found."""
    said = [upload.media_type, upload.filename, upload.title, upload.language, PARSERS_VERSION, options.fingerprint]
    digest = hashlib.sha256(json.dumps(said).encode() + hashlib.sha256(upload.data).digest()).hexdigest()
    return f"{digest}|{knowledge.embedder.name}"


def _language(upload: Upload, document: Document) -> str | None:
    named = upload.language or document.language
    if named:
        return base_language(named)
    return detect_language("\n".join(block.text for block in document.blocks[:50]))


async def _finish_unchanged(
    knowledge: Knowledge, scope: Scope, source_id: UUID, fingerprint: str, terms: Terms
) -> Ingested | None:
    async with knowledge.database.tenant(scope.tenant_id) as session:
        await rows.lock_source(session, scope.brand_id, source_id)
        source = await session.get_one(KnowledgeSource, source_id)
        _check_epoch(source, terms)
        if source.indexed_hash != fingerprint:
            return None
        _mark_ready(source)
        return Ingested(
            version=source.version, chunk_count=source.chunk_count, unchanged=True, language=source.language
        )


async def _check_quota(knowledge: Knowledge, scope: Scope, source_id: UUID, chunks: int, terms: Terms) -> None:
    """Refuse before embedding costs anything. Documents that are read at the same moment do not see one another."""
    if terms.max_chunks is None:
        return
    async with knowledge.database.tenant(scope.tenant_id) as session:
        present = await used(session, scope.tenant_id, besides=source_id)
    room = max(0, terms.max_chunks - present.chunks)
    if chunks > room:
        raise UnreadableDocument(
            f"This document has {chunks} chunks, and the quota of {terms.max_chunks} leaves room for {room}. "
            "Delete sources that are not needed, or ask the operator for a larger quota, and retry.",
            code="quota_exceeded",
        )


async def _embed(
    knowledge: Knowledge, scope: Scope, source_id: UUID, chunks: Sequence[Chunk], report: Progress
) -> tuple[Vectors, int]:
    """Vectors of all chunks; those whose text stood in the source before keep theirs."""
    known = await knowledge.store.vectors_of(scope, source_id, embedder=knowledge.embedder.name)
    vectors = np.zeros((len(chunks), knowledge.embedder.dimensions), dtype=np.float32)
    missing = [row for row, chunk in enumerate(chunks) if chunk.content_hash not in known]
    for row, chunk in enumerate(chunks):
        if chunk.content_hash in known:
            vectors[row] = known[chunk.content_hash]
    await report("embed", len(chunks) - len(missing), len(chunks))
    for start in range(0, len(missing), EMBED_BATCH):
        batch = missing[start : start + EMBED_BATCH]
        vectors[batch] = await knowledge.embedder.embed([chunks[row].indexed_text for row in batch])
        await report("embed", len(chunks) - len(missing) + start + len(batch), len(chunks))
    return vectors, len(missing)


async def _store(
    knowledge: Knowledge,
    scope: Scope,
    source_id: UUID,
    upload: Upload,
    chunks: Sequence[Chunk],
    vectors: Vectors,
    read: _Read,
    terms: Terms,
) -> int:
    async with knowledge.database.tenant(scope.tenant_id) as session:
        await rows.lock_source(session, scope.brand_id, source_id)
        source = await session.get_one(KnowledgeSource, source_id)
        _check_epoch(source, terms)
        source.version += 1
        await knowledge.store.replace_source(
            scope, source_id, source.version, chunks, vectors, embedder=knowledge.embedder.name, session=session
        )
        source.indexed_hash = read.fingerprint
        source.chunk_count = len(chunks)
        source.language = read.language
        if not upload.title and read.document.title:
            source.title = read.document.title[:500]
        _mark_ready(source)
        session.add(_version(source, upload, read))
        await rows.bump_version(session, scope.brand_id)
        version = source.version
    await knowledge.store.settle(scope, source_id)
    return version


def _version(source: KnowledgeSource, upload: Upload, read: _Read) -> KnowledgeVersion:
    return KnowledgeVersion(
        tenant_id=source.tenant_id,
        brand_id=source.brand_id,
        source_id=source.id,
        version=source.version,
        title=source.title,
        media_type=upload.media_type[:200],
        filename=upload.filename,
        content_hash=hashlib.sha256(upload.data).hexdigest(),
        size_bytes=len(upload.data),
        storage_key=upload.storage_key,
        parse_key=read.parse_key,
        block_count=len(read.document.blocks),
        chunk_count=source.chunk_count,
        page_count=read.document.page_count,
        language=source.language,
        notes=list(read.document.notes),
    )


def _check_epoch(source: KnowledgeSource, terms: Terms) -> None:
    if terms.epoch is not None and (source.epoch != terms.epoch or source.status != SourceStatus.PROCESSING):
        raise Superseded


def _mark_ready(source: KnowledgeSource) -> None:
    source.status = SourceStatus.READY
    source.stage, source.done, source.total = None, None, None
    source.progress = 1.0
    source.error = None
    source.updated_at = now()
