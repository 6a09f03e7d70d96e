"""Puts back on the queue what fell off it: after a worker was killed, or Redis lost its data.

PostgreSQL knows what is to be done; the queue only says when. arq remembers a job in three keys (its arguments, its
place in the queue, and a mark while it runs), and those of a killed worker stay; they would swallow the new job.
"""

from collections.abc import Sequence

import structlog
from arq.connections import ArqRedis
from arq.constants import in_progress_key_prefix, job_key_prefix

from packages.core import jobs
from services.ingestion_worker import metrics, sources
from services.ingestion_worker.ingestion import Worker
from services.ingestion_worker.sources import Unfinished

LIMIT = 5000

log = structlog.get_logger(__name__)


async def sweep(worker: Worker) -> int:
    """Enqueue every source that waits without a job; the number of those."""
    stale = worker.settings.ingestion.stale_seconds
    found = await sources.unfinished(worker.database, stale_seconds=stale, limit=LIMIT)
    orphans = await _release(worker.queue, found)
    for source in orphans:
        await jobs.enqueue_ingest(worker.queue, source.job)
    if orphans:
        metrics.REQUEUED.inc(len(orphans))
        log.warning("sources_enqueued_again", sources=len(orphans))
    return len(orphans)


async def _release(queue: ArqRedis, found: Sequence[Unfinished]) -> list[Unfinished]:
    """Remove the marks of dead workers; the sources whose job is gone from the queue.

    A live worker touches its source every few seconds, so the mark on a source that was not touched is a dead one's.
    """
    if not found:
        return []
    pipeline = queue.pipeline(transaction=False)
    for source in found:
        pipeline.delete(in_progress_key_prefix + source.job.job_id)
        pipeline.exists(job_key_prefix + source.job.job_id)
        pipeline.zscore(jobs.QUEUE, source.job.job_id)
    answers = await pipeline.execute()
    known, places = answers[1::3], answers[2::3]
    orphans = [source for source, known, place in zip(found, known, places, strict=True) if not known or place is None]
    if orphans:
        await queue.delete(*(job_key_prefix + source.job.job_id for source in orphans))
    return orphans
