"""Connections to PostgreSQL: a session is bound to one tenant, or says that it crosses tenants.

Row-level security does the rest. Services run as `parley_app`, which sees only rows of the tenant named in
`parley.tenant_id`; the loops that serve all tenants run as `parley_system`. Neither owns the tables.
"""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any
from uuid import UUID

import asyncpg
import msgspec
from sqlalchemy import text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine

from packages.core.db.direct import DirectPool, Transaction

APP_ROLE = "parley_app"
SYSTEM_ROLE = "parley_system"

_BIND_TENANT = text("SELECT set_config('parley.tenant_id', :tenant_id, true)")


DATABASE_ERRORS = (SQLAlchemyError, asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError)
"""Whatever goes wrong between us and PostgreSQL, by either way."""


class Database:
    """One database, as a tenant sees it or across tenants; through ORM sessions, or `direct` on the hot paths."""

    def __init__(self, url: str, *, pool_size: int = 10, name: str = "parley") -> None:
        self._app = _engine(url, APP_ROLE, pool_size, name)
        self._app_snapshot = self._app.execution_options(isolation_level="REPEATABLE READ")
        self._system = _engine(url, SYSTEM_ROLE, pool_size, name)
        plain = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
        self._direct_app = DirectPool(plain, APP_ROLE, pool_size, name)
        self._direct_system = DirectPool(plain, SYSTEM_ROLE, pool_size, name)

    @asynccontextmanager
    async def tenant(self, tenant_id: UUID | str, *, snapshot: bool = False) -> AsyncIterator[AsyncSession]:
        """One transaction that sees one tenant. Commits at the end of the block, rolls back on an exception.

        With `snapshot` every statement in it sees the same state of the database (REPEATABLE READ).
        """
        engine = self._app_snapshot if snapshot else self._app
        async with AsyncSession(engine, expire_on_commit=False) as session:
            await session.execute(_BIND_TENANT, {"tenant_id": str(tenant_id)})
            yield session
            await session.commit()

    @asynccontextmanager
    async def across_tenants(self) -> AsyncIterator[AsyncSession]:
        """One transaction that sees every tenant: for the loops, log-in and platform administration only."""
        async with AsyncSession(self._system, expire_on_commit=False) as session:
            yield session
            await session.commit()

    def direct(self, tenant_id: UUID | str, *, snapshot: bool = False) -> AbstractAsyncContextManager[Transaction]:
        """Like `tenant`, for statements of `packages.core.db.direct` alone: a fraction of a session's cost."""
        own_id = tenant_id if isinstance(tenant_id, UUID) else UUID(tenant_id)
        return self._direct_app.transaction(own_id, snapshot=snapshot)

    def direct_across_tenants(self) -> AbstractAsyncContextManager[Transaction]:
        """Like `across_tenants`, for statements of `packages.core.db.direct` alone."""
        return self._direct_system.transaction()

    def single_across_tenants(self) -> AbstractAsyncContextManager[Transaction]:
        """Like `direct_across_tenants`, but each statement commits by itself."""
        return self._direct_system.connection()

    async def ping(self) -> None:
        """Raise unless the database answers."""
        async with self._system.connect() as connection:
            await connection.execute(text("SELECT 1"))

    async def close(self) -> None:
        """Close both pools."""
        await self._app.dispose()
        await self._system.dispose()
        await self._direct_app.close()
        await self._direct_system.close()


def async_url(url: str) -> URL:
    """The URL with asyncpg as its driver, whatever flavour of PostgreSQL URL was given."""
    return make_url(url).set(drivername="postgresql+asyncpg")


def _engine(url: str, role: str, pool_size: int, name: str) -> AsyncEngine:
    return create_async_engine(
        async_url(url),
        # An overflow connection is closed when it comes back, and to open one costs several times a request.
        pool_size=2 * pool_size,
        max_overflow=0,
        pool_timeout=10,
        pool_pre_ping=False,
        pool_recycle=1800,
        json_serializer=_dumps,
        json_deserializer=msgspec.json.decode,
        connect_args={
            "timeout": 5,
            "command_timeout": 30,
            "server_settings": {"role": role, "application_name": f"{name}:{role}", "jit": "off"},
        },
    )


def _dumps(value: Any) -> str:
    return msgspec.json.encode(value).decode()
