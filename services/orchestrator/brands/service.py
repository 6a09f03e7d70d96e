"""Brands and how their bots speak."""

from typing import Any
from uuid import UUID

from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from packages.core.db.repository import get
from packages.core.db.tables.brands import Brand, PersonaProfile
from packages.core.domain.tenants import BrandProfile
from packages.core.errors import Conflict
from services.orchestrator.auth.permissions import Principal
from services.orchestrator.brands import repository
from services.orchestrator.brands.schemas import BrandCreate, BrandUpdate, Persona


async def create(session: AsyncSession, principal: Principal, new: BrandCreate) -> Brand:
    """A brand with a persona to begin with.

    Raises:
        Conflict: the tenant has a brand with this slug.
    """
    brand = Brand(tenant_id=principal.tenant_id, **new.model_dump())
    session.add(brand)
    await _flush(session, new.slug)
    session.add(PersonaProfile(tenant_id=principal.tenant_id, brand_id=brand.id, display_name=brand.name))
    await session.flush()
    return brand


async def update(session: AsyncSession, brand_id: UUID, changes: BrandUpdate) -> Brand:
    """Change what is given.

    Raises:
        NotFound: no such brand. Conflict: the slug is taken.
    """
    brand = await get(session, Brand, brand_id)
    given: dict[str, Any] = changes.model_dump(exclude_none=True)
    for name, value in given.items():
        setattr(brand, name, value)
    await _flush(session, brand.slug)
    return brand


async def put_persona(session: AsyncSession, brand_id: UUID, wanted: Persona) -> PersonaProfile:
    """Replace a brand's persona.

    Raises:
        NotFound: no such brand.
    """
    _, persona = await repository.persona_of(session, brand_id)
    for name, value in wanted.model_dump().items():
        setattr(persona, name, value)
    persona.version += 1
    return persona


async def profile(session: AsyncSession, brand_id: UUID) -> BrandProfile:
    """A brand as the engine needs it.

    Raises:
        NotFound: no such brand.
    """
    brand, persona = await repository.persona_of(session, brand_id)
    return BrandProfile(
        id=str(brand.id),
        tenant_id=str(brand.tenant_id),
        name=brand.name,
        locale=brand.locale,
        timezone=brand.timezone,
        knowledge_version=brand.knowledge_version,
        display_name=persona.display_name,
        tone=persona.tone,
        instructions=persona.instructions,
        languages=tuple(persona.languages),
        greeting=persona.greeting,
        sign_off=persona.sign_off,
        fallback_message=persona.fallback_message,
        handover_message=persona.handover_message,
        settings=brand.settings,
    )


async def _flush(session: AsyncSession, slug: str) -> None:
    try:
        await session.flush()
    except IntegrityError as error:
        raise Conflict(f"There is a brand with the slug {slug!r} already.") from error
