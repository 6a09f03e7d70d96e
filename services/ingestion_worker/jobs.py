"""The jobs as arq calls them: thin, and harmless to repeat."""

from typing import Any

import structlog
from arq.worker import Retry

from packages.core.jobs import KnowledgeDeleteJob, ReadMediaJob, enqueue_ingests
from services.ingestion_worker import ingestion, reading, refreshes, removals
from services.ingestion_worker import sweep as sweeping
from services.ingestion_worker.failures import pause
from services.ingestion_worker.ingestion import Worker
from services.ingestion_worker.turns import TryAgain

log = structlog.get_logger(__name__)
READ_ATTEMPTS = 4
Context = dict[str, Any]


async def ingest_source(ctx: Context, job: dict[str, str]) -> None:
    """Ingest the source whose turn it is, perhaps not the job's own; what fails and may pass comes again later."""
    worker: Worker = ctx["worker"]
    log.debug("woken", source_id=job["source_id"])
    try:
        await ingestion.ingest(worker)
    except TryAgain as again:
        raise Retry(defer=again.seconds) from again
    except Exception as error:  # the job runner's edge: PostgreSQL itself is away
        raise _later(worker, ctx, error) from error


async def delete_source(ctx: Context, job: dict[str, str]) -> None:
    """Remove a deleted source's vectors and file."""
    worker: Worker = ctx["worker"]
    try:
        await removals.remove(worker.database, worker.storage, worker.knowledge, KnowledgeDeleteJob(**job))
    except Exception as error:  # the job runner's edge: a store is away
        raise _later(worker, ctx, error) from error


async def read_media(ctx: Context, job: dict[str, str]) -> None:
    """Read the text in a customer's file."""
    worker: Worker = ctx["worker"]
    wanted = ReadMediaJob(**job)
    try:
        if ctx["job_try"] > READ_ATTEMPTS:
            await reading.give_up(worker, wanted)
        else:
            await reading.read(worker, wanted)
    except Exception as error:  # the job runner's edge: PostgreSQL or the store is away
        raise _later(worker, ctx, error) from error


async def sweep(ctx: Context) -> None:
    """Put back on the queues what fell off them, and do what nobody was told to do."""
    worker: Worker = ctx["worker"]
    try:
        await sweeping.sweep(worker)
        await reading.sweep(worker)
        for gone in await removals.overdue(worker.database):
            await removals.remove(worker.database, worker.storage, worker.knowledge, gone)
    except Exception as error:  # noqa: BLE001 - the job runner's edge: it runs again in seconds
        log.warning("sweep_failed", error=str(error))


async def refresh(ctx: Context) -> None:
    """Queue the sources whose hour to be read again has come."""
    worker: Worker = ctx["worker"]
    try:
        due = await refreshes.queue_due(worker.database)
        await enqueue_ingests(worker.queue, due)
    except Exception as error:  # noqa: BLE001 - the job runner's edge: it runs again within the minute
        log.warning("refresh_failed", error=str(error))
    else:
        if due:
            log.info("sources_refreshing", sources=len(due))


async def re_embed(ctx: Context) -> None:
    """Bring what another embedder has indexed over to the present one; one run at a time."""
    worker: Worker = ctx["worker"]
    if ctx.get("re_embedding"):
        return
    ctx["re_embedding"] = True
    try:
        await refreshes.re_embed(worker.knowledge)
    except Exception as error:  # noqa: BLE001 - the job runner's edge: it goes on where it stopped, minutes later
        log.warning("re_embedding_stopped", error=str(error))
    finally:
        ctx["re_embedding"] = False


def _later(worker: Worker, ctx: Context, error: Exception) -> Retry:
    seconds = pause(ctx["job_try"], worker.settings.ingestion)
    log.warning("job_postponed", job_id=ctx["job_id"], seconds=round(seconds, 1), exc_info=error)
    return Retry(defer=seconds)
