"""Redis Streams: publish, consume in a group, acknowledge, take over what a dead consumer left, set poison aside.

A stream holds only its backlog: entries are deleted when they are acknowledged. Entries are JSON made by msgspec in
the one field `d`. Consumers survive a restarted or emptied Redis: they make their group anew and go on.
"""

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec
import structlog
from redis.asyncio import Redis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError, ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

INBOUND = "parley:inbound"
OUTBOUND = "parley:outbound"
SIGNALS = "parley:signals"
DEAD = ":dead"
MOST_SIGNALS = 10_000
MEDIA_DUE = "parley:media-due"
"""Pub/Sub: there are files to fetch from a platform."""

log = structlog.get_logger(__name__)
Payload = TypeVar("Payload")


@dataclass(frozen=True, slots=True)
class Entry:
    """One stream entry: its id and its undecoded payload."""

    id: bytes
    data: bytes

    def decode(self, kind: type[Payload]) -> Payload:
        """The payload as a dataclass.

        Raises:
            msgspec.ValidationError: the payload is of another form.
        """
        return msgspec.json.decode(self.data, type=kind)


def connect(url: str) -> Redis:
    """A Redis client for commands and blocking reads, with timeouts and no hidden retries."""
    client: Redis = Redis.from_url(
        url,
        socket_connect_timeout=3,
        socket_timeout=15,
        socket_keepalive=True,
        health_check_interval=30,
        max_connections=64,
    )
    return client


Announcement = tuple[str, Any]
"""A Pub/Sub channel and a payload."""


async def publish(
    redis: "Redis", stream: str, payloads: Sequence[Any], announcements: Sequence[Announcement] = ()
) -> None:
    """Append payloads (dataclasses or JSON values), and announce what goes with them, in one round trip.

    Raises:
        redis.exceptions.RedisError: nothing, or not all, was appended; publish again.
    """
    if not payloads:
        return
    pipeline = redis.pipeline(transaction=False)
    for payload in payloads:
        pipeline.xadd(stream, {"d": msgspec.json.encode(payload)})
    for channel, payload in announcements:
        pipeline.publish(channel, msgspec.json.encode(payload))
    await pipeline.execute()


async def show(redis: "Redis", signal: Any) -> None:
    """Append a signal (typing, read). It is worth nothing later, so a Redis that is away is only logged."""
    try:
        await redis.xadd(SIGNALS, {"d": msgspec.json.encode(signal)}, maxlen=MOST_SIGNALS, approximate=True)
    except (RedisError, OSError) as error:
        log.warning("signal_lost", error=str(error))


def live_channel(tenant_id: str) -> str:
    """The Pub/Sub channel of a tenant's live events; payloads are JSON `{type, data}`. Missing one loses nothing."""
    return f"parley:live:{tenant_id}"


CHANNELS_CHANGED = "parley:channels-changed"
"""Pub/Sub channel that tells gateways to read a channel config (its id is the payload) anew."""


async def announce(redis: "Redis", channel: str, payload: Any) -> None:
    """Publish to whoever listens now. Nobody relies on it, so a Redis that is away is only logged."""
    await announce_all(redis, [(channel, payload)])


async def announce_all(redis: "Redis", announcements: Sequence[Announcement]) -> None:
    """Like `announce`, several (channel, payload) in one round trip."""
    if not announcements:
        return
    try:
        pipeline = redis.pipeline(transaction=False)
        for channel, payload in announcements:
            pipeline.publish(channel, msgspec.json.encode(payload))
        await pipeline.execute()
    except (RedisError, OSError) as error:
        log.warning("announce_failed", announcements=len(announcements), error=str(error))


class Consumer:
    """A member of a consumer group.

    Args:
        idle_ms: entries that another consumer read this long ago without acknowledging are taken over.
    """

    def __init__(
        self, redis: "Redis", stream: str, group: str, *, count: int = 100, block_ms: int = 2000, idle_ms: int = 10_000
    ) -> None:
        self._redis = redis
        self._stream = stream
        self._group = group
        self._count = count
        self._block_ms = block_ms
        self._idle_ms = idle_ms
        self._name = f"{socket.gethostname()}-{os.getpid()}"
        self._cursor: bytes = b"0-0"
        self._next_takeover = 0.0
        self._stopped = asyncio.Event()

    def stop(self) -> None:
        """End `batches` after the batch in hand."""
        self._stopped.set()

    async def batches(self) -> AsyncIterator[list[Entry]]:
        """Batches of 1 to `count` entries, for ever. Reconnects by itself, with growing pauses."""
        pause = 0.05
        grouped = False
        while not self._stopped.is_set():
            try:
                if not grouped:
                    await self._make_group()
                    grouped = True
                entries = await self._take_over() or await self._read()
                pause = 0.05
            except ResponseError as error:
                if "NOGROUP" not in str(error) and "LOADING" not in str(error):
                    raise
                grouped = False
                await asyncio.sleep(pause)
                continue
            except (RedisConnectionError, RedisTimeoutError, OSError) as error:
                log.warning("stream_unavailable", stream=self._stream, error=str(error), retry_in=pause)
                grouped = False
                await asyncio.sleep(pause)
                pause = min(pause * 2, 2.0)
                continue
            if entries:
                yield entries

    async def done(self, entries: Sequence[Entry]) -> None:
        """Acknowledge and delete. If Redis is away the entries come again, so handling must be repeatable."""
        if not entries:
            return
        ids = [entry.id for entry in entries]
        try:
            pipeline = self._redis.pipeline(transaction=False)
            pipeline.xack(self._stream, self._group, *ids)
            pipeline.xdel(self._stream, *ids)
            await pipeline.execute()
        except (RedisError, OSError) as error:
            log.warning("stream_ack_failed", stream=self._stream, entries=len(ids), error=str(error))

    async def set_aside(self, entry: Entry, reason: str) -> None:
        """Move an entry that cannot be handled to the stream's dead letters, then acknowledge it."""
        await self._redis.xadd(self._stream + DEAD, {"d": entry.data, "reason": reason[:500]}, maxlen=100_000)
        log.error("stream_entry_set_aside", stream=self._stream, entry=entry.id.decode(), reason=reason)
        await self.done([entry])

    async def _make_group(self) -> None:
        try:
            await self._redis.xgroup_create(self._stream, self._group, id="0", mkstream=True)
        except ResponseError as error:
            if "BUSYGROUP" not in str(error):
                raise

    async def _read(self) -> list[Entry]:
        answer = await self._redis.xreadgroup(
            self._group, self._name, {self._stream: ">"}, count=self._count, block=self._block_ms
        )
        return _entries(answer[0][1]) if answer else []

    async def _take_over(self) -> list[Entry]:
        """What a dead consumer left. Looked for once in a third of the idle time, and until nothing is left."""
        now = asyncio.get_running_loop().time()
        if now < self._next_takeover:
            return []
        answer = await self._redis.xautoclaim(
            self._stream, self._group, self._name, min_idle_time=self._idle_ms, start_id=self._cursor, count=self._count
        )
        self._cursor = answer[0]
        entries = _entries(answer[1])
        if self._cursor == b"0-0" and not entries:
            self._next_takeover = now + self._idle_ms / 3000
        return entries


def _entries(rows: Sequence[tuple[bytes, dict[bytes, bytes] | None]]) -> list[Entry]:
    return [Entry(entry_id, fields[b"d"]) for entry_id, fields in rows if fields and b"d" in fields]
