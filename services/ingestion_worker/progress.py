"""How far a source is: in PostgreSQL for whoever asks, over Pub/Sub for whoever watches."""

import asyncio

from redis.asyncio import Redis

from packages.core import streams
from packages.core.db.session import Database
from services.ingestion_worker import sources
from services.ingestion_worker.sources import Claim

SPANS = {"fetch": (0.0, 0.05), "parse": (0.05, 0.2), "chunk": (0.2, 0.25), "embed": (0.25, 0.95), "store": (0.95, 0.99)}
"""The part of the whole that each stage takes; embedding is nearly all of the work. 1.0 is kept for `ready`."""

CRAWL = {"crawl": (0.0, 0.99)}
"""The one stage of a web site."""


class Progress:
    """Reports one source's stages and steps. Each new stage shows at once, steps at most every `every` seconds."""

    def __init__(self, database: Database, redis: Redis, held: Claim, *, every: float) -> None:
        self._database = database
        self._redis = redis
        self._held = held
        self._every = every
        self._stage = ""
        self._next = 0.0

    async def __call__(self, stage: str, done: int, total: int) -> None:
        """Report `done` of `total` steps of a stage.

        Raises:
            LostClaim: the source is not this worker's any more.
        """
        finished = stage == "store" and done >= total  # Its transaction has marked the source ready itself.
        now = asyncio.get_running_loop().time()
        if finished or (stage == self._stage and now < self._next):
            return
        self._stage, self._next = stage, now + self._every
        await sources.beat(
            self._database, self._held, stage=stage, progress=overall(stage, done, total), done=done, total=total
        )
        await announce(self._database, self._redis, self._held.asset.tenant_id, self._held.asset.source_id)


def overall(stage: str, done: int, total: int) -> float:
    """Progress of the whole, 0..1, from the steps of one stage."""
    start, end = (SPANS | CRAWL)[stage]
    return round(start + (end - start) * (min(done, total) / total if total else 1.0), 4)


async def announce(database: Database, redis: Redis, tenant_id: str, source_id: str) -> None:
    """Tell the tenant's watchers the present state of a source; nothing once it is deleted."""
    state = await sources.state(database, tenant_id, source_id)
    if state is not None:
        await streams.announce(redis, streams.live_channel(tenant_id), {"type": "knowledge.progress", "data": state})
