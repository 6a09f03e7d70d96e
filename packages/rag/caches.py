"""What was asked before is not worked out again: in this process first, then in Redis, then at the source.

However many ask the same at once, one works it out: in this process by a task that all wait for, between processes by a
short lock in Redis. Without Redis, or while it is away, the process's own memory is all there is.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

import structlog
from cachetools import TTLCache
from prometheus_client import Counter
from redis.asyncio import Redis
from redis.exceptions import RedisError

Value = TypeVar("Value")

SECONDS = 600
LOCK_MS = 1500
"""A process that died while it held the lock delays others by no more than this."""
WAIT_SECONDS, LOOK_SECONDS = 0.5, 0.02
PAUSE_SECONDS = 5.0
"""Redis is left alone for so long after it failed: questions must not wait for it one by one."""
_OWN_SIZE = 300

LOOKUPS = Counter("parley_cache_lookups_total", "Look-ups by the level that answered; miss: none", ["cache", "level"])

# One round trip: the value, or 1 with the lock now ours, or 0 while another works it out.
_TAKE = (
    "local v = redis.call('GET', KEYS[1]) if v then return v end "
    "if redis.call('SET', KEYS[2], '1', 'NX', 'PX', ARGV[1]) then return 1 end return 0"
)

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class SharedMemory:
    """Redis, as a cache that may be away."""

    client: "Redis | None" = None
    _away_until: float = 0.0

    @property
    def is_there(self) -> bool:
        """Whether it is worth asking."""
        return self.client is not None and time.monotonic() >= self._away_until

    async def take(self, key: str) -> bytes | None:
        """The value; None where the caller is to work it out. Waits a little while another does."""
        until = time.monotonic() + WAIT_SECONDS
        while self.is_there and self.client is not None:
            try:
                found = await self.client.eval(_TAKE, 2, key, f"{key}:lock", str(LOCK_MS))  # type: ignore[misc]
            except (RedisError, OSError) as error:
                self._lost(error)
                return None
            if isinstance(found, bytes):
                return found
            if int(found) == 1 or time.monotonic() > until:
                return None
            await asyncio.sleep(LOOK_SECONDS)
        return None

    async def put(self, key: str, value: bytes | None) -> None:
        """Keep a value (None: there is none after all) and let others go on."""
        if not self.is_there or self.client is None:
            return
        try:
            async with self.client.pipeline(transaction=False) as pipe:
                if value is not None:
                    pipe.set(key, value, ex=SECONDS)
                pipe.delete(f"{key}:lock")
                await pipe.execute()
        except (RedisError, OSError) as error:
            self._lost(error)

    def _lost(self, error: Exception) -> None:
        self._away_until = time.monotonic() + PAUSE_SECONDS
        log.warning("cache: redis is away", error=type(error).__name__)

    async def close(self) -> None:
        """Close the connections."""
        if self.client is not None:
            await self.client.aclose()


@dataclass(slots=True, kw_only=True)
class TieredCache(Generic[Value]):
    """One kind of thing to remember. Keys begin with the tenant: what one asks, another never gets.

    Args:
        name: in keys and metrics.
        encode: a value to bytes, for Redis.
        decode: the inverse; raises ValueError for bytes that are none.
        size: bytes of a value in memory.
        max_bytes: of this process's memory.
        shared: Redis, if there is one.
    """

    name: str
    encode: Callable[[Value], bytes]
    decode: Callable[[bytes], Value]
    size: Callable[[Value], int]
    max_bytes: int
    shared: SharedMemory = field(default_factory=SharedMemory)
    _own: TTLCache[str, Value] = field(init=False)
    _working: dict[str, "asyncio.Task[Value]"] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        """Make room."""
        self._own = TTLCache(self.max_bytes, ttl=SECONDS, getsizeof=lambda value: self.size(value) + _OWN_SIZE)

    async def get(self, key: str, work_out: Callable[[], Awaitable[Value]]) -> Value:
        """The value of a key, worked out if nobody did yet. What can change is part of the key, as a version.

        Raises:
            Whatever `work_out` raises, to all who wait for it.
        """
        kept = self._own.get(key)
        if kept is not None:
            LOOKUPS.labels(self.name, "process").inc()
            return kept
        task = self._working.get(key)
        if task is None:
            task = self._working[key] = asyncio.create_task(self._fetch(key, work_out))
            task.add_done_callback(lambda _: self._working.pop(key, None))
        # One who gives up must not take the answer from the others.
        return await asyncio.shield(task)

    async def _fetch(self, key: str, work_out: Callable[[], Awaitable[Value]]) -> Value:
        shared_key = f"parley:{self.name}:{key}"
        value = self._decoded(await self.shared.take(shared_key))
        if value is not None:
            LOOKUPS.labels(self.name, "redis").inc()
        else:
            LOOKUPS.labels(self.name, "miss").inc()
            encoded = None
            try:
                value = await work_out()
                encoded = self.encode(value) if self.shared.is_there else None
            finally:
                await self.shared.put(shared_key, encoded)
        if self.size(value) + _OWN_SIZE <= self.max_bytes:
            self._own[key] = value
        return value

    def _decoded(self, found: bytes | None) -> Value | None:
        try:
            return None if found is None else self.decode(found)
        except ValueError:
            log.warning("cache: a value in redis cannot be read", cache=self.name)
            return None
