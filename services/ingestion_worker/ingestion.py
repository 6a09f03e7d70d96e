"""One source from its queue to `ready` or `failed`; never left in between.

A worker that dies leaves a source in `processing` whose heartbeat has stopped: the sweep finds it and has it tried
again. What can pass is tried again with growing pauses; what cannot fails at once, with a reason for the admin.
"""

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from uuid import UUID

import structlog
from arq.connections import ArqRedis
from redis.asyncio import Redis

from packages.core.db.repositories import knowledge_quotas
from packages.core.db.session import Database
from packages.core.errors import NotFound
from packages.core.logging import bound
from packages.core.storage import ObjectStore
from packages.core.tracing import span
from packages.rag.documents import Scope
from packages.rag.ingest import Ingested, Superseded, Terms, Upload, ingest_document
from packages.rag.retrieval import Knowledge
from services.ingestion_worker import metrics, sources
from services.ingestion_worker.failures import DIED, Failure, classify, pause
from services.ingestion_worker.originals import obtain
from services.ingestion_worker.progress import Progress, announce
from services.ingestion_worker.settings import WorkerSettings
from services.ingestion_worker.sites import SiteReader, read_site
from services.ingestion_worker.sources import Claim, LostClaim
from services.ingestion_worker.turns import TryAgain, Turns
from services.ingestion_worker.versions import prune

CLOCKS_APART = 0.1
"""Seconds by which the queue's clock may be before PostgreSQL's."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, kw_only=True)
class Worker:
    """What every job needs; made at start-up."""

    settings: WorkerSettings
    database: Database
    redis: Redis
    queue: ArqRedis
    storage: ObjectStore
    knowledge: Knowledge

    @cached_property
    def turns(self) -> Turns:
        """Whose source comes next."""
        return Turns(self.database, self.settings.ingestion)

    @property
    def sites(self) -> SiteReader:
        """What reading a web site needs."""
        return SiteReader(
            database=self.database,
            storage=self.storage,
            queue=self.queue,
            http=self.settings.fetch,
            quotas=self.settings.knowledge,
        )


async def ingest(worker: Worker) -> None:
    """Ingest the source whose turn it is; do nothing if none waits, so that a job too many is harmless.

    Raises:
        TryAgain: the attempt failed in a way that may pass, or there is more to do.
    """
    options = worker.settings.ingestion
    async with worker.turns.next() as held:
        if held is None:
            return
        with bound(tenant_id=held.asset.tenant_id, source_id=held.asset.source_id):
            if held.attempt > options.max_attempts:
                await _give_up(worker, held, DIED, held.attempt - 1)
                return
            with span("ingest", source_id=held.asset.source_id), metrics.timed():
                await _attempt(worker, held)


async def _attempt(worker: Worker, held: Claim) -> None:
    try:
        async with asyncio.timeout(worker.settings.ingestion.job_seconds):
            await _while_beating(worker, held, _read(worker, held))
    except asyncio.CancelledError:
        await asyncio.shield(sources.hand_back(worker.database, held))
        raise
    except LostClaim:
        log.info("source_lost", attempt=held.attempt)
        await _clear_away(worker, held)
        await announce(worker.database, worker.redis, held.asset.tenant_id, held.asset.source_id)
    except Exception as error:  # noqa: BLE001 - the job runner's edge: each error ends on the source
        await _failed(worker, held, classify(error), error)
    else:
        await announce(worker.database, worker.redis, held.asset.tenant_id, held.asset.source_id)


async def _read(worker: Worker, held: Claim) -> None:
    asset = held.asset
    report = Progress(worker.database, worker.redis, held, every=worker.settings.ingestion.progress_seconds)
    if asset.crawl is not None and asset.url is not None:
        await report("crawl", 0, 1)
        counts = await read_site(worker.sites, held, report)
        metrics.OUTCOMES.labels("site").inc()
        log.info("site_read", **counts)
        return
    await report("fetch", 0, 1)
    upload = await obtain(worker.database, worker.storage, worker.settings.fetch, held)
    done = await _index(worker, held, upload, report)
    metrics.OUTCOMES.labels("unchanged" if done.unchanged else "ready").inc()
    log.info("source_ready", version=done.version, chunks=done.chunk_count, embedded=done.embedded)
    await prune(worker.database, worker.storage, asset, kept=worker.settings.knowledge.versions_kept)


async def _index(worker: Worker, held: Claim, upload: Upload, report: Progress) -> Ingested:
    asset = held.asset
    await worker.knowledge.store.initialize(worker.knowledge.embedder.dimensions, worker.knowledge.embedder.name)
    scope = Scope(tenant_id=UUID(asset.tenant_id), brand_id=UUID(asset.brand_id))
    terms = Terms(epoch=held.epoch, max_chunks=await _quota(worker, asset.tenant_id))
    try:
        return await ingest_document(
            worker.knowledge,
            scope,
            UUID(asset.source_id),
            upload,
            progress=report,
            storage=worker.storage,
            terms=terms,
        )
    except (NotFound, Superseded):
        raise LostClaim(asset.source_id) from None


async def _quota(worker: Worker, tenant_id: str) -> int:
    async with worker.database.tenant(tenant_id) as session:
        return (await knowledge_quotas.quota(session, UUID(tenant_id), worker.settings.knowledge)).chunks


async def _clear_away(worker: Worker, held: Claim) -> None:
    """Of a source that was deleted while it was read: what this attempt has stored since then."""
    asset = held.asset
    if await sources.state(worker.database, asset.tenant_id, asset.source_id) is None:
        await worker.storage.delete_prefix(f"{asset.tenant_id}/{asset.brand_id}/{asset.source_id}")


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
    seconds = pause(held.attempt, options)
    if failure.retryable:
        await sources.queue_again(worker.database, held, failure.error(), pause=seconds)
        metrics.OUTCOMES.labels("retried").inc()
    else:
        await sources.fail(worker.database, held, failure.error())
        metrics.OUTCOMES.labels("failed").inc()
    await announce(worker.database, worker.redis, held.asset.tenant_id, held.asset.source_id)
    if failure.retryable:
        raise TryAgain(seconds + CLOCKS_APART)


async def _give_up(worker: Worker, held: Claim, failure: Failure, attempts: int) -> None:
    log.error("source_poisoned", code=failure.code, attempts=attempts)
    metrics.OUTCOMES.labels("poison").inc()
    await sources.fail(worker.database, held, failure.poisoned(attempts))
    await announce(worker.database, worker.redis, held.asset.tenant_id, held.asset.source_id)


async def _while_beating(worker: Worker, held: Claim, work: Coroutine[Any, Any, None]) -> None:
    """Run the work as long as the source is this worker's; a lost claim cancels it."""
    task = asyncio.create_task(work)
    pulse = asyncio.create_task(_beat(worker, held))
    try:
        await asyncio.wait((task, pulse), return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            pulse.result()
        await task
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
