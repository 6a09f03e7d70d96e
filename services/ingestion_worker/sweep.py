"""Wakes workers for what nobody was told of: after a worker was killed, or Redis lost its data.

PostgreSQL knows what is to be done; the queue only wakes. So the sweep counts: where more sources wait than the queue
has jobs that no worker has begun, it adds the difference.
"""

import structlog
from arq.connections import ArqRedis
from arq.constants import in_progress_key_prefix, job_key_prefix
from arq.utils import timestamp_ms

from packages.core import jobs
from services.ingestion_worker import metrics, sources
from services.ingestion_worker.ingestion import Worker

LIMIT = 5000
_HEAD = 200
"""Jobs at the queue's head that are looked at one by one; workers begin there."""

log = structlog.get_logger(__name__)


async def sweep(worker: Worker) -> int:
    """Enqueue a job for every source that waits without one; the number of those."""
    stale = worker.settings.ingestion.stale_seconds
    found = await sources.unfinished(worker.database, stale_seconds=stale, limit=LIMIT)
    missing = len(found) - await _waiting_jobs(worker.queue) if found else 0
    if missing <= 0:
        return 0
    await jobs.enqueue_ingests(worker.queue, found[:missing])
    metrics.REQUEUED.inc(missing)
    log.warning("sources_enqueued_again", sources=missing)
    return missing


async def _waiting_jobs(queue: ArqRedis) -> int:
    """Jobs that a worker will begin now: not those in hand, nor those whose arguments have gone."""
    present = timestamp_ms()
    head = await queue.zrangebyscore(jobs.QUEUE, "-inf", present, start=0, num=_HEAD)
    pipeline = queue.pipeline(transaction=False)
    pipeline.zcount(jobs.QUEUE, "-inf", present)
    for name in head:
        pipeline.exists(in_progress_key_prefix + name.decode())
        pipeline.exists(job_key_prefix + name.decode())
    size, *marks = await pipeline.execute()
    begun = sum(1 for busy, known in zip(marks[::2], marks[1::2], strict=True) if busy or not known)
    return int(size) - begun
