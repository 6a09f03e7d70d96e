"""The state of a source while it is ingested, in PostgreSQL: claimed by one worker, beating, then settled.

Whose turn it is stands here too: of the tenants that wait, the one that has waited longest comes next, with its oldest
source. The source's epoch is a claim's fence: whoever took the source over, called it off or queued it anew has raised
it, and what a late worker still wants to write then changes nothing.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import RowMapping, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncSession

from packages.core.db.base import new_id
from packages.core.db.session import Database
from packages.core.db.tables.knowledge import KnowledgeSource
from packages.core.domain.knowledge import KnowledgeAsset
from packages.core.jobs import KnowledgeIngestJob

_RACES = 5


class LostClaim(Exception):
    """The source was deleted, called off, queued anew or taken over; this worker's result is not wanted any more."""


@dataclass(frozen=True, slots=True)
class Claim:
    """A source that this worker alone ingests. `attempt` counts from 1."""

    asset: KnowledgeAsset
    attempt: int
    epoch: int


_CLAIMABLE = """(k.status = 'queued' AND (k.not_before IS NULL OR k.not_before <= now())
    OR k.status = 'processing' AND k.updated_at < now() - make_interval(secs => :stale_seconds))"""

# A walk from tenant to tenant along the partial index: its cost is that of the tenants that wait, not of their sources.
_WAITING_TENANTS = """
WITH RECURSIVE waiting(tenant_id) AS (
    (SELECT tenant_id FROM knowledge_source WHERE status IN ('queued', 'processing') ORDER BY tenant_id LIMIT 1)
    UNION ALL
    SELECT (SELECT k.tenant_id FROM knowledge_source k
            WHERE k.status IN ('queued', 'processing') AND k.tenant_id > w.tenant_id ORDER BY k.tenant_id LIMIT 1)
    FROM waiting w WHERE w.tenant_id IS NOT NULL
)"""

_NEXT = text(f"""{_WAITING_TENANTS}
SELECT next.id FROM waiting w LEFT JOIN knowledge_turn turn ON turn.tenant_id = w.tenant_id
CROSS JOIN LATERAL (SELECT k.id FROM knowledge_source k WHERE k.tenant_id = w.tenant_id
                    AND k.status IN ('queued', 'processing') AND {_CLAIMABLE} ORDER BY k.id LIMIT 1) next
WHERE w.tenant_id IS NOT NULL AND w.tenant_id <> ALL(CAST(:full AS uuid[]))
ORDER BY turn.served_at NULLS FIRST, next.id LIMIT :races
""")  # noqa: S608 - constants

_CLAIM = text(f"""
UPDATE knowledge_source k SET status = 'processing', stage = 'fetch', progress = 0, done = NULL, total = NULL,
       attempts = k.attempts + 1, epoch = k.epoch + 1, not_before = NULL, updated_at = now()
WHERE k.id = :source_id AND {_CLAIMABLE}
RETURNING k.*
""").columns(crawl=JSONB, page_state=JSONB)  # noqa: S608 - constants

_SERVED = text("""
INSERT INTO knowledge_turn (id, created_at, tenant_id, served_at) VALUES (:id, now(), :tenant_id, clock_timestamp())
ON CONFLICT (tenant_id) DO UPDATE SET served_at = excluded.served_at
""")

_WAITS = text(f"""
SELECT EXISTS (SELECT 1 FROM knowledge_source k WHERE k.tenant_id = ANY(CAST(:tenants AS uuid[]))
               AND k.status IN ('queued', 'processing') AND {_CLAIMABLE})
""")  # noqa: S608 - constants

_BEAT = text("""
WITH beat AS (
    UPDATE knowledge_source SET updated_at = now(), stage = COALESCE(:stage, stage),
           progress = COALESCE(CAST(:progress AS real), progress),
           done = CASE WHEN CAST(:stage AS text) IS NULL THEN done ELSE CAST(:done AS integer) END,
           total = CASE WHEN CAST(:stage AS text) IS NULL THEN total ELSE CAST(:total AS integer) END
    WHERE id = :source_id AND status = 'processing' AND epoch = :epoch
)
SELECT status IN ('processing', 'ready') AND epoch = :epoch FROM knowledge_source WHERE id = :source_id
""")

_SETTLE = text("""
UPDATE knowledge_source SET status = :status, stage = NULL, progress = 0, done = NULL, total = NULL,
       error = CAST(:error AS jsonb), attempts = attempts - :given_back, updated_at = now(),
       not_before = now() + make_interval(secs => CAST(:pause AS double precision))
WHERE id = :source_id AND status = 'processing' AND epoch = :epoch
""")

_RECORD_DOWNLOAD = text("""
UPDATE knowledge_source SET storage_key = :storage_key, media_type = :media_type, filename = :filename,
       content_hash = :content_hash, size_bytes = :size_bytes, page_state = CAST(:page_state AS jsonb),
       updated_at = now()
WHERE id = :source_id AND status = 'processing' AND epoch = :epoch
RETURNING id
""")

_UNFINISHED = text(f"""
SELECT k.id, k.tenant_id FROM knowledge_source k
WHERE k.status IN ('queued', 'processing') AND k.updated_at < now() - make_interval(secs => :stale_seconds)
AND {_CLAIMABLE}
ORDER BY k.updated_at LIMIT :limit
""")  # noqa: S608 - constants


