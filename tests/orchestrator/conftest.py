"""The orchestrator with its lifespan running on real engines; one per test module, because it loads the real model."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
import pytest_asyncio
from fastapi import FastAPI
from redis.asyncio import Redis

from packages.core.config import PostgresSettings, RedisSettings, TurnSettings
from packages.core.crypto import derive_key
from packages.core.db.session import Database
from services.channel_gateway.app import create_app as create_gateway
from services.channel_gateway.settings import GatewaySettings
from services.orchestrator.app import create_app
from services.orchestrator.channels.catalogue import Catalogue
from services.orchestrator.channels.setup import Setup
from services.orchestrator.settings import OrchestratorSettings
from tests.conftest import Engines
from tests.factories.companies import Company, Installation
from tests.factories.pipeline import SECRET_KEY
from tests.factories.servers import served


@pytest.fixture(scope="module")
def settings(engines: Engines, tmp_path_factory: pytest.TempPathFactory) -> OrchestratorSettings:
    return make_settings(engines, tmp_path_factory.mktemp("data"))


def make_settings(engines: Engines, data_dir: Path, **more: object) -> OrchestratorSettings:
    values: dict[str, object] = {
        "postgres": PostgresSettings(url=engines.postgres_url, pool_size=5),
        "redis": RedisSettings(url=engines.redis_url),
        "secret_key": SECRET_KEY,
        "data_dir": data_dir,
        "turn": TurnSettings(debounce_seconds=3600, max_wait_seconds=3600),
        "live_heartbeat_seconds": 0.2,
        "upload_max_bytes": 200_000,
        "upload_max_files": 3,
    }
    return OrchestratorSettings(_env_file=None, **(values | more))  # type: ignore[arg-type]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def app(settings: OrchestratorSettings) -> AsyncIterator[FastAPI]:
    app = create_app(settings)
    async with app.router.lifespan_context(app):
        yield app


@pytest_asyncio.fixture
async def installation(app: FastAPI, database: Database, redis: Redis) -> AsyncIterator[Installation]:
    installation = Installation(app, database)
    yield installation
    await installation.quiet()


@pytest_asyncio.fixture
async def acme(installation: Installation) -> Company:
    return await installation.company("acme")


@pytest_asyncio.fixture
async def rival(installation: Installation) -> Company:
    return await installation.company("rival")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def gateway(app: FastAPI, settings: OrchestratorSettings) -> AsyncIterator[str]:
    """The real gateway, whose catalogue the orchestrator asks."""
    shared = settings.model_dump(include={"postgres", "redis", "secret_key", "data_dir"})
    application = create_gateway(GatewaySettings(_env_file=None, **shared))
    async with served(application, lifespan=True) as url, httpx.AsyncClient(timeout=3) as client:
        app.state.parts.put(Catalogue, Catalogue(client, f"{url}/channels"))
        app.state.parts.put(Setup, Setup(client, url, derive_key(settings.secret, "service").hex()))
        yield url
