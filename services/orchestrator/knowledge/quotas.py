"""Refuses what a tenant's quota has no room for."""

from typing import ClassVar
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from packages.core.config import KnowledgeSettings
from packages.core.db.repositories.knowledge_quotas import quota, used
from packages.core.errors import Conflict, TooLarge

_WHAT_TO_DO = "Delete sources that are not needed, or ask the operator for a larger quota."


class QuotaExceeded(Conflict):
    """The tenant keeps as many sources or chunks as it may."""

    code: ClassVar[str] = "quota_exceeded"


class StorageQuotaExceeded(QuotaExceeded, TooLarge):
    """The tenant's sources would have more bytes than they may."""

    status: ClassVar[int] = 413


async def check(
    session: AsyncSession,
    tenant_id: UUID,
    settings: KnowledgeSettings,
    *,
    size: int,
    instead_of: UUID | None = None,
) -> None:
    """Make sure that a source of `size` bytes fits in, perhaps in the place of another.

    Raises:
        QuotaExceeded: it does not; the message says what to do, `details` the limit and what is used of it.
    """
    allowed, present = await quota(session, tenant_id, settings), await used(session, tenant_id, besides=instead_of)
    if present.sources >= allowed.sources:
        raise QuotaExceeded(
            f"The quota of {allowed.sources} sources is used up. {_WHAT_TO_DO}",
            details={"quota": "sources", "limit": allowed.sources, "used": present.sources},
        )
    if present.chunks >= allowed.chunks:
        raise QuotaExceeded(
            f"The quota of {allowed.chunks} chunks is used up. {_WHAT_TO_DO}",
            details={"quota": "chunks", "limit": allowed.chunks, "used": present.chunks},
        )
    if present.bytes + size > allowed.bytes:
        raise StorageQuotaExceeded(
            f"These {size} bytes do not fit into the quota: {present.bytes} of {allowed.bytes} are used. {_WHAT_TO_DO}",
            details={"quota": "bytes", "limit": allowed.bytes, "used": present.bytes},
        )
