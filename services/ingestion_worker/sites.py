"""A web site as a source: a crawl makes a source of each page, and reads again only the pages that have changed."""

from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass, field
from typing import Any
from urllib.parse import urlsplit, urlunsplit
from uuid import UUID

import msgspec
from arq.connections import ArqRedis
from sqlalchemy import text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from packages.core import jobs
from packages.core.config import KnowledgeSettings
from packages.core.db.base import new_id, now
from packages.core.db.repositories import knowledge as rows
from packages.core.db.repositories import knowledge_quotas
from packages.core.db.session import Database
from packages.core.db.tables.knowledge import KnowledgeRemoval, KnowledgeSource
from packages.core.domain.knowledge import KnowledgeAsset, SourceStatus, file_key
from packages.core.storage import ObjectStore
from packages.rag.documents import UnreadableDocument
from services.ingestion_worker.crawl import Change, CrawledPage, CrawlLimits, PageState, crawl
from services.ingestion_worker.settings import FetchSettings
from services.ingestion_worker.sources import Claim, LostClaim

Report = Callable[[str, int, int], Awaitable[None]]
_SITEMAPS = (".xml", ".xml.gz", ".txt")

_KNOWN = text("SELECT id, url, page_state FROM knowledge_source WHERE parent_id = :parent_id").columns(page_state=JSONB)
_FINISH = text("""
UPDATE knowledge_source SET status = 'ready', stage = NULL, progress = 1, done = NULL, total = NULL, error = NULL,
       page_state = CAST(:summary AS jsonb), version = version + 1, updated_at = now()
WHERE id = :source_id AND status = 'processing' AND epoch = :epoch RETURNING id
""")


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteReader:
    """What reading a site needs."""

    database: Database
    storage: ObjectStore
    queue: ArqRedis
    http: FetchSettings
    quotas: KnowledgeSettings


@dataclass(slots=True)
class _Known:
    ids: dict[str, UUID] = field(default_factory=dict)
    states: dict[str, PageState] = field(default_factory=dict)


async def read_site(reader: SiteReader, held: Claim, report: Report) -> Counter[str]:
    """Crawl a site; queue its new and changed pages, delete those that are gone, and mark the site ready.

    Returns:
        The number of pages by `Change`.

    Raises:
        FetchFailed: the site cannot be read. UnreadableDocument: the tenant's quota is used up. LostClaim.
    """
    asset = held.asset
    assert asset.url is not None
    limits = _limits(asset.crawl or {}, reader.http)
    known = await _known(reader.database, asset)
    counts: Counter[str] = Counter()
    async for page in crawl(_start(asset), limits, reader.http, known.states):
        counts[page.change.value] += 1
        await _take(reader, held, page, known.ids.get(page.url))
        await report("crawl", counts.total(), limits.max_pages)
    async with reader.database.tenant(asset.tenant_id) as session:
        summary = msgspec.json.encode({"pages": dict(counts), "read_at": now()}).decode()
        values = {"source_id": UUID(asset.source_id), "epoch": held.epoch, "summary": summary}
        if await session.scalar(_FINISH, values) is None:
            raise LostClaim(asset.source_id)
    return counts


def _limits(wanted: dict[str, Any], http: FetchSettings) -> CrawlLimits:
    return CrawlLimits(
        max_pages=min(int(wanted.get("limit") or http.crawl_pages), http.crawl_pages),
        total_seconds=http.crawl_seconds,
        delay_seconds=http.crawl_delay_seconds,
        path=str(wanted.get("path") or "/"),
        follow_links=wanted.get("by") != "sitemap",
    )


def _start(asset: KnowledgeAsset) -> str:
    """Where to begin: for a sitemap that was not named itself, where sites have it."""
    url = asset.url or ""
    parts = urlsplit(url)
    if (asset.crawl or {}).get("by") == "sitemap" and not parts.path.endswith(_SITEMAPS):
        return urlunsplit((parts.scheme, parts.netloc, "/sitemap.xml", "", ""))
    return url


