"""Brands and their personas."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter

from packages.core.db.repository import Page, get
from packages.core.db.tables.brands import Brand, PersonaProfile
from packages.core.domain.tenants import Role
from services.orchestrator.auth.permissions import Principal, Scope, require
from services.orchestrator.brands import repository, service
from services.orchestrator.brands.schemas import BrandCreate, BrandRead, BrandUpdate, Persona, PersonaRead
from services.orchestrator.paging import Listed, ThePaging
from services.orchestrator.parts import TheDatabase

router = APIRouter(prefix="/v1/brands", tags=["brands"])
Reader = Annotated[Principal, require(Role.VIEWER, Scope.BRANDS_READ)]
Writer = Annotated[Principal, require(Role.TENANT_ADMIN, Scope.BRANDS_WRITE)]


@router.post("", status_code=201, response_model=BrandRead)
async def create_brand(body: BrandCreate, principal: Writer, database: TheDatabase) -> Brand:
    """Make a brand; a persona with sensible defaults comes with it."""
    async with database.tenant(principal.tenant_id) as session:
        return await service.create(session, principal, body)


@router.get("", response_model=Listed[BrandRead])
async def list_brands(paging: ThePaging, principal: Reader, database: TheDatabase) -> Page[Brand]:
    """The tenant's brands, newest first."""
    async with database.tenant(principal.tenant_id) as session:
        return await repository.brands_page(session, paging)


@router.get("/{brand_id}", response_model=BrandRead)
async def read_brand(brand_id: UUID, principal: Reader, database: TheDatabase) -> Brand:
    """One brand."""
    async with database.tenant(principal.tenant_id) as session:
        return await get(session, Brand, brand_id)


@router.patch("/{brand_id}", response_model=BrandRead)
async def update_brand(brand_id: UUID, body: BrandUpdate, principal: Writer, database: TheDatabase) -> Brand:
    """Change what is given."""
    async with database.tenant(principal.tenant_id) as session:
        return await service.update(session, brand_id, body)


@router.get("/{brand_id}/persona", response_model=PersonaRead)
async def read_persona(brand_id: UUID, principal: Reader, database: TheDatabase) -> PersonaProfile:
    """How the brand's bot speaks."""
    async with database.tenant(principal.tenant_id) as session:
        return (await repository.persona_of(session, brand_id))[1]


@router.put("/{brand_id}/persona", response_model=PersonaRead)
async def put_persona(brand_id: UUID, body: Persona, principal: Writer, database: TheDatabase) -> PersonaProfile:
    """Replace how the brand's bot speaks; the next answer follows it."""
    async with database.tenant(principal.tenant_id) as session:
        return await service.put_persona(session, brand_id, body)
