"""Queries about people, API keys and their tenants. Log-in crosses tenants: who someone is decides the tenant."""

from datetime import timedelta
from uuid import UUID

from sqlalchemy import or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from packages.core.db.base import now
from packages.core.db.tables.accounts import APIKey, Tenant, User
from packages.core.domain.tenants import Role

_ACTIVE = "active"
USE_NOTED_EVERY = timedelta(minutes=1)


async def user_by_email(session: AsyncSession, email: str) -> User | None:
    """The user with an e-mail, whatever the tenant."""
    return (await session.execute(select(User).where(col(User.email) == email))).scalar_one_or_none()


async def live_user(session: AsyncSession, user_id: UUID) -> User | None:
    """A user who may act now: active, and of a tenant that is."""
    query = (
        select(User)
        .outerjoin(Tenant, col(Tenant.id) == col(User.tenant_id))
        .where(col(User.id) == user_id, col(User.is_active))
        .where(or_(col(User.tenant_id).is_(None), col(Tenant.status) == _ACTIVE))
    )
    return (await session.execute(query)).scalar_one_or_none()


async def live_key(session: AsyncSession, token_hash: str) -> APIKey | None:
    """The API key with this hash, if it is not revoked and its tenant is active."""
    query = (
        select(APIKey)
        .join(Tenant, col(Tenant.id) == col(APIKey.tenant_id))
        .where(col(APIKey.token_hash) == token_hash, col(APIKey.revoked_at).is_(None), col(Tenant.status) == _ACTIVE)
    )
    return (await session.execute(query)).scalar_one_or_none()


async def note_use(session: AsyncSession, key: APIKey) -> None:
    """Note that a key was used; at most once a minute, so that busy keys do not write all the time."""
    if key.last_used_at is None or key.last_used_at < now() - USE_NOTED_EVERY:
        await session.execute(update(APIKey).where(col(APIKey.id) == key.id).values(last_used_at=now()))


async def tenant_is_active(session: AsyncSession, tenant_id: UUID) -> bool:
    """Whether there is such a tenant, and it is active."""
    tenant = await session.get(Tenant, tenant_id)
    return tenant is not None and tenant.status == _ACTIVE


async def has_platform_admin(session: AsyncSession) -> bool:
    """Whether anyone administers the platform."""
    query = select(col(User.id)).where(col(User.role) == str(Role.PLATFORM_ADMIN)).limit(1)
    return (await session.execute(query)).first() is not None


async def keys(session: AsyncSession) -> list[APIKey]:
    """The tenant's API keys that are not revoked, newest first."""
    query = select(APIKey).where(col(APIKey.revoked_at).is_(None)).order_by(col(APIKey.id).desc())
    return list((await session.execute(query)).scalars())
