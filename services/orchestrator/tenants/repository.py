"""Queries about tenants and users."""

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from packages.core.db.repository import Page, page
from packages.core.db.tables.accounts import Tenant, User
from services.orchestrator.paging import Paging


async def tenants_page(session: AsyncSession, paging: Paging) -> Page[Tenant]:
    """All tenants, newest first. Needs a session across tenants."""
    return await page(
        session,
        select(Tenant),
        newest_by=col(Tenant.created_at),
        row_id=col(Tenant.id),
        limit=paging.limit,
        cursor=paging.cursor,
    )


async def users_page(session: AsyncSession, paging: Paging) -> Page[User]:
    """The tenant's users, newest first."""
    return await page(
        session,
        select(User).where(col(User.tenant_id).is_not(None)),
        newest_by=col(User.created_at),
        row_id=col(User.id),
        limit=paging.limit,
        cursor=paging.cursor,
    )
