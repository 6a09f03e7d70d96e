"""Migrations and models say the same, and every migration can be taken back."""

import asyncio
import subprocess
from collections.abc import AsyncIterator
from uuid import uuid4

import asyncpg
import pytest
import pytest_asyncio
from alembic.config import Config
from alembic.script import ScriptDirectory

from tests.conftest import ROOT, Engines, migrate

REVISIONS = [
    revision.revision for revision in ScriptDirectory.from_config(Config(ROOT / "alembic.ini")).walk_revisions()
]


@pytest_asyncio.fixture
async def scratch(engines: Engines) -> AsyncIterator[str]:
    """URL of an empty database, as its owner."""
    name = f"scratch_{uuid4().hex}"
    owner = await asyncpg.connect(engines.postgres_admin_url)
    await owner.execute(f"CREATE DATABASE {name}")
    yield engines.postgres_admin_url.rsplit("/", 1)[0] + "/" + name
    await owner.execute(f"DROP DATABASE {name} WITH (FORCE)")
    await owner.close()


async def schema(url: str) -> dict[str, list[str]]:
    """Everything that a migration makes, as text."""
    connection = await asyncpg.connect(url)
    queries = {
        "columns": "SELECT format('%s.%s %s %s %s', table_name, column_name, udt_name, is_nullable, column_default) "
        "FROM information_schema.columns WHERE table_schema = 'public'",
        "indexes": "SELECT indexdef FROM pg_indexes WHERE schemaname = 'public'",
        "constraints": "SELECT format('%s %s %s', conrelid::regclass, conname, pg_get_constraintdef(oid)) "
        "FROM pg_constraint WHERE connamespace = 'public'::regnamespace AND contype <> 'n'",
        "policies": "SELECT format('%s %s %s %s %s', tablename, policyname, roles, qual, with_check) FROM pg_policies",
        "grants": "SELECT format('%s %s %s', table_name, grantee, privilege_type) "
        "FROM information_schema.role_table_grants WHERE table_schema = 'public'",
        "sequences": "SELECT sequencename::text FROM pg_sequences WHERE schemaname = 'public'",
        "functions": "SELECT p.proname::text FROM pg_proc p "
        "LEFT JOIN pg_depend d ON d.objid = p.oid AND d.deptype = 'e' "
        "WHERE p.pronamespace = 'public'::regnamespace AND d.objid IS NULL",
    }
    found = {name: sorted(row[0] for row in await connection.fetch(query)) for name, query in queries.items()}
    await connection.close()
    return found


async def test_models_and_migrations_agree(scratch: str) -> None:
    migrate(scratch)
    try:
        migrate(scratch, "check")
    except subprocess.CalledProcessError as error:
        pytest.fail(f"Run `alembic revision --autogenerate`: {error.stdout}{error.stderr}")
    assert (await schema(scratch))["columns"]


async def test_goes_up_down_and_up_again(scratch: str) -> None:
    migrate(scratch)
    first = await schema(scratch)
    migrate(scratch, "downgrade", "base")
    empty = await schema(scratch)
    assert [line for line in empty["columns"] if not line.startswith("alembic_version")] == []
    assert (empty["policies"], empty["sequences"], empty["functions"]) == ([], [], [])
    migrate(scratch)
    assert await schema(scratch) == first


def test_there_is_one_line_of_revisions() -> None:
    heads = ScriptDirectory.from_config(Config(ROOT / "alembic.ini")).get_heads()
    assert heads == [max(REVISIONS)]


def test_autogenerate_writes_revisions_in_order() -> None:
    assert sorted(REVISIONS) == [f"{number:04}" for number in range(1, len(REVISIONS) + 1)]


async def test_two_processes_migrate_at_once(scratch: str) -> None:
    await asyncio.gather(*(asyncio.to_thread(migrate, scratch) for _ in range(2)))
    connection = await asyncpg.connect(scratch)
    assert await connection.fetchval("SELECT count(*) FROM alembic_version") == 1
    await connection.close()
