"""Knowledge sources: taken in, queued for the worker, refreshed and deleted.

The bytes are in the object store before the row is committed, and the row before the worker is told. A wake-up call
that is lost, because Redis is away, is made up for by the worker's sweep.
"""

import asyncio
import hashlib
import mimetypes
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import PurePosixPath
from uuid import UUID

import msgspec
import structlog
from arq.connections import ArqRedis
from redis.exceptions import RedisError
from sqlalchemy.ext.asyncio import AsyncSession

from packages.core import jobs
from packages.core.config import KnowledgeSettings
from packages.core.db.base import new_id, now
from packages.core.db.repositories.knowledge import bump_version
from packages.core.db.repository import get
from packages.core.db.session import Database
from packages.core.db.tables.brands import Brand
from packages.core.db.tables.knowledge import KnowledgeRemoval, KnowledgeSource
from packages.core.domain.knowledge import SourceStatus
from packages.core.errors import Conflict
from packages.core.storage import ObjectStore
from services.orchestrator.knowledge import quotas, repository
from services.orchestrator.knowledge.quotas import QuotaExceeded
from services.orchestrator.knowledge.schemas import FAQCreate, TextCreate, URLCreate

log = structlog.get_logger(__name__)
FAQ_TYPE = "application/vnd.parley.faq+json"
NO_SETTINGS = KnowledgeSettings()
"""The installation's own limits where none are given."""

WORKING = frozenset({SourceStatus.QUEUED, SourceStatus.PROCESSING})


@dataclass(frozen=True, slots=True, kw_only=True)
class NewSource:
    """Something to know, as it was handed in. `data` is None for what is fetched later, from `url`."""

    kind: str
    title: str
    media_type: str
    data: bytes | None = field(default=None, repr=False)
    filename: str | None = None
    url: str | None = None
    language: str | None = None
    tags: Sequence[str] = ()
    crawl: dict[str, object] | None = None
    refresh_hours: float | None = None


def from_file(
    filename: str | None, media_type: str | None, data: bytes, *, language: str | None = None, tags: Sequence[str] = ()
) -> NewSource:
    """An uploaded file. Its name's ending says more than what the browser calls it."""
    name = _plain_name(filename)
    guessed = mimetypes.guess_type(name)[0] if name else None
    return NewSource(
        kind="file",
        title=_title(name),
        media_type=(guessed or media_type or "application/octet-stream")[:200],
        data=data,
        filename=name,
        language=language,
        tags=tags,
    )


def from_body(body: URLCreate | TextCreate | FAQCreate) -> NewSource:
    """What came as JSON."""
    if isinstance(body, URLCreate):
        title = body.title or body.url[:500]
        return NewSource(
            kind="site" if body.crawl else "url",
            title=title,
            media_type="text/html",
            url=body.url,
            language=body.language,
            tags=body.tags,
            crawl=body.crawl.as_row() if body.crawl else None,
            refresh_hours=body.refresh_hours,
        )
    if isinstance(body, TextCreate):
        data, kind, media_type = body.text.encode("utf-8", "replace"), "text", "text/markdown"
    else:
        data, kind, media_type = msgspec.json.encode(body.model_dump()["faq"]), "faq", FAQ_TYPE
    return NewSource(
        kind=kind, title=body.title, media_type=media_type, data=data, language=body.language, tags=body.tags
    )


async def take(
    database: Database,
    storage: ObjectStore,
    tenant_id: UUID,
    brand_id: UUID,
    new: NewSource,
    *,
    limits: KnowledgeSettings = NO_SETTINGS,
) -> tuple[KnowledgeSource, bool]:
    """Keep a source and have it read; content that the brand has already is the source that it was.

    Returns:
        The source, and whether it is new (then call `wake_worker`).

    Raises:
        NotFound: no such brand. QuotaExceeded. Unavailable: the object store is away; nothing was kept.
    """
    digest = None if new.data is None else await asyncio.to_thread(_digest, new.data)
    same = {"content_hash": digest, "url": new.url, "is_site": new.crawl is not None}
    async with database.tenant(tenant_id) as session:
        await get(session, Brand, brand_id)
        known = await repository.same_source(session, brand_id, **same)  # type: ignore[arg-type]
        if known is not None:
            return known, False
        await quotas.check(session, tenant_id, limits, size=len(new.data or b""))
    source = _row(tenant_id, brand_id, new, digest)
    if new.data is not None and source.storage_key is not None:
        await storage.put(source.storage_key, new.data)
    try:
        async with database.tenant(tenant_id) as session:
            await repository.one_upload_at_a_time(session, tenant_id)
            known = await repository.same_source(session, brand_id, **same)  # type: ignore[arg-type]
            if known is None:
                await quotas.check(session, tenant_id, limits, size=source.size_bytes)
                session.add(source)
    except QuotaExceeded:
        await _drop(storage, source.storage_key)
        raise
    if known is not None:
        await _drop(storage, source.storage_key)
    return known or source, known is None


