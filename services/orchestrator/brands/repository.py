"""Queries about brands and personas."""

from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from packages.core.db.repository import Page, get, page
from packages.core.db.tables.brands import Brand, PersonaProfile
from services.orchestrator.paging import Paging


async def brands_page(session: AsyncSession, paging: Paging) -> Page[Brand]:
    """The tenant's brands, newest first."""
    return await page(
        session,
        select(Brand),
        newest_by=col(Brand.created_at),
        row_id=col(Brand.id),
        limit=paging.limit,
        cursor=paging.cursor,
    )


async def persona_of(session: AsyncSession, brand_id: UUID) -> tuple[Brand, PersonaProfile]:
    """A brand and its persona; one is begun if there is none.

    Raises:
        NotFound: no such brand.
    """
    brand = await get(session, Brand, brand_id)
    query = select(PersonaProfile).where(col(PersonaProfile.brand_id) == brand_id)
    persona = (await session.execute(query)).scalar_one_or_none()
    if persona is None:
        persona = PersonaProfile(tenant_id=brand.tenant_id, brand_id=brand.id, display_name=brand.name)
        session.add(persona)
        await session.flush()
    return brand, persona
