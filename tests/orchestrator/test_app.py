"""The process as a whole: start, readiness, what it refuses, and how it ends."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import httpx
import pytest
import pytest_asyncio
from sqlalchemy import text

from packages.core.db.rls import UnsafeRole, refuse_bypass
from packages.core.db.session import Database
from services.local.engines import free_port
from services.orchestrator.app import create_app
from services.orchestrator.settings import OrchestratorSettings
from tests.conftest import ROOT, Engines
from tests.factories.companies import Company, Installation
from tests.factories.pipeline import SECRET_KEY
from tests.orchestrator.conftest import make_settings


class TestReadiness:
    async def test_names_each_dependency(self, installation: Installation) -> None:
        answer = await installation.client().get("/readyz")
        named = {"postgres": "ok", "redis": "ok", "vector_store": "ok", "storage": "ok"}
        assert (answer.status_code, answer.json()["dependencies"]) == (200, named)

    async def test_metrics_of_the_pipeline(self, installation: Installation) -> None:
        metrics = (await installation.client().get("/metrics")).text
        for name in ("parley_http_requests_total", "parley_turns_total", "parley_live_watchers"):
            assert name in metrics


class TestDescription:
    def test_every_endpoint_is_described(self) -> None:
        paths = create_app(OrchestratorSettings(_env_file=None)).openapi()["paths"]
        bare = [path for path, methods in paths.items() for about in methods.values() if not about.get("description")]
        assert bare == []

    def test_operations_have_names_of_their_own(self) -> None:
        paths = create_app(OrchestratorSettings(_env_file=None)).openapi()["paths"]
        names = [about["operationId"] for methods in paths.values() for about in methods.values()]
        assert len(names) == len(set(names))


class TestCORS:
    @pytest.mark.parametrize(("origins", "allowed"), [([], None), (["https://console.test"], "https://console.test")])
    async def test_is_off_unless_named(self, origins: list[str], allowed: str | None) -> None:
        app = create_app(OrchestratorSettings(_env_file=None, cors_origins=origins))
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
            answer = await client.get("/healthz", headers={"Origin": "https://console.test"})
        assert answer.headers.get("Access-Control-Allow-Origin") == allowed


class TestRoles:
    async def test_services_are_bound(self, database: Database) -> None:
        async with database.across_tenants() as session:
            await refuse_bypass(session)

    @pytest.mark.parametrize(
        ("change", "undo"),
        [
            ("ALTER ROLE parley_app BYPASSRLS", "ALTER ROLE parley_app NOBYPASSRLS"),
            ("ALTER ROLE parley_app SUPERUSER", "ALTER ROLE parley_app NOSUPERUSER"),
            ("CREATE TABLE stray (); ALTER TABLE stray OWNER TO parley_app", "DROP TABLE stray"),
        ],
    )
    async def test_whoever_could_go_around_is_refused(
        self, engines: Engines, database: Database, change: str, undo: str
    ) -> None:
        owner = await asyncpg.connect(engines.postgres_admin_url)
        await owner.execute(change)
        try:
            async with database.tenant("00000000-0000-0000-0000-000000000000") as session:
                with pytest.raises(UnsafeRole, match="parley_app"):
                    await refuse_bypass(session)
        finally:
            await owner.execute(undo)
            await owner.close()

    async def test_start_is_refused(self, engines: Engines, tmp_path: Path) -> None:
        owner = await asyncpg.connect(engines.postgres_admin_url)
        await owner.execute("ALTER ROLE parley_system BYPASSRLS")
        app = create_app(make_settings(engines, tmp_path))
        try:
            with pytest.raises(UnsafeRole):
                async with app.router.lifespan_context(app):
                    pass
        finally:
            await owner.execute("ALTER ROLE parley_system NOBYPASSRLS")
            await owner.close()


async def test_a_short_secret_is_refused(engines: Engines, tmp_path: Path) -> None:
    app = create_app(make_settings(engines, tmp_path, secret_key="short"))
    with pytest.raises(ValueError, match="at least 32 characters"):
        async with app.router.lifespan_context(app):
            pass


async def test_postgres_away_is_a_503(installation: Installation, acme: Company, engines: Engines) -> None:
    parts = installation.parts
    alive = parts.get(Database)
    parts.put(Database, Database(f"postgresql://nobody:x@127.0.0.1:{free_port()}/none"))
    try:
        answer = await acme.admin.get("/v1/brands")
        ready = await installation.client().get("/readyz")
    finally:
        parts.put(Database, alive)
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "unavailable")
    assert (ready.status_code, ready.json()["dependencies"]["redis"]) == (503, "ok")


@pytest_asyncio.fixture
async def process(engines: Engines, tmp_path: Path, database: Database) -> AsyncIterator[tuple[str, int]]:
    """The orchestrator as its own process; base URL and process id."""
    port = free_port()
    command = ["-m", "uvicorn", "--factory", "services.orchestrator.app:create_app", "--port", str(port)]
    running = await asyncio.create_subprocess_exec(
        sys.executable,
        *command,
        cwd=ROOT,
        env={
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "PARLEY_POSTGRES__URL": engines.postgres_url,
            "PARLEY_REDIS__URL": engines.redis_url,
            "PARLEY_SECRET_KEY": SECRET_KEY,
            "PARLEY_DATA_DIR": str(tmp_path),
            "PARLEY_ADMIN_EMAIL": "root@parley.test",
            "PARLEY_ADMIN_PASSWORD": "the first password",
        },
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    url = f"http://127.0.0.1:{port}"
    async with httpx.AsyncClient() as client:
        for _ in range(600):
            try:
                if (await client.get(f"{url}/readyz")).status_code == 200:
                    break
            except httpx.TransportError:
                await asyncio.sleep(0.1)
    yield url, running.pid
    if running.returncode is None:
        running.terminate()
    assert await asyncio.wait_for(running.wait(), 20) in {0, -signal.SIGTERM}


async def test_ends_although_somebody_watches(process: tuple[str, int]) -> None:
    url, pid = process
    form = {"username": "root@parley.test", "password": "the first password"}
    async with httpx.AsyncClient(base_url=url, timeout=20) as client:
        token = (await client.post("/v1/auth/token", data=form)).json()["access_token"]
        headers = {"Authorization": f"Bearer {token}"}
        tenant = {"name": "T", "slug": "t", "admin_email": "a@t.test", "admin_password": "a long password"}
        made = await client.post("/v1/tenants", json=tenant, headers=headers)
        headers["X-Tenant-Id"] = made.json()["id"]
        async with client.stream("GET", "/v1/stream", headers=headers) as answer:
            lines = answer.aiter_lines()
            assert await anext(lines) == ": connected"
            os.kill(pid, signal.SIGTERM)
            async with asyncio.timeout(10):
                assert [line async for line in lines][-1] == ""


async def test_pools_are_named(installation: Installation) -> None:
    async with installation.parts.get(Database).across_tenants() as session:
        assert await session.scalar(text("SHOW application_name")) == "parley-orchestrator:parley_system"
