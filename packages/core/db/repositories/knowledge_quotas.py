"""What a tenant may keep as knowledge, and what it keeps."""

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from packages.core.config import KnowledgeSettings
from packages.core.db.tables.accounts import Tenant

_USAGE = text(
    "SELECT count(*), coalesce(sum(size_bytes), 0)::bigint, coalesce(sum(chunk_count), 0)::bigint "
    "FROM knowledge_source WHERE tenant_id = :tenant_id AND id IS DISTINCT FROM CAST(:besides AS uuid)"
)


@dataclass(frozen=True, slots=True)
class Amounts:
    """Sources, their bytes and their chunks: of a quota, or of what is used of it."""

    sources: int
    bytes: int
    chunks: int


async def used(session: AsyncSession, tenant_id: UUID, *, besides: UUID | None = None) -> Amounts:
    """What the tenant keeps, without one of its sources if that is named."""
    row = (await session.execute(_USAGE, {"tenant_id": tenant_id, "besides": besides})).one()
    return Amounts(*row)


async def quota(session: AsyncSession, tenant_id: UUID, settings: KnowledgeSettings) -> Amounts:
    """What the tenant may keep: the installation's limits, or its own (`knowledge` in its settings)."""
    tenant = await session.get(Tenant, tenant_id)
    own = tenant.settings.get("knowledge") if tenant else None
    given = own if isinstance(own, dict) else {}

    def limit(name: str, default: int) -> int:
        value = given.get(name)
        return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else default

    return Amounts(
        sources=limit("max_sources", settings.max_sources),
        bytes=limit("max_bytes", settings.max_bytes),
        chunks=limit("max_chunks", settings.max_chunks),
    )
