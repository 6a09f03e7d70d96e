"""Statements straight through the driver, for the paths that every message takes.

An ORM session costs a multiple of the statement itself there. A `Statement` names its parameters like SQLAlchemy's
`text`, and runs on either kind of transaction, so a query is written once. JSON goes in
as text through `CAST(:name AS jsonb)` and comes out as text through `column::text`.
"""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import asyncpg
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

_NAMED = re.compile(r"(?<![:\w]):([a-z_]+)")
_JSON = re.compile(r"CAST\((\$\d+) AS jsonb\)")
_BEGIN = text("SELECT 1")
_CONNECTION, _BEGUN = "direct_connection", "begun"


class Row(asyncpg.Record):
    """A row whose columns are attributes too."""

    def __getattr__(self, name: str) -> Any:
        """The column of this name."""
        return self[name]


class Statement:
    """SQL with parameters such as `:name`, translated once into the driver's `$1`."""

    __slots__ = ("names", "sql")

    def __init__(self, sql: str) -> None:
        self.names = tuple(dict.fromkeys(_NAMED.findall(sql)))
        places = {name: f"${number}" for number, name in enumerate(self.names, start=1)}
        numbered = _NAMED.sub(lambda match: places[match.group(1)], sql)
        self.sql = _JSON.sub(r"CAST(\1::text AS jsonb)", numbered)

    async def fetch(self, on: "Transaction", **parameters: Any) -> list[Any]:
        """The rows. Every parameter must be given.

        Raises:
            KeyError: a parameter is missing.
        """
        connection = on if isinstance(on, asyncpg.Connection) else await _of_session(on)
        arguments = [parameters[name] for name in self.names]
        return await connection.fetch(self.sql, *arguments, record_class=Row)


Transaction = AsyncSession | asyncpg.Connection
"""A running transaction: an ORM session, or a connection as `Database.direct` gives it."""


async def _of_session(session: AsyncSession) -> asyncpg.Connection:
    """The driver's connection of a session, its transaction begun (SQLAlchemy begins with the first statement)."""
    found: asyncpg.Connection | None = session.info.get(_CONNECTION)
    if found is None:
        await session.execute(_BEGIN)
        raw = await (await session.connection()).get_raw_connection()
        found = session.info[_CONNECTION] = raw.driver_connection
    assert found is not None
    return found


class DirectPool:
    """Connections of one role, opened when first needed."""

    def __init__(self, url: str, role: str, size: int, name: str) -> None:
        self._url, self._size = url, size
        self._settings = {"role": role, "application_name": f"{name}:{role}", "jit": "off"}
        self._pool: asyncpg.Pool | None = None

    @asynccontextmanager
    async def transaction(self, tenant_id: UUID | None = None, *, snapshot: bool = False) -> AsyncIterator[Any]:
        """One transaction, bound to a tenant if one is named; begun and bound in one round trip.

        Raises:
            OSError, asyncpg.PostgresError: PostgreSQL is away or refuses.
        """
        pool = await self._opened()
        async with pool.acquire(timeout=10) as connection:
            isolation = " ISOLATION LEVEL REPEATABLE READ" if snapshot else ""
            bind = f"; SELECT set_config('parley.tenant_id', '{tenant_id}', true)" if tenant_id else ""
            await connection.execute(f"BEGIN{isolation}{bind}")
            try:
                yield connection
            except BaseException:
                if not connection.is_closed():
                    await connection.execute("ROLLBACK")
                raise
            await connection.execute("COMMIT")

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Any]:
        """A connection on which each statement is a transaction of its own: one round trip instead of three.

        Raises:
            OSError, asyncpg.PostgresError: PostgreSQL is away or refuses.
        """
        pool = await self._opened()
        async with pool.acquire(timeout=10) as connection:
            yield connection

    async def close(self) -> None:
        """Close the connections."""
        if self._pool:
            await self._pool.close()

    async def _opened(self) -> asyncpg.Pool:
        if self._pool is None:
            self._pool = asyncpg.create_pool(
                self._url,
                min_size=0,
                max_size=self._size,
                timeout=5.0,
                command_timeout=30.0,
                server_settings=self._settings,
                reset=_nothing,
            )
        await self._pool  # opens it once; later awaits return at once
        return self._pool


async def _nothing(_connection: Any) -> None:
    """No reset between uses: every setting is made inside a transaction and ends with it."""
