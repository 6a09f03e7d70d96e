"""Background jobs: their names, their arguments, and how to enqueue them (arq over Redis).

A job is only a wake-up call: what is to be done stands in PostgreSQL, so a lost job is enqueued again by the worker's
sweep, and a repeated one finds nothing to do. Which source a worker reads next is not the queue's to say either: a
tenant's ten thousand jobs would stand before another's first. A job wakes a worker; PostgreSQL says whose turn it is.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from uuid import uuid4

from arq.connections import ArqRedis, RedisSettings, create_pool

QUEUE = "parley:jobs"
READING_QUEUE = "parley:reading"
"""Of files that a customer waits to be read; knowledge never stands before them."""
UPKEEP_QUEUE = "parley:upkeep"
"""Of what must not wait behind documents: removals, sweeps, refreshes."""
INGEST = "ingest_source"
DELETE = "delete_source"
READ = "read_media"
_AT_ONCE = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class KnowledgeIngestJob:
    """Something waits to be read and indexed: this source, or one whose turn comes before it."""

    tenant_id: str
    source_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class KnowledgeDeleteJob:
    """Forget what a deleted source left outside PostgreSQL: its vectors and its file."""

    tenant_id: str
    brand_id: str
    source_id: str

    @property
    def job_id(self) -> str:
        """One job per source at a time."""
        return f"{DELETE}:{self.source_id}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadMediaJob:
    """Read the text in a customer's file, for whoever answers."""

    tenant_id: str
    media_id: str

    @property
    def job_id(self) -> str:
        """One job per file at a time."""
        return f"{READ}:{self.media_id}"


async def connect(redis_url: str) -> ArqRedis:
    """A pool that can enqueue.

    Raises:
        redis.exceptions.RedisError: Redis is away.
    """
    return await create_pool(redis_settings(redis_url), default_queue_name=QUEUE)


def redis_settings(redis_url: str) -> RedisSettings:
    """arq's settings for a Redis URL."""
    settings = RedisSettings.from_dsn(redis_url)
    settings.conn_timeout = 3
    settings.conn_retries = 5
    settings.conn_retry_delay = 1
    return settings


async def enqueue_ingest(pool: ArqRedis, job: KnowledgeIngestJob) -> None:
    """Wake a worker for a source that waits. One wake-up too many finds nothing to do."""
    await pool.enqueue_job(INGEST, asdict(job), _job_id=_ingest_id(job), _queue_name=QUEUE)


async def enqueue_ingests(pool: ArqRedis, found: Sequence[KnowledgeIngestJob]) -> None:
    """`enqueue_ingest` for many, a few at a time."""
    for start in range(0, len(found), _AT_ONCE):
        await asyncio.gather(*(enqueue_ingest(pool, job) for job in found[start : start + _AT_ONCE]))


def _ingest_id(job: KnowledgeIngestJob) -> str:
    return f"{INGEST}:{job.source_id}:{uuid4().hex[:8]}"


async def enqueue_delete(pool: ArqRedis, job: KnowledgeDeleteJob) -> None:
    """Ask a worker to remove what a deleted source left behind."""
    await pool.enqueue_job(DELETE, asdict(job), _job_id=job.job_id, _queue_name=UPKEEP_QUEUE)


async def enqueue_read(pool: ArqRedis, job: ReadMediaJob) -> None:
    """Ask a worker to read a file; a job already waiting for it is left as it is."""
    await pool.enqueue_job(READ, asdict(job), _job_id=job.job_id, _queue_name=READING_QUEUE)
