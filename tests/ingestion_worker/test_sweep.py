import pytest
from arq.constants import in_progress_key_prefix, job_key_prefix
from redis.asyncio import Redis

from packages.core import jobs
from packages.core.jobs import KnowledgeIngestJob
from packages.rag.documents import Scope
from services.ingestion_worker import sources
from services.ingestion_worker.ingestion import Worker
from services.ingestion_worker.sweep import sweep
from tests.factories.accounts import make_tenant
from tests.ingestion_worker.uploads import age, run_jobs, source_of, upload


@pytest.fixture
async def job(worker: Worker, scope: Scope) -> KnowledgeIngestJob:
    return await upload(worker, scope, "forgot-your-password.md")


async def enqueued(redis: Redis) -> list[str]:
    return [name.decode() for name in await redis.zrange(jobs.QUEUE, 0, -1)]


async def test_enqueues_what_redis_lost(worker: Worker, redis: Redis, job: KnowledgeIngestJob) -> None:
    await jobs.enqueue_ingest(worker.queue, job)
    await redis.flushall()
    await age(worker, job, seconds=3)
    assert await sweep(worker) == 1
    await run_jobs(worker)
    assert (await source_of(worker, job)).status == "ready"


async def test_leaves_what_was_queued_just_now(worker: Worker, redis: Redis, job: KnowledgeIngestJob) -> None:
    assert await sweep(worker) == 0
    assert await enqueued(redis) == []


async def test_leaves_a_job_that_waits_its_turn(worker: Worker, redis: Redis, job: KnowledgeIngestJob) -> None:
    await jobs.enqueue_ingest(worker.queue, job)
    place = await redis.zscore(jobs.QUEUE, job.job_id)
    await age(worker, job, seconds=3)
    assert await sweep(worker) == 0
    assert await redis.zscore(jobs.QUEUE, job.job_id) == place


async def test_takes_the_mark_of_a_dead_worker_away(worker: Worker, redis: Redis, job: KnowledgeIngestJob) -> None:
    await jobs.enqueue_ingest(worker.queue, job)
    await redis.set(in_progress_key_prefix + job.job_id, b"1")
    await sources.claim(worker.database, job, stale_seconds=2)
    await age(worker, job, seconds=3)
    await sweep(worker)
    await run_jobs(worker)
    source = await source_of(worker, job)
    assert (source.status, source.attempts) == ("ready", 2)


async def test_leaves_the_mark_of_a_live_worker(worker: Worker, redis: Redis, job: KnowledgeIngestJob) -> None:
    await redis.set(in_progress_key_prefix + job.job_id, b"1")
    await sources.claim(worker.database, job, stale_seconds=2)
    await sweep(worker)
    assert await redis.exists(in_progress_key_prefix + job.job_id)


async def test_a_job_that_lost_its_place_is_enqueued_again(
    worker: Worker, redis: Redis, job: KnowledgeIngestJob
) -> None:
    await jobs.enqueue_ingest(worker.queue, job)
    await redis.zrem(jobs.QUEUE, job.job_id)
    await age(worker, job, seconds=3)
    assert await sweep(worker) == 1
    assert await enqueued(redis) == [job.job_id]


async def test_a_place_that_lost_its_job_is_enqueued_again(
    worker: Worker, redis: Redis, job: KnowledgeIngestJob
) -> None:
    await jobs.enqueue_ingest(worker.queue, job)
    await redis.delete(job_key_prefix + job.job_id)
    await age(worker, job, seconds=3)
    assert await sweep(worker) == 1
    assert await redis.exists(job_key_prefix + job.job_id)


async def test_serves_every_tenant(worker: Worker, redis: Redis, job: KnowledgeIngestJob) -> None:
    made = await make_tenant(worker.database, "other")
    other = await upload(worker, Scope(tenant_id=made.tenant_id, brand_id=made.brand_id), "delete-your-account.md")
    for queued in (job, other):
        await age(worker, queued, seconds=3)
    assert await sweep(worker) == 2
    assert set(await enqueued(redis)) == {job.job_id, other.job_id}
