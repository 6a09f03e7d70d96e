"""The worker as a real process: killed, stopped, and with a Redis that forgets."""

import asyncio
import os
import signal
import subprocess
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from types import MappingProxyType
from typing import Protocol

import asyncpg
import pytest
from arq.constants import health_check_key_suffix, in_progress_key_prefix
from redis.asyncio import Redis

from packages.core import jobs
from packages.core.db.tables.knowledge import KnowledgeSource
from packages.core.jobs import KnowledgeIngestJob
from packages.rag import embeddings
from packages.rag.documents import Scope
from services.ingestion_worker.ingestion import Worker
from tests.conftest import Engines
from tests.ingestion_worker.uploads import change, chunks_of, knowledge_version, run_jobs, source_of, upload
from tests.ingestion_worker.websites import Website, answer, serving
from tests.processes import KillableRedis, stop, venv_binary


class Start(Protocol):
    def __call__(self, changed: Mapping[str, str] = ...) -> subprocess.Popen[bytes]: ...


class Gate:
    """A page that answers only once it is opened: it holds a worker in the middle of its work."""

    def __init__(self) -> None:
        self.open = threading.Event()
        self.visitors = 0

    def __call__(self, request: BaseHTTPRequestHandler) -> None:
        self.visitors += 1
        self.open.wait(30)
        answer(b"<h1>Hours</h1><p>We open at nine.</p>", Content_Type="text/html")(request)


@pytest.fixture
def gate() -> Iterator[Gate]:
    gate = Gate()
    yield gate
    gate.open.set()


@pytest.fixture
def site(gate: Gate) -> Iterator[Website]:
    with serving({"/hours": gate}) as site:
        yield site


@pytest.fixture
def start(engines: Engines, tmp_path: Path) -> Iterator[Start]:
    """Starts a worker as an operator does; what is left of it ends with the test."""
    started = []
    environment = {
        "PARLEY_POSTGRES__URL": engines.postgres_url,
        "PARLEY_REDIS__URL": engines.redis_url,
        "PARLEY_STORAGE__URL": f"file://{tmp_path}/objects",
        "PARLEY_INGESTION__HEARTBEAT_SECONDS": "0.2",
        "PARLEY_INGESTION__STALE_SECONDS": "1",
        "PARLEY_INGESTION__SHUTDOWN_SECONDS": "1",
        "PARLEY_FETCH__ALLOWED_HOSTS": '["127.0.0.1"]',
    }

    def start(changed: Mapping[str, str] = MappingProxyType({})) -> subprocess.Popen[bytes]:
        with (tmp_path / "worker.log").open("ab") as log:
            process = subprocess.Popen(
                [venv_binary("arq"), "services.ingestion_worker.worker.WorkerSettings"],
                env={**os.environ, **environment, **changed},
                stdout=log,
                stderr=log,
            )
        started.append(process)
        return process

    yield start
    for process in started:
        stop(process)
    print((tmp_path / "worker.log").read_text())


async def until(condition: Callable[[], object], what: str, seconds: float = 40) -> None:
    """Wait for a condition, given as a function or a coroutine function."""
    with failing(what):
        async with asyncio.timeout(seconds):
            while True:
                met = condition()
                if await met if asyncio.iscoroutine(met) else met:
                    return
                await asyncio.sleep(0.05)


@contextmanager
def failing(what: str) -> Iterator[None]:
    try:
        yield
    except TimeoutError:
        pytest.fail(f"waited in vain until {what}")


async def status_is(worker: Worker, job: KnowledgeIngestJob, status: str) -> bool:
    return (await source_of(worker, job)).status == status


@pytest.fixture
async def job(worker: Worker, scope: Scope, site: Website) -> KnowledgeIngestJob:
    """A queued page that arrives only when the gate opens."""
    job = await upload(worker, scope, "hours", b"", kind="url", url=site.url("/hours"))
    await change(worker, job, storage_key=None)
    await jobs.enqueue_ingest(worker.queue, job)
    return job


async def ready(worker: Worker, job: KnowledgeIngestJob) -> KnowledgeSource:
    await until(lambda: status_is(worker, job, "ready"), "the source is ready")
    return await source_of(worker, job)


async def test_a_killed_workers_source_is_taken_up_again(
    worker: Worker, scope: Scope, redis: Redis, job: KnowledgeIngestJob, gate: Gate, start: Start
) -> None:
    process = start()
    await until(lambda: gate.visitors == 1, "the worker reads the source")
    process.kill()
    process.wait()
    assert (await source_of(worker, job)).status == "processing"
    assert await redis.keys(f"{in_progress_key_prefix}ingest_source*")
    gate.open.set()
    await asyncio.sleep(1.2)  # until it counts as stale
    start()
    source = await ready(worker, job)
    assert (source.attempts, source.version, await knowledge_version(worker, scope)) == (2, 1, 1)
    assert [chunk.text for chunk in await chunks_of(worker, job)] == ["We open at nine."]


async def stage_is(worker: Worker, job: KnowledgeIngestJob, stage: str) -> bool:
    source = await source_of(worker, job)
    assert source.status in {"queued", "processing"}, source
    return source.stage == stage