async def _known(database: Database, asset: KnowledgeAsset) -> _Known:
    async with database.tenant(asset.tenant_id) as session:
        found = (await session.execute(_KNOWN, {"parent_id": UUID(asset.source_id)})).all()
    known = _Known()
    for row in found:
        known.ids[row.url] = row.id
        known.states[row.url] = msgspec.convert(row.page_state or {}, PageState)
    return known


async def _take(reader: SiteReader, held: Claim, page: CrawledPage, page_id: UUID | None) -> None:
    if page.change is Change.GONE and page_id is not None:
        await _forget(reader, held.asset, page_id)
    elif page.change in {Change.NEW, Change.CHANGED}:
        await _keep(reader, held, page, page_id)


async def _keep(reader: SiteReader, held: Claim, page: CrawledPage, page_id: UUID | None) -> None:
    """Store a page's bytes and queue its source, which is made if need be."""
    asset = held.asset
    source_id = page_id or new_id()
    key = file_key(asset.tenant_id, asset.brand_id, str(source_id), page.state.content_hash)
    await reader.storage.put(key, page.data)
    async with reader.database.tenant(asset.tenant_id) as session:
        await rows.lock_source(session, UUID(asset.brand_id), UUID(asset.source_id))
        parent = await session.get_one(KnowledgeSource, UUID(asset.source_id))
        if parent.epoch != held.epoch:
            raise LostClaim(asset.source_id)
        source = await session.get(KnowledgeSource, source_id) if page_id else await _new(reader, session, parent, page)
        if source is None:
            await reader.storage.delete(key)
            return
        _queue(source, page, key)
    await jobs.enqueue_ingest(
        reader.queue, jobs.KnowledgeIngestJob(tenant_id=asset.tenant_id, source_id=str(source.id))
    )


async def _new(
    reader: SiteReader, session: AsyncSession, parent: KnowledgeSource, page: CrawledPage
) -> KnowledgeSource | None:
    """A source for a page; None if the brand has one for its address already."""
    same = select(KnowledgeSource.id).where(
        col(KnowledgeSource.brand_id) == parent.brand_id,
        col(KnowledgeSource.url) == page.url,
        col(KnowledgeSource.id) != parent.id,
    )
    if (await session.scalars(same.limit(1))).first() is not None:
        return None
    usage = await knowledge_quotas.used(session, parent.tenant_id)
    quota = await knowledge_quotas.quota(session, parent.tenant_id, reader.quotas)
    if usage.sources >= quota.sources or usage.bytes + len(page.data) > quota.bytes:
        raise UnreadableDocument(
            f"The quota of {quota.sources} sources and {quota.bytes} bytes is used up, so the rest of the site was not "
            "read. Delete sources that are not needed, lower the site's limit, or ask for a larger quota.",
            code="quota_exceeded",
        )
    source = KnowledgeSource(
        tenant_id=parent.tenant_id,
        brand_id=parent.brand_id,
        parent_id=parent.id,
        title=page.url[:500],
        kind="url",
        media_type=page.media_type,
        url=page.url,
        declared_language=parent.declared_language,
        language=parent.declared_language,
        tags=list(parent.tags),
    )
    session.add(source)
    return source


def _queue(source: KnowledgeSource, page: CrawledPage, key: str) -> None:
    source.storage_key, source.filename = key, page.filename
    source.media_type, source.size_bytes = page.media_type[:200], len(page.data)
    source.content_hash, source.page_state = page.state.content_hash, asdict(page.state)
    source.pinned = True  # the crawl has fetched it
    source.status, source.stage, source.progress = str(SourceStatus.QUEUED), None, 0.0
    source.attempts, source.error, source.not_before = 0, None, None
    source.epoch += 1
    source.updated_at = now()


async def _forget(reader: SiteReader, asset: KnowledgeAsset, page_id: UUID) -> None:
    """Delete a page that the site has no more; its files go with the next sweep."""
    async with reader.database.tenant(asset.tenant_id) as session:
        source = await session.get(KnowledgeSource, page_id)
        if source is None:
            return
        session.add(KnowledgeRemoval(tenant_id=source.tenant_id, brand_id=source.brand_id, source_id=source.id))
        await session.delete(source)
        await session.flush()
        await rows.bump_version(session, source.brand_id)
