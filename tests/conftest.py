"""Real engines for every test: one PostgreSQL and one Redis per test run, a fresh database per worker."""

import asyncio
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import pytest
import pytest_asyncio
from redis.asyncio import Redis

from packages.core.db.session import Database
from services.local.engines import Command, EmbeddedPostgres, EmbeddedRedis

ROOT = Path(__file__).parent.parent


@dataclass(frozen=True)
class Engines:
    """URLs of the engines of this test run."""

    postgres_url: str
    postgres_admin_url: str
    redis_url: str


def _start(command: Command) -> subprocess.Popen[bytes]:
    process = command.start()
    deadline = time.monotonic() + 30
    while not command.ready():
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"{command.name} did not start; see {command.log}")
        time.sleep(0.02)
    return process


@pytest.fixture(scope="session")
def engines() -> Iterator[Engines]:
    """A PostgreSQL with the schema at head, and a Redis; both gone afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="parley-test-"))
    folder.chmod(0o755)
    postgres, redis = EmbeddedPostgres(folder / "postgres"), EmbeddedRedis(folder / "redis")
    running = [(command, _start(command)) for command in (postgres.command(), redis.command())]
    asyncio.run(postgres.create_database())
    migrate(postgres.admin_url)
    yield Engines(postgres.url, postgres.admin_url, redis.url)
    for command, process in running:
        process.send_signal(command.stop_signal)
    for _, process in running:
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:  # a busy machine; the data is thrown away in any case
            process.kill()
    shutil.rmtree(folder, ignore_errors=True)


def migrate(admin_url: str, *arguments: str) -> None:
    """Run Alembic as the operator does."""
    subprocess.run(
        [sys.executable, "-m", "alembic", *(arguments or ("upgrade", "head"))],
        cwd=ROOT,
        env={**os.environ, "PARLEY_POSTGRES__ADMIN_URL": admin_url},
        check=True,
        capture_output=True,
        text=True,
    )


@pytest_asyncio.fixture
async def database(engines: Engines) -> AsyncIterator[Database]:
    """A database as the services see it; every table is emptied afterwards."""
    database = Database(engines.postgres_url, pool_size=5)
    yield database
    await database.close()
    owner = await asyncpg.connect(engines.postgres_admin_url)
    await owner.execute("TRUNCATE tenant, user_account CASCADE")
    await owner.close()


@pytest_asyncio.fixture
async def redis(engines: Engines) -> AsyncIterator[Redis]:
    """An empty Redis."""
    client: Redis = Redis.from_url(engines.redis_url)
    await client.flushall()
    yield client
    await client.aclose()
