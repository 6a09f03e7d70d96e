"""Reads the text in customers' files (pictures by OCR, documents), so that whoever answers knows what is in them.

A customer waits for it. So it has a queue of its own, which no knowledge document can block, and narrow limits.
"""

import asyncio
from contextlib import suppress
from typing import Any
from uuid import UUID

import arq
import structlog
from prometheus_client import Counter
from redis.exceptions import RedisError

from packages.core import streams
from packages.core.db.repositories import media
from packages.core.errors import NotFound
from packages.core.jobs import READING_QUEUE, ReadMediaJob, enqueue_read
from packages.core.logging import bound
from packages.rag.documents import Document, UnreadableDocument
from packages.rag.sandbox import MB, ParseLimits, parse_sandboxed
from services.ingestion_worker.ingestion import Worker

log = structlog.get_logger(__name__)
READINGS = Counter("parley_media_readings_total", "Customers' files by how reading them ended", ["outcome"])
LIMITS = ParseLimits(
    cpu_seconds=40, wall_seconds=60.0, memory_bytes=2048 * MB, input_bytes=25 * MB, output_bytes=20 * MB
)
STALE_SECONDS = 90.0
"""After so long the job of a file counts as lost; longer than reading one takes."""
_PAUSE_SECONDS = 1.0


async def read(worker: Worker, job: ReadMediaJob) -> None:
    """Read a file if its text is wanted; do nothing otherwise, so that a repeated job is harmless."""
    with bound(tenant_id=job.tenant_id, media_id=job.media_id):
        async with worker.database.direct(job.tenant_id) as transaction:
            row = await media.to_read(transaction, UUID(job.media_id))
        if row is None:
            return
        await settle(worker, job, row, await _words(worker, row))


async def give_up(worker: Worker, job: ReadMediaJob) -> None:
    """Settle a file whose reading fails time and again."""
    async with worker.database.direct(job.tenant_id) as transaction:
        row = await media.to_read(transaction, UUID(job.media_id))
    if row is not None:
        await settle(worker, job, row, None)


async def settle(worker: Worker, job: ReadMediaJob, row: Any, words: str | None) -> None:
    """Keep the words (None: it cannot be read), and let the answer that waited for them begin."""
    debounce = worker.settings.turn.debounce_seconds
    async with worker.database.direct(job.tenant_id) as transaction:
        settled = await media.settle_reading(transaction, row.id, words)
        await media.hurry_turn(transaction, row.conversation_id, debounce_seconds=debounce)
    if not settled:
        return
    outcome = "failed" if words is None else "done"
    READINGS.labels(outcome).inc()
    data = {
        "media_id": job.media_id,
        "message_id": str(row.message_id) if row.message_id else None,
        "conversation_id": str(row.conversation_id),
        "status": "ready",
        "reading": outcome,
    }
    await streams.announce(worker.redis, streams.live_channel(job.tenant_id), {"type": "media.updated", "data": data})


async def _words(worker: Worker, row: Any) -> str | None:
    try:
        data = await worker.storage.get(row.storage_key)
        document = await parse_sandboxed(data, media_type=row.media_type, filename=row.filename, limits=LIMITS)
    except NotFound:
        log.warning("media_missing")
        return None
    except UnreadableDocument as error:
        log.info("media_unreadable", code=error.code)
        return None
    return _text(document)


def _text(document: Document) -> str:
    """The words of a document, as far as they are kept."""
    words: list[str] = []
    length = 0
    for block in document.blocks:
        words.append(block.text)
        length += len(block.text) + 2
        if length >= media.LONGEST_TEXT:
            break
    return "\n\n".join(words)[: media.LONGEST_TEXT]


async def sweep(worker: Worker) -> int:
    """Enqueue files whose job was lost; the number of those."""
    async with worker.database.single_across_tenants() as connection:
        found = await media.unread(connection, stale_seconds=STALE_SECONDS)
    for tenant_id, media_id in found:
        await enqueue_read(worker.queue, ReadMediaJob(tenant_id=str(tenant_id), media_id=str(media_id)))
    return len(found)


class Reader:
    """A queue of the worker's beside that of knowledge."""

    def __init__(self, options: dict[str, Any], queue_name: str = READING_QUEUE) -> None:
        self._arq = arq.Worker(queue_name=queue_name, handle_signals=False, **options)
        self._task = asyncio.create_task(self._run(), name=queue_name)

    async def _run(self) -> None:
        while True:
            try:
                await self._arq.async_run()
            except (RedisError, OSError) as error:
                log.warning("reader_unavailable", error=type(error).__name__, retry_in=_PAUSE_SECONDS)
                await asyncio.sleep(_PAUSE_SECONDS)

    async def close(self) -> None:
        """End; what is being read comes again."""
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task
        with suppress(asyncio.CancelledError):
            await self._arq.close()
