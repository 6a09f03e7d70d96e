"""The worker process: `arq services.ingestion_worker.worker.WorkerSettings`."""

import logging as standard_logging
from typing import Any
from uuid import UUID

from arq import cron, func
from prometheus_client import start_http_server
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from packages.core import jobs as queue
from packages.core import logging, storage, streams, tracing
from packages.core.db.rls import refuse_bypass
from packages.core.db.session import Database
from packages.rag.retrieval import open_knowledge
from services.ingestion_worker import jobs
from services.ingestion_worker.ingestion import Worker
from services.ingestion_worker.reading import LIMITS, Reader
from services.ingestion_worker.settings import WorkerSettings as Settings

NOBODY = UUID(int=0)
"""A tenant id that nobody has."""

SWEEP_SECONDS = frozenset(range(0, 60, 10))
REFRESH_SECONDS = frozenset({5, 35})
RE_EMBED_MINUTES = frozenset(range(0, 60, 10))
RE_EMBED_TIMEOUT = 12 * 3600
UPKEEPERS = 4
"""Jobs of order that one worker runs at once; one of them may embed for hours."""
READERS = 2
"""Customers' files that one worker reads at once."""
ENDLESS = 1_000_000
"""arq drops a job after so many tries; PostgreSQL counts the attempts that matter."""


def options(settings: Settings) -> dict[str, Any]:
    """Keyword arguments of `arq.Worker`."""
    ingestion = settings.ingestion
    return {
        "functions": [
            func(jobs.ingest_source, name=queue.INGEST, timeout=ingestion.job_seconds + 60),
            func(jobs.delete_source, name=queue.DELETE, timeout=60),
        ],
        "queue_name": queue.QUEUE,
        "redis_settings": _patient(queue.redis_settings(settings.redis_url)),
        "max_jobs": ingestion.concurrency,
        "max_tries": ENDLESS,
        "keep_result": 0,
        "health_check_interval": 10,
        "job_completion_wait": round(ingestion.shutdown_seconds),
        "on_startup": start,
        "on_shutdown": stop,
        "ctx": {"settings": settings},
    }


def reading_options(worker: Worker) -> dict[str, Any]:
    """Keyword arguments of the `arq.Worker` beside it, which reads customers' files."""
    return {
        "functions": [func(jobs.read_media, name=queue.READ, timeout=LIMITS.wall_seconds + 20)],
        "redis_settings": _patient(queue.redis_settings(worker.settings.redis_url)),
        "max_jobs": READERS,
        "max_tries": ENDLESS,
        "keep_result": 0,
        "poll_delay": 0.1,
        "ctx": {"worker": worker},
    }


def upkeep_options(worker: Worker) -> dict[str, Any]:
    """Keyword arguments of the `arq.Worker` that keeps things in order; no document stands before its jobs."""
    always: dict[str, Any] = {"run_at_startup": True, "keep_result": 0}
    return {
        "functions": [func(jobs.delete_source, name=queue.DELETE, timeout=60)],
        "cron_jobs": [
            cron(jobs.sweep, second=set(SWEEP_SECONDS), timeout=60, **always),
            cron(jobs.refresh, second=set(REFRESH_SECONDS), timeout=60, **always),
            cron(jobs.re_embed, minute=set(RE_EMBED_MINUTES), second=1, timeout=RE_EMBED_TIMEOUT, **always),
        ],
        "redis_settings": _patient(queue.redis_settings(worker.settings.redis_url)),
        "max_jobs": UPKEEPERS,
        "max_tries": ENDLESS,
        "keep_result": 0,
        "poll_delay": 0.2,
        "ctx": {"worker": worker},
    }


async def start(ctx: dict[str, Any]) -> None:
    """Connect to everything a job needs.

    Raises:
        MissingModel: the local embedding model was not brought yet.
        UnsafeRole: the database login could go around row-level security.
    """
    settings: Settings = ctx["settings"]
    logging.configure("ingestion_worker", settings.log_level, settings.log_format)
    arq_log = standard_logging.getLogger("arq")
    arq_log.handlers.clear()
    arq_log.setLevel(standard_logging.WARNING)
    tracing.configure("ingestion_worker", settings.otel)
    if settings.ingestion.metrics_port is not None:
        start_http_server(settings.ingestion.metrics_port, settings.host)
    ctx["worker"] = worker = connect(settings, ctx["redis"])
    async with worker.database.across_tenants() as session:
        await refuse_bypass(session)
    async with worker.database.tenant(NOBODY) as session:
        await refuse_bypass(session)
    ctx["queues"] = [Reader(reading_options(worker)), Reader(upkeep_options(worker), queue.UPKEEP_QUEUE)]


def connect(settings: Settings, arq_pool: Any) -> Worker:
    """Everything a job needs, unconnected until it is used."""
    database = Database(settings.postgres_url, pool_size=settings.ingestion.concurrency + 2, name="ingestion_worker")
    return Worker(
        settings=settings,
        database=database,
        redis=streams.connect(settings.redis_url),
        queue=arq_pool,
        storage=storage.create(settings),
        knowledge=open_knowledge(settings, database),
    )


async def stop(ctx: dict[str, Any]) -> None:
    """Close what `start` opened."""
    worker: Worker = ctx["worker"]
    readers: list[Reader] = ctx.get("queues", [])
    for reader in readers:
        await reader.close()
    await worker.knowledge.close()
    await worker.redis.aclose()
    await worker.database.close()


def _patient(settings: Any) -> Any:
    """Ride out a restart of Redis; one that stays away for longer ends the process, and its supervisor restarts it."""
    settings.retry = Retry(ExponentialBackoff(cap=1.0, base=0.05), 20)
    settings.retry_on_timeout = True
    settings.retry_on_error = [RedisConnectionError, RedisTimeoutError, ConnectionError]
    return settings


def __getattr__(name: str) -> Any:
    """`WorkerSettings`, as arq asks for it: made when the process starts, so that importing this reads no settings."""
    if name == "WorkerSettings":
        return options(Settings())
    raise AttributeError(name)
