"""Tenants and the people who work for them."""

from uuid import UUID

from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import SQLModel

from packages.core.db.repository import get
from packages.core.db.tables.accounts import Tenant, User
from packages.core.domain.tenants import Role
from packages.core.errors import Conflict, NotFound
from services.orchestrator.auth import passwords
from services.orchestrator.auth.permissions import Principal
from services.orchestrator.tenants.schemas import TenantCreate, UserCreate, UserUpdate


async def create_tenant(session: AsyncSession, new: TenantCreate) -> tuple[Tenant, User]:
    """A tenant and its first admin, both or neither.

    Raises:
        Conflict: the slug or the e-mail is taken.
    """
    tenant = Tenant(name=new.name, slug=new.slug)
    await _add(session, tenant, f"The slug {new.slug!r} is taken.")
    admin = User(
        tenant_id=tenant.id,
        email=new.admin_email,
        name=new.admin_email,
        password_hash=await passwords.hashed(new.admin_password.get_secret_value()),
        role=str(Role.TENANT_ADMIN),
    )
    await _add(session, admin, f"There is a user with the e-mail {new.admin_email} already.")
    return tenant, admin


async def create_user(session: AsyncSession, principal: Principal, new: UserCreate) -> User:
    """A person of the principal's tenant.

    Raises:
        Conflict: the e-mail is taken.
    """
    user = User(
        tenant_id=principal.tenant_id,
        email=new.email,
        name=new.name,
        password_hash=await passwords.hashed(new.password.get_secret_value()),
        role=str(new.role),
    )
    await _add(session, user, f"There is a user with the e-mail {new.email} already.")
    return user


async def update_user(session: AsyncSession, principal: Principal, user_id: UUID, changes: UserUpdate) -> User:
    """Change a person of the tenant; ends their sessions where what they may do has changed.

    Raises:
        NotFound: no such user. Conflict: tenant admins do not shut themselves out.
    """
    user = await get(session, User, user_id)
    if user.tenant_id != principal.tenant_id:
        raise NotFound("There is no user account with this id.")
    if user.id == principal.user_id and (changes.is_active is False or changes.role):
        raise Conflict("You cannot change your own role or shut yourself out; another admin can.")
    if changes.name is not None:
        user.name = changes.name
    if changes.password is not None:
        user.password_hash = await passwords.hashed(changes.password.get_secret_value())
    if changes.role is not None:
        user.role = str(changes.role)
    if changes.is_active is not None:
        user.is_active = changes.is_active
    if changes.password or changes.role or changes.is_active is False:
        user.token_version += 1
    return user


async def _add(session: AsyncSession, row: SQLModel, taken: str) -> None:
    session.add(row)
    try:
        await session.flush()
    except IntegrityError as error:
        raise Conflict(taken) from error
