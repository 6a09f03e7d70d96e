"""The jobs as arq calls them: thin, and harmless to repeat."""

from typing import Any
from uuid import UUID

import structlog
from arq.worker import Retry

from packages.core.jobs import KnowledgeDeleteJob, KnowledgeIngestJob, ReadMediaJob
from packages.rag.documents import Scope
from services.ingestion_worker import ingestion, reading
from services.ingestion_worker import sweep as sweeping
from services.ingestion_worker.failures import pause
from services.ingestion_worker.ingestion import TryAgain, Worker

log = structlog.get_logger(__name__)
READ_ATTEMPTS = 4
Context = dict[str, Any]


async def ingest_source(ctx: Context, job: dict[str, str]) -> None:
    """Ingest one source; what fails and may pass comes again later."""
    worker: Worker = ctx["worker"]
    try:
        await ingestion.ingest(worker, KnowledgeIngestJob(**job))
    except TryAgain as again:
        raise Retry(defer=again.seconds) from again
    except Exception as error:  # the job runner's edge: PostgreSQL itself is away
        raise _later(worker, ctx, error) from error


async def delete_source(ctx: Context, job: dict[str, str]) -> None:
    """Remove a deleted source's vectors and file."""
    worker: Worker = ctx["worker"]
    gone = KnowledgeDeleteJob(**job)
    scope = Scope(tenant_id=UUID(gone.tenant_id), brand_id=UUID(gone.brand_id))
    try:
        await worker.knowledge.store.delete_source(scope, UUID(gone.source_id))
        await worker.storage.delete_prefix(f"{gone.tenant_id}/{gone.brand_id}/{gone.source_id}")
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
    """Put back on the queues what fell off them."""
    try:
        await sweeping.sweep(ctx["worker"])
        await reading.sweep(ctx["worker"])
    except Exception as error:  # noqa: BLE001 - the job runner's edge: it runs again in seconds
        log.warning("sweep_failed", error=str(error))


def _later(worker: Worker, ctx: Context, error: Exception) -> Retry:
    seconds = pause(ctx["job_try"], worker.settings.ingestion)
    log.warning("job_postponed", job_id=ctx["job_id"], seconds=round(seconds, 1), exc_info=error)
    return Retry(defer=seconds)
