"""What the API does for a worker, and what people see of it."""

from typing import Any
from uuid import UUID

import arq
from sqlalchemy import text
from sqlmodel import select

from packages.core import jobs
from packages.core.db.tables.brands import Brand
from packages.core.db.tables.knowledge import KnowledgeChunk, KnowledgeSource
from packages.core.jobs import KnowledgeIngestJob
from packages.rag.documents import Scope
from services.ingestion_worker.ingestion import Worker
from services.ingestion_worker.worker import options, upkeep_options
from tests.factories.knowledge import document, make_source


async def upload(
    worker: Worker, scope: Scope, name: str, data: bytes | None = None, **values: object
) -> KnowledgeIngestJob:
    """Store a file and queue its source, as the API does; the job is not yet enqueued."""
    source_id = await make_source(worker.database, scope, name, filename=name, **values)
    key = f"{scope.tenant_id}/{scope.brand_id}/{source_id}/original"
    await worker.storage.put(key, document(name) if data is None else data)
    job = KnowledgeIngestJob(tenant_id=str(scope.tenant_id), source_id=str(source_id))
    await change(worker, job, storage_key=key)
    return job


async def change(worker: Worker, job: KnowledgeIngestJob, **values: object) -> None:
    """Write columns of the source."""
    async with worker.database.tenant(job.tenant_id) as session:
        (await session.get_one(KnowledgeSource, job.source_id)).sqlmodel_update(values)


async def run_jobs(worker: Worker, *given: KnowledgeIngestJob) -> None:
    """Enqueue these, and let a worker of this process run until its queues are empty, retries included."""
    for job in given:
        await jobs.enqueue_ingest(worker.queue, job)
    queues: list[dict[str, Any]] = [
        {**options(worker.settings), "on_startup": None, "on_shutdown": None},
        {**upkeep_options(worker), "queue_name": jobs.UPKEEP_QUEUE, "cron_jobs": []},
    ]
    for queue in queues:
        queue |= {"redis_pool": worker.queue, "redis_settings": None, "ctx": {"worker": worker}}
        runner = arq.Worker(**(queue | {"burst": True, "handle_signals": False, "poll_delay": 0.02}))
        await runner.async_run()


async def source_of(worker: Worker, job: KnowledgeIngestJob) -> KnowledgeSource:
    async with worker.database.tenant(job.tenant_id) as session:
        return await session.get_one(KnowledgeSource, job.source_id)


async def chunks_of(worker: Worker, job: KnowledgeIngestJob) -> list[KnowledgeChunk]:
    async with worker.database.tenant(job.tenant_id) as session:
        query = select(KnowledgeChunk).where(KnowledgeChunk.source_id == job.source_id)
        return list((await session.scalars(query.order_by("position"))).all())


async def knowledge_version(worker: Worker, scope: Scope) -> int:
    async with worker.database.tenant(scope.tenant_id) as session:
        return (await session.get_one(Brand, scope.brand_id)).knowledge_version


async def age(worker: Worker, job: KnowledgeIngestJob, *, seconds: float) -> None:
    """Let a source look as if nobody had touched it for so long."""
    async with worker.database.tenant(job.tenant_id) as session:
        statement = text("UPDATE knowledge_source SET updated_at = now() - make_interval(secs => :s) WHERE id = :id")
        await session.execute(statement, {"s": seconds, "id": UUID(job.source_id)})
