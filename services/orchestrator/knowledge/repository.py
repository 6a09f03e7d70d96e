"""Queries about knowledge sources."""

from uuid import UUID

from sqlalchemy import Select, select, text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from packages.core.db.repository import Page, get, page
from packages.core.db.tables.knowledge import KnowledgeSource
from packages.core.domain.knowledge import SourceStatus
from packages.core.errors import NotFound
from services.orchestrator.paging import Paging

_ONE_AT_A_TIME = text("SELECT pg_advisory_xact_lock(hashtextextended(CAST(:brand_id AS text), 0))")


async def source_of(session: AsyncSession, brand_id: UUID, source_id: UUID) -> KnowledgeSource:
    """A brand's source.

    Raises:
        NotFound: no such source, or it is another brand's.
    """
    source = await get(session, KnowledgeSource, source_id)
    if source.brand_id != brand_id:
        raise NotFound("There is no knowledge source with this id.")
    return source


async def sources_page(
    session: AsyncSession, paging: Paging, *, brand_id: UUID | None = None, status: SourceStatus | None = None
) -> Page[KnowledgeSource]:
    """The sources of a brand, or of the whole tenant, newest first."""
    query: Select[KnowledgeSource] = select(KnowledgeSource)
    if brand_id is not None:
        query = query.where(col(KnowledgeSource.brand_id) == brand_id)
    if status is not None:
        query = query.where(col(KnowledgeSource.status) == str(status))
    return await page(
        session,
        query,
        newest_by=col(KnowledgeSource.created_at),
        row_id=col(KnowledgeSource.id),
        limit=paging.limit,
        cursor=paging.cursor,
    )


async def same_source(
    session: AsyncSession, brand_id: UUID, *, content_hash: str | None, url: str | None
) -> KnowledgeSource | None:
    """The brand's source with this very address, or (no page from the web) this very content."""
    query = select(KnowledgeSource).where(col(KnowledgeSource.brand_id) == brand_id)
    if url is not None:
        query = query.where(col(KnowledgeSource.url) == url)
    else:
        query = query.where(col(KnowledgeSource.content_hash) == content_hash, col(KnowledgeSource.url).is_(None))
    return (await session.execute(query.order_by(col(KnowledgeSource.id)).limit(1))).scalar_one_or_none()


async def one_upload_at_a_time(session: AsyncSession, brand_id: UUID) -> None:
    """Let uploads to a brand follow one another until the transaction ends, so that none overlooks its twin."""
    await session.execute(_ONE_AT_A_TIME, {"brand_id": str(brand_id)})
