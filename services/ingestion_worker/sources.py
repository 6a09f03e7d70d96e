"""The state of a source while it is ingested, in PostgreSQL: claimed by one worker, beating, then settled.

The number of the attempt is the claim's fence: whoever took the source over, or queued it anew, has another one, and
what a late worker still wants to write then changes nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import RowMapping, text
from sqlalchemy.ext.asyncio import AsyncSession

from packages.core.db.session import Database
from packages.core.db.tables.knowledge import KnowledgeSource
from packages.core.domain.knowledge import KnowledgeAsset
from packages.core.jobs import KnowledgeIngestJob


class LostClaim(Exception):
    """The source was deleted, queued anew or taken over; this worker's result is not wanted any more."""


@dataclass(frozen=True, slots=True)
class Claim:
    """A source that this worker alone ingests. `attempt` counts from 1."""

    asset: KnowledgeAsset
    attempt: int


@dataclass(frozen=True, slots=True)
class Unfinished:
    """A source that nobody has worked on for a while."""

    job: KnowledgeIngestJob
    status: str


_CLAIM = text("""
UPDATE knowledge_source SET status = 'processing', stage = 'fetch', progress = 0, attempts = attempts + 1,
       updated_at = now()
WHERE id = :source_id
  AND (status = 'queued' OR status = 'processing' AND updated_at < now() - make_interval(secs => :stale_seconds))
RETURNING id, tenant_id, brand_id, title, media_type, filename, storage_key, url, version, attempts
""")

_BEAT = text("""
WITH beat AS (
    UPDATE knowledge_source SET updated_at = now(), stage = COALESCE(:stage, stage),
           progress = COALESCE(CAST(:progress AS real), progress)
    WHERE id = :source_id AND status = 'processing' AND attempts = :attempt
)
SELECT status IN ('processing', 'ready') AND attempts = :attempt FROM knowledge_source WHERE id = :source_id
""")

_SETTLE = text("""
UPDATE knowledge_source SET status = :status, stage = NULL, progress = 0, error = CAST(:error AS jsonb),
       attempts = attempts - :given_back, updated_at = now()
WHERE id = :source_id AND status = 'processing' AND attempts = :attempt
""")

_RECORD_DOWNLOAD = text("""
UPDATE knowledge_source SET storage_key = :storage_key, media_type = :media_type, filename = :filename,
       content_hash = :content_hash, updated_at = now()
WHERE id = :source_id AND status = 'processing' AND attempts = :attempt
RETURNING id
""")

_UNFINISHED = text("""
SELECT id, tenant_id, status FROM knowledge_source
WHERE status IN ('queued', 'processing') AND updated_at < now() - make_interval(secs => :stale_seconds)
ORDER BY updated_at LIMIT :limit
""")


async def claim(database: Database, job: KnowledgeIngestJob, *, stale_seconds: float) -> Claim | None:
    """Take a queued source, or one whose worker fell silent; None if there is nothing to do."""
    async with database.tenant(job.tenant_id) as session:
        values = {"source_id": UUID(job.source_id), "stale_seconds": stale_seconds}
        row = (await session.execute(_CLAIM, values)).mappings().first()
    return Claim(_asset(row), row["attempts"]) if row else None


async def beat(database: Database, held: Claim, *, stage: str | None = None, progress: float | None = None) -> None:
    """Say that the source is still worked on, and how far it is.

    Raises:
        LostClaim: it is not this worker's any more.
    """
    async with database.tenant(held.asset.tenant_id) as session:
        still = await session.scalar(_BEAT, {**_fence(held), "stage": stage, "progress": progress})
    if not still:
        raise LostClaim(held.asset.source_id)


async def record_download(session: AsyncSession, held: Claim, values: Mapping[str, str | None]) -> None:
    """Note where a downloaded page was stored: storage_key, media_type, filename and content_hash.

    Raises:
        LostClaim: the source is not this worker's any more.
    """
    if await session.scalar(_RECORD_DOWNLOAD, {**_fence(held), **values}) is None:
        raise LostClaim(held.asset.source_id)


async def hand_back(database: Database, held: Claim) -> None:
    """Queue the source again without counting the attempt: the worker stops, the source has done nothing."""
    await _settle(database, held, "queued", None, given_back=1)


async def queue_again(database: Database, held: Claim, error: Mapping[str, Any]) -> None:
    """Queue the source for another attempt, and show why this one failed."""
    await _settle(database, held, "queued", error)


async def fail(database: Database, held: Claim, error: Mapping[str, Any]) -> None:
    """Set the source aside, with a reason that says what to do."""
    await _settle(database, held, "failed", error)


async def unfinished(database: Database, *, stale_seconds: float, limit: int) -> list[Unfinished]:
    """Sources of every tenant that wait, or whose worker fell silent, for longer than this; the longest first."""
    async with database.across_tenants() as session:
        rows = (await session.execute(_UNFINISHED, {"stale_seconds": stale_seconds, "limit": limit})).all()
    return [
        Unfinished(KnowledgeIngestJob(tenant_id=str(row.tenant_id), source_id=str(row.id)), row.status) for row in rows
    ]


async def state(database: Database, tenant_id: str, source_id: str) -> dict[str, Any] | None:
    """What people see of a source; None once it is deleted."""
    async with database.tenant(tenant_id) as session:
        row = await session.get(KnowledgeSource, UUID(source_id))
    if row is None:
        return None
    shown = row.model_dump(include={"title", "status", "stage", "progress", "chunk_count", "version", "error"})
    return {"id": source_id, "brand_id": str(row.brand_id), **shown}


async def _settle(
    database: Database, held: Claim, status: str, error: Mapping[str, Any] | None, given_back: int = 0
) -> None:
    encoded = msgspec.json.encode(error).decode() if error is not None else None
    values = {**_fence(held), "status": status, "error": encoded, "given_back": given_back}
    async with database.tenant(held.asset.tenant_id) as session:
        await session.execute(_SETTLE, values)


def _fence(held: Claim) -> dict[str, Any]:
    return {"source_id": UUID(held.asset.source_id), "attempt": held.attempt}


def _asset(row: RowMapping) -> KnowledgeAsset:
    return KnowledgeAsset(
        source_id=str(row["id"]),
        tenant_id=str(row["tenant_id"]),
        brand_id=str(row["brand_id"]),
        title=row["title"],
        media_type=row["media_type"],
        filename=row["filename"],
        storage_key=row["storage_key"],
        url=row["url"],
        version=row["version"],
    )
