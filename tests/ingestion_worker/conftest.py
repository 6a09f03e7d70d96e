"""A worker over real engines, with an embedder that counts, and files in a folder."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from redis.asyncio import Redis

from packages.core import jobs, storage, streams
from packages.core.config import StorageSettings
from packages.core.db.session import Database
from packages.rag.documents import Scope
from packages.rag.embeddings.hashing import HashingEmbedder
from packages.rag.retrieval import Knowledge
from packages.rag.vector_store.pgvector import PgVectorStore
from services.ingestion_worker.ingestion import Worker
from services.ingestion_worker.settings import FetchSettings, IngestionSettings, WorkerSettings
from tests.conftest import Engines
from tests.factories.accounts import make_tenant


@pytest_asyncio.fixture
async def scope(database: Database) -> Scope:
    """The brand of a new tenant."""
    made = await make_tenant(database)
    return Scope(tenant_id=made.tenant_id, brand_id=made.brand_id)


@pytest.fixture
def embedder() -> HashingEmbedder:
    return HashingEmbedder()


@pytest.fixture
def settings(engines: Engines, tmp_path: Path) -> WorkerSettings:
    """Short pauses, and this machine may be fetched from."""
    return WorkerSettings.model_validate(
        {
            "postgres": {"url": engines.postgres_url},
            "redis": {"url": engines.redis_url},
            "storage": StorageSettings(url=f"file://{tmp_path}/objects"),
            "ingestion": IngestionSettings(
                retry_seconds=0.02, retry_max_seconds=0.05, heartbeat_seconds=0.1, stale_seconds=2, progress_seconds=0
            ),
            "fetch": FetchSettings(total_seconds=2, max_bytes=1_000_000, allowed_hosts=frozenset({"127.0.0.1"})),
        }
    )


@pytest_asyncio.fixture
async def worker(
    settings: WorkerSettings, database: Database, redis: Redis, embedder: HashingEmbedder
) -> AsyncIterator[Worker]:
    assert redis is not None  # it empties Redis first
    queue = await jobs.connect(settings.redis_url)
    live = streams.connect(settings.redis_url)
    yield Worker(
        settings=settings,
        database=database,
        redis=live,
        queue=queue,
        storage=storage.create(settings),
        knowledge=Knowledge(database=database, store=PgVectorStore(database), embedder=embedder),
    )
    await live.aclose()
    await queue.aclose()
