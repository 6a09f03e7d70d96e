"""Write in the caller's transaction, or in one of one's own."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy.ext.asyncio import AsyncSession

from packages.core.db.session import Database
from packages.rag.documents import Scope


@asynccontextmanager
async def joined(database: Database, scope: Scope, session: AsyncSession | None) -> AsyncIterator[AsyncSession]:
    """The given session, whose owner commits; without one a new transaction of the scope's tenant."""
    if session is not None:
        yield session
        return
    async with database.tenant(scope.tenant_id) as own:
        yield own
