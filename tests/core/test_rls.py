"""Row-level security, table by table, as the database itself has it: a table that is forgotten fails here."""

from collections.abc import AsyncIterator
from uuid import uuid4

import asyncpg
import pytest
import pytest_asyncio
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlmodel import SQLModel

from packages.core.db import tables
from packages.core.db.rls import UnsafeRole, refuse_bypass
from packages.core.db.session import APP_ROLE, SYSTEM_ROLE, Database
from tests.conftest import Engines

assert tables  # importing it registers every table
TENANT_TABLES = sorted(table.name for table in SQLModel.metadata.tables.values() if "tenant_id" in table.columns)
EVERY_TABLE = [*TENANT_TABLES, "tenant"]
OURS, THEIRS = uuid4(), uuid4()

every_table = pytest.mark.parametrize("table", EVERY_TABLE)


@pytest_asyncio.fixture(scope="module")
async def owner(engines: Engines) -> AsyncIterator[asyncpg.Connection]:
    """The owner of the schema, whom no policy binds."""
    connection = await asyncpg.connect(engines.postgres_admin_url)
    yield connection
    await connection.close()


@pytest_asyncio.fixture(scope="module")
async def filled(engines: Engines, owner: asyncpg.Connection) -> AsyncIterator[Database]:
    """Each table has one row of ours and one of theirs, and keeps them: tests take their changes back.

    Other columns hold anything that fits them.
    """
    async with owner.transaction():
        await owner.execute("SET LOCAL session_replication_role = replica")  # no foreign keys
        for table in EVERY_TABLE:
            columns = await owner.fetch(
                "SELECT column_name, udt_name, character_maximum_length FROM information_schema.columns "
                "WHERE table_name = $1 AND is_nullable = 'NO' AND column_default IS NULL AND is_identity = 'NO'",
                table,
            )
            tenant = tenant_column(table)
            values = {row["column_name"]: anything(row["udt_name"], row["character_maximum_length"]) for row in columns}
            for tenant_id in (OURS, THEIRS):
                values[tenant] = f"'{tenant_id}'::uuid"
                await owner.execute(f"INSERT INTO {table} ({', '.join(values)}) VALUES ({', '.join(values.values())})")
    database = Database(engines.postgres_url, pool_size=2)
    yield database
    await database.close()
    await owner.execute("TRUNCATE tenant, user_account CASCADE")


def tenant_column(table: str) -> str:
    return "id" if table == "tenant" else "tenant_id"


def anything(kind: str, length: int | None) -> str:
    """An SQL expression for a value of the type."""
    if kind in {"text", "varchar"}:
        return f"left(md5(random()::text), {length or 32})"
    if kind.startswith("_"):
        return "'{}'"
    simple = {
        "uuid": "gen_random_uuid()",
        "timestamptz": "now()",
        "bool": "false",
        "jsonb": "'{}'",
        "bytea": "''",
        "vector": "'[1]'",
    }
    return simple.get(kind, "1")


class TestCatalogue:
    async def test_these_are_all_tables_of_tenants(self, owner: asyncpg.Connection) -> None:
        found = await owner.fetch(
            "SELECT table_name FROM information_schema.columns "
            "WHERE table_schema = 'public' AND column_name = 'tenant_id'"
        )
        assert sorted(row["table_name"] for row in found) == TENANT_TABLES

    async def test_no_table_belongs_to_nobody(self, owner: asyncpg.Connection) -> None:
        found = await owner.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        assert sorted(row["tablename"] for row in found) == sorted([*EVERY_TABLE, "alembic_version"])

    @every_table
    async def test_security_is_on(self, owner: asyncpg.Connection, table: str) -> None:
        assert await owner.fetchval("SELECT relrowsecurity FROM pg_class WHERE oid = $1::text::regclass", table)

    @every_table
    async def test_has_the_two_policies_and_no_other(self, owner: asyncpg.Connection, table: str) -> None:
        found = await owner.fetch(
            "SELECT policyname::text, roles::text[], cmd, permissive, qual = with_check AS alike "
            "FROM pg_policies WHERE tablename = $1 ORDER BY policyname",
            table,
        )
        assert [tuple(row) for row in found] == [
            ("every_tenant", [SYSTEM_ROLE], "ALL", "PERMISSIVE", True),
            ("own_tenant", [APP_ROLE], "ALL", "PERMISSIVE", True),
        ]

    @every_table
    async def test_its_owner_is_not_a_role_of_the_services(self, owner: asyncpg.Connection, table: str) -> None:
        owned_by = await owner.fetchval("SELECT tableowner FROM pg_tables WHERE tablename = $1", table)
        assert owned_by not in {APP_ROLE, SYSTEM_ROLE, "parley_service"}

    @pytest.mark.parametrize("role", [APP_ROLE, SYSTEM_ROLE, "parley_service"])
    async def test_roles_of_the_services_are_bound(self, owner: asyncpg.Connection, role: str) -> None:
        row = await owner.fetchrow(
            "SELECT rolsuper, rolbypassrls, rolcreaterole, rolcreatedb, rolreplication FROM pg_roles "
            "WHERE rolname = $1",
            role,
        )
        assert row is not None
        assert not any(row)

    @pytest.mark.parametrize("role", [APP_ROLE, SYSTEM_ROLE])
    async def test_nobody_logs_in_as_a_role(self, owner: asyncpg.Connection, role: str) -> None:
        assert not await owner.fetchval("SELECT rolcanlogin FROM pg_roles WHERE rolname = $1", role)


