"""Outbox out: committed messages go onto the stream at once, and again whenever they might have been lost."""

import asyncio
from collections.abc import Sequence

import structlog
from prometheus_client import Counter
from redis.asyncio import Redis
from redis.exceptions import RedisError

from packages.core import streams
from packages.core.config import DeliverySettings
from packages.core.db.repositories import deliveries, delivery_statuses
from packages.core.db.session import DATABASE_ERRORS, Database
from packages.core.domain.messages import OutboundResponse

log = structlog.get_logger(__name__)

PUBLISHED = Counter("parley_outbound_published_total", "Messages put onto the outbound stream", ["how"])
SWEEP_SECONDS = 0.5
EARLY_SECONDS = 5.0


class Relay:
    """Publishes what was just committed, and sweeps the outbox for whatever was not settled in time."""

    def __init__(self, database: Database, redis: Redis, settings: DeliverySettings) -> None:
        self._database = database
        self._redis = redis
        self._settings = settings
        self._stopped = asyncio.Event()
        self._early_at = 0.0

    async def publish(self, responses: Sequence[OutboundResponse], live: Sequence[streams.Announcement] = ()) -> None:
        """Put committed messages onto the stream. If Redis is away the sweep does it later, so this never raises.

        Args:
            live: what to tell those who watch, in the same round trip.
        """
        try:
            await streams.publish(self._redis, streams.OUTBOUND, responses, live)
            PUBLISHED.labels("at once").inc(len(responses))
        except (RedisError, OSError) as error:
            log.warning("publish_postponed", messages=len(responses), error=str(error))

    async def run(self) -> None:
        """Sweep until `stop`."""
        pause = SWEEP_SECONDS
        while not self._stopped.is_set():
            try:
                swept = await self.sweep()
                await self._sweep_early()
                pause = 0.0 if swept else SWEEP_SECONDS
            except (RedisError, *DATABASE_ERRORS) as error:
                log.warning("sweep_failed", error=str(error)[:200])
                pause = min(max(pause, SWEEP_SECONDS) * 2, 5.0)
            try:
                await asyncio.wait_for(self._stopped.wait(), pause or 0.001)
            except TimeoutError:
                continue

    async def sweep(self) -> int:
        """Publish what is due again; the rows change only if the stream took them.

        Raises:
            redis.exceptions.RedisError: Redis is away; the rows stay due.
        """
        async with self._database.direct_across_tenants() as transaction:
            due = await deliveries.take_due(transaction, republish_seconds=self._settings.republish_seconds)
            await streams.publish(self._redis, streams.OUTBOUND, due)
        PUBLISHED.labels("again").inc(len(due))
        return len(due)

    async def _sweep_early(self) -> None:
        """Now and then, apply statuses that overtook their send just when that was being settled."""
        now = asyncio.get_running_loop().time()
        if now < self._early_at:
            return
        self._early_at = now + EARLY_SECONDS
        async with self._database.direct_across_tenants() as transaction:
            await delivery_statuses.apply_early(transaction)
            await delivery_statuses.forget_early(transaction)

    def stop(self) -> None:
        """End `run`."""
        self._stopped.set()