async def claim_next(database: Database, *, stale_seconds: float, full: Collection[str] = ()) -> Claim | None:
    """Take up the source whose turn it is; None if none waits.

    Args:
        database: of all tenants.
        stale_seconds: after so long without a heartbeat a source's worker counts as dead.
        full: tenants that have as many sources in hand as they may.
    """
    values = {"stale_seconds": stale_seconds, "full": [UUID(tenant) for tenant in full], "races": _RACES}
    for _ in range(_RACES):
        async with database.across_tenants() as session:
            candidates = (await session.scalars(_NEXT, values)).all()
            for source_id in candidates:
                claimed = await session.execute(_CLAIM, {"source_id": source_id, "stale_seconds": stale_seconds})
                row = claimed.mappings().first()
                if row:  # otherwise another worker was faster
                    await session.execute(_SERVED, {"id": new_id(), "tenant_id": row["tenant_id"]})
                    return Claim(_asset(row), row["attempts"], row["epoch"])
        if not candidates:
            return None
    return None


async def waits(database: Database, tenants: Collection[str], *, stale_seconds: float) -> bool:
    """Whether one of these tenants has a source that could be taken up."""
    values = {"tenants": [UUID(tenant) for tenant in tenants], "stale_seconds": stale_seconds}
    async with database.across_tenants() as session:
        return bool(await session.scalar(_WAITS, values))


async def beat(
    database: Database,
    held: Claim,
    *,
    stage: str | None = None,
    progress: float | None = None,
    done: int = 0,
    total: int = 0,
) -> None:
    """Say that the source is still worked on, and how far it is: `done` of `total` steps of a stage.

    Raises:
        LostClaim: it is not this worker's any more.
    """
    values = {**_fence(held), "stage": stage, "progress": progress, "done": done, "total": total}
    async with database.tenant(held.asset.tenant_id) as session:
        still = await session.scalar(_BEAT, values)
    if not still:
        raise LostClaim(held.asset.source_id)


async def record_download(session: AsyncSession, held: Claim, values: Mapping[str, Any]) -> None:
    """Note where a downloaded page was stored, and what to ask its server with the next time.

    Args:
        session: of the tenant.
        held: the source.
        values: storage_key, media_type, filename, content_hash, size_bytes and page_state.

    Raises:
        LostClaim: the source is not this worker's any more.
    """
    encoded = {**values, "page_state": msgspec.json.encode(values["page_state"]).decode()}
    if await session.scalar(_RECORD_DOWNLOAD, {**_fence(held), **encoded}) is None:
        raise LostClaim(held.asset.source_id)


async def hand_back(database: Database, held: Claim) -> None:
    """Queue the source again without counting the attempt: the worker stops, the source has done nothing."""
    await _settle(database, held, "queued", None, given_back=1)


async def queue_again(database: Database, held: Claim, error: Mapping[str, Any], *, pause: float = 0.0) -> None:
    """Queue the source for another attempt after `pause` seconds, and show why this one failed."""
    await _settle(database, held, "queued", error, pause=pause)


async def fail(database: Database, held: Claim, error: Mapping[str, Any]) -> None:
    """Set the source aside, with a reason that says what to do."""
    await _settle(database, held, "failed", error)


async def unfinished(database: Database, *, stale_seconds: float, limit: int) -> list[KnowledgeIngestJob]:
    """Sources of every tenant that could be read, and that nobody has touched for so long; the longest first."""
    async with database.across_tenants() as session:
        rows = (await session.execute(_UNFINISHED, {"stale_seconds": stale_seconds, "limit": limit})).all()
    return [KnowledgeIngestJob(tenant_id=str(row.tenant_id), source_id=str(row.id)) for row in rows]


async def state(database: Database, tenant_id: str, source_id: str) -> dict[str, Any] | None:
    """What people see of a source; None once it is deleted."""
    async with database.tenant(tenant_id) as session:
        row = await session.get(KnowledgeSource, UUID(source_id))
    if row is None:
        return None
    shown = {"title", "status", "stage", "progress", "done", "total", "chunk_count", "version", "attempts", "error"}
    parent = str(row.parent_id) if row.parent_id else None
    return {"id": source_id, "brand_id": str(row.brand_id), "parent_id": parent, **row.model_dump(include=shown)}


async def _settle(
    database: Database,
    held: Claim,
    status: str,
    error: Mapping[str, Any] | None,
    *,
    given_back: int = 0,
    pause: float | None = None,
) -> None:
    encoded = msgspec.json.encode(error).decode() if error is not None else None
    values = {**_fence(held), "status": status, "error": encoded, "given_back": given_back, "pause": pause}
    async with database.tenant(held.asset.tenant_id) as session:
        await session.execute(_SETTLE, values)


def _fence(held: Claim) -> dict[str, Any]:
    return {"source_id": UUID(held.asset.source_id), "epoch": held.epoch}


def _asset(row: RowMapping) -> KnowledgeAsset:
    url = row["url"]
    return KnowledgeAsset(
        source_id=str(row["id"]),
        tenant_id=str(row["tenant_id"]),
        brand_id=str(row["brand_id"]),
        title=row["title"],
        media_type=row["media_type"],
        filename=row["filename"],
        storage_key=row["storage_key"],
        url=url,
        version=row["version"],
        language=row["declared_language"],
        is_titled=not url or row["title"] != url[:500],
        crawl=row["crawl"],
        page_state=row["page_state"],
        pinned=row["pinned"],
    )
