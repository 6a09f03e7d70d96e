"""Tenants (for platform admins) and the users of a tenant (for its admins)."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter

from packages.core.db.repository import Page, get
from packages.core.db.tables.accounts import Tenant, User
from packages.core.domain.tenants import Role
from services.orchestrator.auth.permissions import Identity, Principal, require, require_platform_admin
from services.orchestrator.paging import Listed, ThePaging
from services.orchestrator.parts import TheDatabase
from services.orchestrator.tenants import repository, service
from services.orchestrator.tenants.schemas import (
    TenantCreate,
    TenantCreated,
    TenantRead,
    UserCreate,
    UserRead,
    UserUpdate,
)

router = APIRouter(prefix="/v1", tags=["tenants"])
PlatformAdmin = Annotated[Identity, require_platform_admin()]
TenantAdmin = Annotated[Principal, require(Role.TENANT_ADMIN)]
Agent = Annotated[Principal, require(Role.AGENT)]


@router.post("/tenants", status_code=201)
async def create_tenant(body: TenantCreate, _admin: PlatformAdmin, database: TheDatabase) -> TenantCreated:
    """Make a tenant and its first admin. For platform admins."""
    async with database.across_tenants() as session:
        tenant, admin = await service.create_tenant(session, body)
    return TenantCreated(**TenantRead.model_validate(tenant).model_dump(), admin_id=admin.id)


@router.get("/tenants", response_model=Listed[TenantRead])
async def list_tenants(paging: ThePaging, _admin: PlatformAdmin, database: TheDatabase) -> Page[Tenant]:
    """All tenants, newest first. For platform admins."""
    async with database.across_tenants() as session:
        return await repository.tenants_page(session, paging)


@router.get("/tenants/{tenant_id}", response_model=TenantRead)
async def read_tenant(tenant_id: UUID, _admin: PlatformAdmin, database: TheDatabase) -> Tenant:
    """One tenant. For platform admins."""
    async with database.across_tenants() as session:
        return await get(session, Tenant, tenant_id)


@router.post("/users", status_code=201, response_model=UserRead)
async def create_user(body: UserCreate, principal: TenantAdmin, database: TheDatabase) -> User:
    """Let a person log in: an agent by default."""
    async with database.tenant(principal.tenant_id) as session:
        return await service.create_user(session, principal, body)


@router.get("/users", response_model=Listed[UserRead])
async def list_users(paging: ThePaging, principal: Agent, database: TheDatabase) -> Page[User]:
    """The people of the tenant, newest first: those to whom a conversation can be assigned among them."""
    async with database.tenant(principal.tenant_id) as session:
        return await repository.users_page(session, paging)


@router.patch("/users/{user_id}", response_model=UserRead)
async def update_user(user_id: UUID, body: UserUpdate, principal: TenantAdmin, database: TheDatabase) -> User:
    """Change a person's name, password or role, or shut them out; what they may do changes at once."""
    async with database.tenant(principal.tenant_id) as session:
        return await service.update_user(session, principal, user_id, body)
