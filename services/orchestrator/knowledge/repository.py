"""Queries about knowledge sources."""

from uuid import UUID

from pydantic import BaseModel
from sqlalchemy import Select, any_, func, literal, or_, select, text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from packages.core.db.repositories import knowledge as rows
from packages.core.db.repository import Page, get, page
from packages.core.db.tables.knowledge import KnowledgeSource, KnowledgeVersion
from packages.core.domain.knowledge import SourceStatus
from packages.core.errors import NotFound
from services.orchestrator.paging import Paging

_ONE_AT_A_TIME = text("SELECT pg_advisory_xact_lock(hashtextextended(CAST(:tenant_id AS text), 0))")


async def source_of(session: AsyncSession, brand_id: UUID, source_id: UUID) -> KnowledgeSource:
    """A brand's source.

    Raises:
        NotFound: no such source, or it is another brand's.
    """
    source = await get(session, KnowledgeSource, source_id)
    if source.brand_id != brand_id:
        raise NotFound("There is no knowledge source with this id.")
    return source


class SourceQuery(BaseModel):
    """What a list of sources is narrowed to."""

    status: SourceStatus | None = None
    kind: str | None = None
    tag: str | None = None
    parent_id: UUID | None = None
    q: str | None = None


async def sources_page(
    session: AsyncSession, paging: Paging, wanted: SourceQuery, *, brand_id: UUID | None = None
) -> Page[KnowledgeSource]:
    """The sources of a brand, or of the whole tenant, newest first. `q` is looked for in titles, names, addresses."""
    source = KnowledgeSource
    query: Select[KnowledgeSource] = select(source)
    if brand_id is not None:
        query = query.where(col(source.brand_id) == brand_id)
    if wanted.status is not None:
        query = query.where(col(source.status) == str(wanted.status))
    if wanted.kind is not None:
        query = query.where(col(source.kind) == wanted.kind)
    if wanted.parent_id is not None:
        query = query.where(col(source.parent_id) == wanted.parent_id)
    if wanted.tag is not None:
        query = query.where(literal(wanted.tag) == any_(col(source.tags)))
    if wanted.q:
        fields = (col(source.title), col(source.filename), col(source.url))
        query = query.where(or_(*(text_field.icontains(wanted.q, autoescape=True) for text_field in fields)))
    return await page(
        session,
        query,
        newest_by=col(source.created_at),
        row_id=col(source.id),
        limit=paging.limit,
        cursor=paging.cursor,
    )


async def page_counts(session: AsyncSession, site_id: UUID) -> dict[str, int]:
    """A site's pages by status."""
    query = select(col(KnowledgeSource.status), func.count()).where(col(KnowledgeSource.parent_id) == site_id)
    found = (await session.execute(query.group_by(col(KnowledgeSource.status)))).all()
    return {str(row[0]): int(row[1]) for row in found}


async def pages_of(session: AsyncSession, site_id: UUID) -> list[UUID]:
    """The ids of a site's pages."""
    query = select(col(KnowledgeSource.id)).where(col(KnowledgeSource.parent_id) == site_id)
    return list((await session.scalars(query)).all())


async def locked_source(session: AsyncSession, brand_id: UUID, source_id: UUID) -> KnowledgeSource:
    """A brand's source, which nobody else changes until the transaction ends.

    Raises:
        NotFound: no such source, or it is another brand's.
    """
    await rows.lock_source(session, brand_id, source_id)
    return await source_of(session, brand_id, source_id)


async def versions_of(session: AsyncSession, source_id: UUID) -> list[KnowledgeVersion]:
    """The kept versions of a source, newest first."""
    query = select(KnowledgeVersion).where(col(KnowledgeVersion.source_id) == source_id)
    return list((await session.scalars(query.order_by(col(KnowledgeVersion.version).desc()))).all())


async def version_of(session: AsyncSession, source_id: UUID, version: int | None) -> KnowledgeVersion:
    """One version of a source; the present one if none is named.

    Raises:
        NotFound: it is not kept.
    """
    for row in await versions_of(session, source_id):
        if version is None or row.version == version:
            return row
    raise NotFound("This version of the source is not kept; see its list of versions.")


async def same_source(
    session: AsyncSession, brand_id: UUID, *, content_hash: str | None, url: str | None, is_site: bool = False
) -> KnowledgeSource | None:
    """The brand's page or site with this very address, or (not from the web) the source with this very content."""
    query = select(KnowledgeSource).where(col(KnowledgeSource.brand_id) == brand_id)
    if url is not None:
        site = col(KnowledgeSource.kind) == "site"
        query = query.where(col(KnowledgeSource.url) == url, site if is_site else ~site)
    else:
        query = query.where(col(KnowledgeSource.content_hash) == content_hash, col(KnowledgeSource.url).is_(None))
    return (await session.execute(query.order_by(col(KnowledgeSource.id)).limit(1))).scalar_one_or_none()


async def one_upload_at_a_time(session: AsyncSession, tenant_id: UUID) -> None:
    """Let a tenant's uploads follow one another until the transaction ends: none overlooks its twin, or the quota."""
    await session.execute(_ONE_AT_A_TIME, {"tenant_id": str(tenant_id)})