@asynccontextmanager
async def brand_locked(engines: Engines, scope: Scope, *, only_if: bool) -> AsyncIterator[None]:
    """Hold up whoever changes the brand's knowledge: in the middle of the transaction that replaces chunks."""
    if not only_if:
        yield
        return
    owner = await asyncpg.connect(engines.postgres_admin_url)
    async with owner.transaction():
        await owner.execute("SELECT 1 FROM brand WHERE id = $1 FOR UPDATE", scope.brand_id)
        yield
    await owner.close()


@pytest.mark.parametrize("stage", ["parse", "embed", "store"])
async def test_a_worker_killed_in_any_stage_leaves_the_old_words_and_a_source_that_gets_ready(
    worker: Worker, scope: Scope, engines: Engines, start: Start, stage: str
) -> None:
    job = await upload(worker, scope, "rules.md", b"# Rules\n\nThe old rule.")
    await run_jobs(worker, job)
    long_text = "\n\n".join(
        f"# Rule {number}\n\nThe new rule {number} is long. {'Word ' * 90}" for number in range(150)
    )
    key = f"{scope.tenant_id}/{scope.brand_id}/{job.source_id}/files/new"
    await worker.storage.put(key, long_text.encode())
    local_model = f"before|{embeddings.create(worker.settings.embeddings).name}"  # or it would be embedded anew
    await change(worker, job, status="queued", storage_key=key, attempts=0, indexed_hash=local_model)
    await jobs.enqueue_ingest(worker.queue, job)
    async with brand_locked(engines, scope, only_if=stage == "store"):
        process = start()
        await until(lambda: stage_is(worker, job, stage), f"the source is in stage {stage}")
        process.kill()
        process.wait()
    assert [chunk.text for chunk in await chunks_of(worker, job)] == ["The old rule."]
    start()
    source = await ready(worker, job)
    assert source.attempts == 2
    assert all("new rule" in chunk.text for chunk in await chunks_of(worker, job))


async def test_a_killed_workers_source_moves_to_a_worker_that_lives(
    worker: Worker, job: KnowledgeIngestJob, gate: Gate, start: Start
) -> None:
    first = start()
    await until(lambda: gate.visitors == 1, "the first worker reads the source")
    start()
    first.kill()
    await until(lambda: gate.visitors == 2, "the second worker reads the source")
    gate.open.set()
    assert (await ready(worker, job)).attempts == 2


async def test_a_stopped_worker_hands_its_source_back(
    worker: Worker, redis: Redis, job: KnowledgeIngestJob, gate: Gate, start: Start
) -> None:
    process = start()
    await until(lambda: gate.visitors == 1, "the worker reads the source")
    process.send_signal(signal.SIGTERM)
    await until(lambda: process.poll() is not None, "the worker ends", 10)
    source = await source_of(worker, job)
    assert (process.returncode, source.status, source.attempts) == (0, "queued", 0)
    assert not await redis.keys(f"{in_progress_key_prefix}ingest_source*")
    gate.open.set()
    start()
    assert (await ready(worker, job)).attempts == 1


async def test_a_redis_that_forgets_everything_loses_no_source(
    worker: Worker, redis: Redis, job: KnowledgeIngestJob, gate: Gate, start: Start
) -> None:
    process = start()
    await until(lambda: gate.visitors == 1, "the worker reads the source")
    other = await upload(worker, await _scope(worker, job), "forgot-your-password.md")
    await redis.flushall()
    gate.open.set()
    await ready(worker, job)
    await ready(worker, other)
    assert process.poll() is None


async def test_a_redis_that_is_killed_and_restarted_loses_no_source(
    worker: Worker, scope: Scope, job: KnowledgeIngestJob, gate: Gate, start: Start, tmp_path: Path
) -> None:
    with KillableRedis(tmp_path / "redis") as server:
        queue = await jobs.connect(server.url)
        await jobs.enqueue_ingest(queue, job)
        process = start({"PARLEY_REDIS__URL": server.url})
        await until(lambda: gate.visitors == 1, "the worker reads the source")
        server.kill()
        await asyncio.sleep(0.5)
        server.start()
        gate.open.set()
        await ready(worker, job)
        if process.poll() is not None:  # arq gives up in some moments; its supervisor starts it again
            process = start({"PARLEY_REDIS__URL": server.url})
        other = await upload(worker, scope, "forgot-your-password.md")
        await ready(worker, other)  # by the sweep: nobody enqueued it
        stop(process)
        await queue.aclose()


async def _scope(worker: Worker, job: KnowledgeIngestJob) -> Scope:
    source = await source_of(worker, job)
    return Scope(tenant_id=source.tenant_id, brand_id=source.brand_id)


async def test_tells_arq_that_it_is_well(engines: Engines, redis: Redis, start: Start) -> None:
    start()
    await until(lambda: redis.exists(jobs.QUEUE + health_check_key_suffix), "the worker reports its health")
    check = await asyncio.create_subprocess_exec(
        venv_binary("arq"),
        "--check",
        "services.ingestion_worker.worker.WorkerSettings",
        env={**os.environ, "PARLEY_POSTGRES__URL": engines.postgres_url, "PARLEY_REDIS__URL": engines.redis_url},
    )
    assert await check.wait() == 0