async def _drop(storage: ObjectStore, key: str | None) -> None:
    if key is not None:
        await storage.delete(key)


async def wake_worker(queue: ArqRedis, source: KnowledgeSource) -> None:
    """Tell a worker that a source waits. Never raises: the worker's sweep finds what it was not told of."""
    job = jobs.KnowledgeIngestJob(tenant_id=str(source.tenant_id), source_id=str(source.id))
    try:
        await jobs.enqueue_ingest(queue, job)
    except (RedisError, OSError) as error:
        log.warning("ingest_not_enqueued", source_id=str(source.id), error=str(error))


async def queue_again(session: AsyncSession, source: KnowledgeSource) -> bool:
    """Have a source read anew; its present chunks answer until the new ones are there.

    Returns:
        False if it waits or is being read already.
    """
    if source.status in WORKING:
        return False
    source.pinned = False
    set_waiting(source)
    await session.flush()
    return True


def set_waiting(source: KnowledgeSource) -> None:
    """Let a source wait for a worker, with as many attempts as a new one has; whoever reads it now does so in vain."""
    source.status, source.stage, source.progress = str(SourceStatus.QUEUED), None, 0.0
    source.done, source.total = None, None
    source.attempts, source.error, source.not_before = 0, None, None
    source.epoch += 1
    source.updated_at = now()


async def retry(session: AsyncSession, source_id: UUID) -> KnowledgeSource:
    """Take a source off the poison queue.

    Raises:
        NotFound: no such source. Conflict: it has not failed.
    """
    source = await get(session, KnowledgeSource, source_id)
    if source.status != SourceStatus.FAILED:
        raise Conflict(f"Only failed sources are retried; this one is {source.status}.")
    set_waiting(source)
    await session.flush()
    return source


async def delete(session: AsyncSession, brand_id: UUID, source_id: UUID) -> list[jobs.KnowledgeDeleteJob]:
    """Delete a source with its chunks, versions and (of a site) pages; no answer after the commit rests on them.

    Returns:
        The jobs that remove what lies outside PostgreSQL (see `clean_up`). They are noted in there as well, for the
        worker's sweep, which forgets none.

    Raises:
        NotFound: no such source.
    """
    source = await repository.locked_source(session, brand_id, source_id)
    tenant_id = source.tenant_id
    gone = [source_id, *await repository.pages_of(session, source_id)]
    for item in gone:
        session.add(KnowledgeRemoval(tenant_id=tenant_id, brand_id=brand_id, source_id=item))
    await session.delete(source)
    await session.flush()
    await bump_version(session, brand_id)
    return [
        jobs.KnowledgeDeleteJob(tenant_id=str(tenant_id), brand_id=str(brand_id), source_id=str(item)) for item in gone
    ]


async def clean_up(queue: ArqRedis, gone: Sequence[jobs.KnowledgeDeleteJob]) -> None:
    """Have a worker remove what deleted sources left. Never raises: its sweep finds what it was not told of."""
    try:
        for job in gone:
            await jobs.enqueue_delete(queue, job)
    except (RedisError, OSError) as error:
        log.warning("delete_not_enqueued", sources=len(gone), error=str(error))


def _row(tenant_id: UUID, brand_id: UUID, new: NewSource, digest: str | None) -> KnowledgeSource:
    source_id = new_id()
    return KnowledgeSource(
        id=source_id,
        tenant_id=tenant_id,
        brand_id=brand_id,
        title=new.title,
        kind=new.kind,
        media_type=new.media_type,
        filename=new.filename,
        storage_key=None if new.url else f"{tenant_id}/{brand_id}/{source_id}/original",
        url=new.url,
        content_hash=digest,
        size_bytes=len(new.data or b""),
        language=new.language,
        declared_language=new.language,
        tags=list(new.tags),
        crawl=new.crawl,
        refresh_hours=new.refresh_hours,
        refresh_at=now() + timedelta(hours=new.refresh_hours) if new.refresh_hours else None,
    )


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _plain_name(filename: str | None) -> str | None:
    """The last part of a path, of whichever system, without control characters."""
    last = PurePosixPath((filename or "").replace("\\", "/")).name
    return "".join(c for c in last if c.isprintable())[-500:] or None


def _title(name: str | None) -> str:
    """A readable title: `returns-policy.md` becomes `Returns policy`."""
    stem = re.sub(r"[-_\s]+", " ", PurePosixPath(name or "").stem).strip()
    return (stem[:1].upper() + stem[1:]) or "Untitled"