class TestTenantSession:
    @every_table
    async def test_sees_its_own_row_alone(self, filled: Database, table: str) -> None:
        async with filled.tenant(OURS) as session:
            seen = (await session.scalars(text(f"SELECT {tenant_column(table)} FROM {table}"))).all()
        assert list(seen) == [OURS]

    @every_table
    async def test_changes_its_own_row_alone(self, filled: Database, table: str) -> None:
        column = tenant_column(table)
        async with filled.tenant(OURS) as session:
            rows = (await session.execute(text(f"UPDATE {table} SET {column} = {column} RETURNING {column}"))).all()
        assert [row[0] for row in rows] == [OURS]

    @pytest.mark.parametrize("table", TENANT_TABLES)
    async def test_deletes_its_own_row_alone(self, filled: Database, table: str) -> None:
        async with filled.tenant(OURS) as session:
            gone = (await session.execute(text(f"DELETE FROM {table} RETURNING tenant_id"))).all()
            await session.rollback()
        assert [row[0] for row in gone] == [OURS]

    @every_table
    async def test_cannot_write_in_anothers_name(self, filled: Database, table: str) -> None:
        statement = text(f"INSERT INTO {table} ({tenant_column(table)}) VALUES (:tenant_id)")
        with pytest.raises(DBAPIError, match="row-level security"):
            async with filled.tenant(OURS) as session:
                await session.execute(statement, {"tenant_id": THEIRS})

    @pytest.mark.parametrize("table", TENANT_TABLES)
    async def test_cannot_give_its_row_away(self, filled: Database, table: str) -> None:
        with pytest.raises(DBAPIError, match="row-level security"):
            async with filled.tenant(OURS) as session:
                await session.execute(text(f"UPDATE {table} SET tenant_id = :other"), {"other": THEIRS})

    async def test_cannot_become_another_tenant_by_the_next_transaction(self, filled: Database) -> None:
        for tenant_id in (OURS, THEIRS, OURS):
            async with filled.tenant(tenant_id) as session:
                assert (await session.scalars(text("SELECT tenant_id FROM brand"))).all() == [tenant_id]

    async def test_leaves_no_tenant_behind_on_its_connection(self, filled: Database) -> None:
        async with filled.tenant(OURS) as session:
            await session.execute(text("SELECT 1"))
        async with filled.across_tenants() as session:
            assert not await session.scalar(text("SELECT current_setting('parley.tenant_id', true)"))

    async def test_rolls_back_on_an_error(self, filled: Database) -> None:
        async def fail_after_a_delete() -> None:
            async with filled.tenant(OURS) as session:
                await session.execute(text("DELETE FROM api_key"))
                await session.execute(text("SELECT 1 / 0"))

        with pytest.raises(DBAPIError):
            await fail_after_a_delete()
        async with filled.tenant(OURS) as session:
            assert await session.scalar(text("SELECT count(*) FROM api_key")) == 1


class TestUnboundSession:
    @every_table
    async def test_without_a_tenant_nothing_is_seen(
        self, filled: Database, owner: asyncpg.Connection, table: str
    ) -> None:
        async with owner.transaction():
            await owner.execute(f"SET LOCAL ROLE {APP_ROLE}")
            assert await owner.fetchval(f"SELECT count(*) FROM {table}") == 0

    @every_table
    async def test_across_tenants_everything_is_seen(self, filled: Database, table: str) -> None:
        async with filled.across_tenants() as session:
            seen = (await session.scalars(text(f"SELECT {tenant_column(table)} FROM {table}"))).all()
        assert set(seen) == {OURS, THEIRS}

    @pytest.mark.parametrize("role", [APP_ROLE, SYSTEM_ROLE])
    @pytest.mark.parametrize(
        "statement",
        [
            "DROP TABLE brand",
            "ALTER TABLE brand DISABLE ROW LEVEL SECURITY",
            "TRUNCATE brand",
            "CREATE TABLE x (y int)",
        ],
    )
    async def test_a_service_cannot_change_the_schema(
        self, owner: asyncpg.Connection, role: str, statement: str
    ) -> None:
        await owner.execute(f"SET ROLE {role}")
        try:
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await owner.execute(statement)
        finally:
            await owner.execute("RESET ROLE")


class TestRefuseBypass:
    async def test_takes_the_roles_of_the_services(self, filled: Database) -> None:
        async with filled.tenant(OURS) as session:
            await refuse_bypass(session)
        async with filled.across_tenants() as session:
            await refuse_bypass(session)
            assert await session.scalar(text("SELECT current_user")) == SYSTEM_ROLE

    async def test_refuses_the_owner(self, engines: Engines) -> None:
        database = Database(engines.postgres_admin_url)
        async with database.across_tenants() as session:
            await session.execute(text("RESET ROLE"))
            await session.execute(text("SET LOCAL ROLE parley_owner"))
            with pytest.raises(UnsafeRole, match="parley_owner"):
                await refuse_bypass(session)
        await database.close()
