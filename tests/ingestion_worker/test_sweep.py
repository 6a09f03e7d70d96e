from collections.abc import Sequence

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
from tests.ingestion_worker.uploads import age, change, run_jobs, source_of, upload


@pytest.fixture
async def job(worker: Worker, scope: Scope) -> KnowledgeIngestJob:
    return await upload(worker, scope, "forgot-your-password.md")


async def enqueued(redis: Redis) -> Sequence[str]:
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


async def test_leaves_what_waits_for_another_try(worker: Worker, redis: Redis, job: KnowledgeIngestJob) -> None:
    held = await sources.claim_next(worker.database, stale_seconds=2)
    assert held
    await sources.queue_again(worker.database, held, {}, pause=60)
    await age(worker, job, seconds=3)
    assert await sweep(worker) == 0


async def test_leaves_a_job_that_waits_its_turn(worker: Worker, redis: Redis, job: KnowledgeIngestJob) -> None:
    await jobs.enqueue_ingest(worker.queue, job)
    before = await enqueued(redis)
    await age(worker, job, seconds=3)
    assert await sweep(worker) == 0
    assert await enqueued(redis) == before


async def test_a_dead_workers_job_counts_for_nothing(worker: Worker, redis: Redis, job: KnowledgeIngestJob) -> None:
    await jobs.enqueue_ingest(worker.queue, job)
    [name] = await enqueued(redis)
    await redis.set(in_progress_key_prefix + name, b"1")
    await sources.claim_next(worker.database, stale_seconds=2)
    await age(worker, job, seconds=3)
    assert await sweep(worker) == 1
    await redis.delete(in_progress_key_prefix + name)  # as it does by itself, later
    await run_jobs(worker)
    source = await source_of(worker, job)
    assert (source.status, source.attempts) == ("ready", 2)


async def test_leaves_the_source_of_a_live_worker(worker: Worker, redis: Redis, job: KnowledgeIngestJob) -> None:
    await sources.claim_next(worker.database, stale_seconds=2)
    assert await sweep(worker) == 0


async def test_a_job_that_lost_its_arguments_is_made_up_for(
    worker: Worker, redis: Redis, job: KnowledgeIngestJob
) -> None:
    await jobs.enqueue_ingest(worker.queue, job)
    [name] = await enqueued(redis)
    await redis.delete(job_key_prefix + name)
    await age(worker, job, seconds=3)
    assert await sweep(worker) == 1


async def test_serves_every_tenant(worker: Worker, redis: Redis, job: KnowledgeIngestJob) -> None:
    made = await make_tenant(worker.database, "other")
    other = await upload(worker, Scope(tenant_id=made.tenant_id, brand_id=made.brand_id), "delete-your-account.md")
    for queued in (job, other):
        await age(worker, queued, seconds=3)
    assert await sweep(worker) == 2
    assert {name.split(":")[1] for name in await enqueued(redis)} == {job.source_id, other.source_id}


async def test_makes_up_for_what_is_missing_alone(worker: Worker, redis: Redis, job: KnowledgeIngestJob) -> None:
    scope = Scope(tenant_id=(await source_of(worker, job)).tenant_id, brand_id=(await source_of(worker, job)).brand_id)
    other = await upload(worker, scope, "delete-your-account.md")
    await jobs.enqueue_ingest(worker.queue, job)
    for queued in (job, other):
        await age(worker, queued, seconds=3)
    assert (await sweep(worker), await sweep(worker)) == (1, 0)
    await change(worker, other, status="ready")
