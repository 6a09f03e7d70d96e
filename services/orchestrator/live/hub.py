"""Live events of all tenants over one Redis subscription, fanned out to whoever watches in this process.

An event is a hint to look: whoever missed some is told so (`resync`) and reads the present state through the API.
"""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID

import structlog
from prometheus_client import Gauge
from redis.asyncio import Redis
from redis.asyncio.client import PubSub
from redis.exceptions import RedisError

from packages.core import streams

log = structlog.get_logger(__name__)
WATCHERS = Gauge("parley_live_watchers", "Open event streams")
RESYNC = b'{"type":"resync","data":{}}'
QUEUED = 256
"""Events that a slow watcher may lag behind before it is told to look anew instead."""
_KEEPER = "parley:live:keeper"
"""A channel that nobody publishes to: it keeps the subscription alive while nobody watches."""


class Watch:
    """One watcher's events, oldest first."""

    def __init__(self) -> None:
        self._queue: asyncio.Queue[bytes | None] = asyncio.Queue(QUEUED)

    def push(self, event: bytes | None) -> None:
        """Add an event (None ends the watch). Who lags too far behind gets one `resync` for all that it missed."""
        if self._queue.full():
            while not self._queue.empty():
                self._queue.get_nowait()
            self._queue.put_nowait(RESYNC)
        self._queue.put_nowait(event)

    async def next(self, timeout: float) -> bytes | None:  # noqa: ASYNC109 - the heartbeat's pause, not a deadline
        """The next event; None when the watch is over.

        Raises:
            TimeoutError: nothing happened for so many seconds.
        """
        async with asyncio.timeout(timeout):
            return await self._queue.get()


class Hub:
    """The process's one subscription."""

    def __init__(self, redis: "Redis") -> None:
        self._redis = redis
        self._watches: dict[str, set[Watch]] = defaultdict(set)
        self._changed = asyncio.Event()
        self._stopped = asyncio.Event()

    @asynccontextmanager
    async def watch(self, tenant_id: UUID) -> AsyncIterator[Watch]:
        """A tenant's events, for as long as the block lasts."""
        channel = streams.live_channel(str(tenant_id))
        watch = Watch()
        if self._stopped.is_set():
            watch.push(None)
        self._watches[channel].add(watch)
        self._changed.set()
        WATCHERS.inc()
        try:
            yield watch
        finally:
            WATCHERS.dec()
            self._watches[channel].discard(watch)
            if not self._watches[channel]:
                del self._watches[channel]
                self._changed.set()

    async def run(self) -> None:
        """Receive until `stop`; reconnects by itself."""
        pause = 0.1
        while not self._stopped.is_set():
            try:
                async with self._redis.pubsub() as subscription:
                    await self._receive(subscription)
                pause = 0.1
            except (RedisError, OSError) as error:
                log.warning("live_events_unavailable", error=str(error), retry_in=pause)
                await asyncio.sleep(pause)
                pause = min(pause * 2, 5.0)

    def stop(self) -> None:
        """End every watch and `run`."""
        self._stopped.set()
        self._changed.set()
        self._tell_all(None)

    async def _receive(self, subscription: PubSub) -> None:
        await subscription.subscribe(_KEEPER)
        self._tell_all(RESYNC)  # whatever was published while there was no subscription is lost
        following = asyncio.create_task(self._follow_watches(subscription))
        try:
            # a read is never cancelled half-way: that would drop the connection and its subscriptions
            while not self._stopped.is_set():
                if following.done():
                    following.result()
                self._forward(await subscription.get_message(ignore_subscribe_messages=True, timeout=1.0))
        finally:
            following.cancel()

    async def _follow_watches(self, subscription: PubSub) -> None:
        """Keep the subscription to those tenants that somebody watches."""
        subscribed: set[str] = set()
        while True:
            self._changed.clear()
            wanted = set(self._watches)
            if wanted - subscribed:
                await subscription.subscribe(*(wanted - subscribed))
            if subscribed - wanted:
                await subscription.unsubscribe(*(subscribed - wanted))
            subscribed = wanted
            await self._changed.wait()

    def _forward(self, message: dict[str, bytes] | None) -> None:
        if message is None or not isinstance(message.get("channel"), bytes):
            return
        for watch in self._watches.get(message["channel"].decode(), ()):
            watch.push(message["data"])

    def _tell_all(self, event: bytes | None) -> None:
        for watches in self._watches.values():
            for watch in watches:
                watch.push(event)
