"""One source from its queue to `ready` or `failed`; never left in between.

A worker that dies leaves a source in `processing` whose heartbeat has stopped: the sweep finds it and has it tried
again. What can pass is tried again with growing pauses; what cannot fails at once, with a reason for the admin.
"""

import asyncio
import hashlib
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import structlog
from arq.connections import ArqRedis
from redis.asyncio import Redis

from packages.core.db.session import Database
from packages.core.errors import NotFound
from packages.core.jobs import KnowledgeIngestJob
from packages.core.logging import bound
from packages.core.storage import ObjectStore
from packages.core.tracing import span
from packages.rag.documents import Scope
from packages.rag.ingest import Ingested, Upload, ingest_document
from packages.rag.retrieval import Knowledge
from services.ingestion_worker import metrics, sources
from services.ingestion_worker.failures import DIED, Failure, MissingFile, classify, pause
from services.ingestion_worker.fetch import fetch
from services.ingestion_worker.progress import Progress, announce
from services.ingestion_worker.settings import WorkerSettings
from services.ingestion_worker.sources import Claim, LostClaim

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Worker:
    """What every job needs; made at start-up."""

    settings: WorkerSettings
    database: Database
    redis: Redis
    queue: ArqRedis
    storage: ObjectStore
    knowledge: Knowledge


class TryAgain(Exception):
    """The source is queued for another attempt after `seconds`."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"again in {seconds:.1f} s")
        self.seconds = seconds


async def ingest(worker: Worker, job: KnowledgeIngestJob) -> None:
    """Ingest a source if it waits for that; do nothing otherwise, so that a repeated job is harmless.

    Raises:
        TryAgain: the attempt failed in a way that may pass.
    """
    options = worker.settings.ingestion
    with bound(tenant_id=job.tenant_id, source_id=job.source_id):
        held = await sources.claim(worker.database, job, stale_seconds=options.stale_seconds)
        if held is None:
            log.info("source_skipped")
            return
        if held.attempt > options.max_attempts:
            await _give_up(worker, held, DIED, held.attempt - 1)
            return
        with span("ingest", source_id=job.source_id), metrics.timed():
            await _attempt(worker, held)


async def _attempt(worker: Worker, held: Claim) -> None:
    try:
        async with asyncio.timeout(worker.settings.ingestion.job_seconds):
            done = await _while_beating(worker, held, _read(worker, held))
    except asyncio.CancelledError:
        await asyncio.shield(sources.hand_back(worker.database, held))
        raise
    except LostClaim:
        log.info("source_lost", attempt=held.attempt)
        raise TryAgain(0.5) from None
    except Exception as error:  # noqa: BLE001 - the job runner's edge: each error ends on the source
        await _failed(worker, held, classify(error), error)
    else:
        metrics.OUTCOMES.labels("unchanged" if done.unchanged else "ready").inc()
        log.info("source_ready", version=done.version, chunks=done.chunk_count, embedded=done.embedded)
        await announce(worker.database, worker.redis, held.asset.tenant_id, held.asset.source_id)


async def _read(worker: Worker, held: Claim) -> Ingested:
    asset = held.asset
    report = Progress(worker.database, worker.redis, held, every=worker.settings.ingestion.progress_seconds)
    await report("fetch", 0, 1)
    upload = await (_download(worker, held) if asset.url else _load(worker, held))
    await worker.knowledge.store.initialize(worker.knowledge.embedder.dimensions, worker.knowledge.embedder.name)
    scope = Scope(tenant_id=UUID(asset.tenant_id), brand_id=UUID(asset.brand_id))
    try:
        return await ingest_document(worker.knowledge, scope, UUID(asset.source_id), upload, progress=report)
    except NotFound:
        raise LostClaim(asset.source_id) from None


async def _load(worker: Worker, held: Claim) -> Upload:
    """The bytes that were uploaded."""
    asset = held.asset
    if asset.storage_key is None:
        raise MissingFile
    try:
        data = await worker.storage.get(asset.storage_key)
    except NotFound:
        raise MissingFile from None
    return Upload(data=data, media_type=asset.media_type, title=asset.title, filename=asset.filename)


async def _download(worker: Worker, held: Claim) -> Upload:
    """The page at the source's address as it is now; kept beside the uploads."""
    asset = held.asset
    assert asset.url is not None
    page = await fetch(asset.url, worker.settings.fetch)
    key = f"{asset.tenant_id}/{asset.brand_id}/{asset.source_id}/original"
    await worker.storage.put(key, page.data)
    async with worker.database.tenant(asset.tenant_id) as session:
        await sources.record_download(
            session,
            held,
            {
                "storage_key": key,
                "media_type": page.media_type[:200],
                "filename": page.filename,
                "content_hash": hashlib.sha256(page.data).hexdigest(),
            },
        )
    return Upload(data=page.data, media_type=page.media_type, title=asset.title, filename=page.filename)


async def _failed(worker: Worker, held: Claim, failure: Failure, error: Exception) -> None:
    """Set the source aside, or queue it again and raise TryAgain."""
    options = worker.settings.ingestion
    log.warning(
        "source_attempt_failed",
        code=failure.code,
        reason=str(error),
        attempt=held.attempt,
        exc_info=None if failure.expected else error,
    )
    if failure.retryable and held.attempt >= options.max_attempts:
        await _give_up(worker, held, failure, held.attempt)
        return
    if failure.retryable:
        await sources.queue_again(worker.database, held, failure.error())
        metrics.OUTCOMES.labels("retried").inc()
    else:
        await sources.fail(worker.database, held, failure.error())
        metrics.OUTCOMES.labels("failed").inc()
    await announce(worker.database, worker.redis, held.asset.tenant_id, held.asset.source_id)
    if failure.retryable:
        raise TryAgain(pause(held.attempt, options))


async def _give_up(worker: Worker, held: Claim, failure: Failure, attempts: int) -> None:
    log.error("source_poisoned", code=failure.code, attempts=attempts)
    metrics.OUTCOMES.labels("poison").inc()
    await sources.fail(worker.database, held, failure.poisoned(attempts))
    await announce(worker.database, worker.redis, held.asset.tenant_id, held.asset.source_id)


async def _while_beating(worker: Worker, held: Claim, work: Coroutine[Any, Any, Ingested]) -> Ingested:
    """Run the work as long as the source is this worker's; a lost claim cancels it."""
    task = asyncio.create_task(work)
    pulse = asyncio.create_task(_beat(worker, held))
    try:
        await asyncio.wait((task, pulse), return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            pulse.result()
        return await task
    finally:
        for unfinished in (task, pulse):
            unfinished.cancel()
        await asyncio.gather(task, pulse, return_exceptions=True)


async def _beat(worker: Worker, held: Claim) -> None:
    """Beat until the claim is lost. A database that is away for a moment is no reason to stop the work."""
    while True:
        await asyncio.sleep(worker.settings.ingestion.heartbeat_seconds)
        try:
            await sources.beat(worker.database, held)
        except LostClaim:
            raise
        except Exception as error:  # noqa: BLE001 - as above
            log.warning("heartbeat_failed", error=str(error))
