"""Which open event streams are to look for something new: one Redis subscription per process, fanned out in memory.

What is heard here is a hint. A stream that hears nothing, because Redis is away, looks into PostgreSQL by itself.
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import msgspec
import structlog
from redis.asyncio import Redis
from redis.asyncio.client import PubSub
from redis.exceptions import RedisError

from packages.core import streams

log = structlog.get_logger(__name__)

RELEASED = "parley:webchat"
"""Pub/Sub channel of what senders released to visitors: `{room, type, data}`."""
_PASSED_ON = ("typing", "token", "delivery")
_MOST_EVENTS = 200
_MOST_SENT = 1000
_BEGINNING_SECONDS = 10.0


@dataclass(slots=True, eq=False)
class Seat:
    """One open event stream.

    `events` waits to be passed on, `sent` are ids of replies that were just released, `stale` asks for a look into the
    conversation, `active_at` is when something last happened (monotonic clock).
    """

    tenant_id: str
    room: str
    conversation_ids: set[str] = field(default_factory=set)
    sent: set[str] = field(default_factory=set)
    events: list[tuple[str, Any]] = field(default_factory=list)
    news: asyncio.Event = field(default_factory=asyncio.Event)
    stale: bool = True
    active_at: float = field(default_factory=time.monotonic)

    def look(self) -> None:
        """There may be something new in the conversation."""
        self.stale = True
        self.news.set()

    def add(self, kind: str, data: Any) -> None:
        """Pass an event on; a browser that cannot keep up misses some, none of which is a message."""
        if len(self.events) < _MOST_EVENTS:
            self.events.append((kind, data))
        self.news.set()

    def release(self, message_id: str) -> None:
        """A reply may be shown."""
        if len(self.sent) >= _MOST_SENT:
            self.sent.clear()
        self.sent.add(message_id)
        self.active_at = time.monotonic()
        self.look()


class Rooms:
    """The process's open event streams."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._seats: defaultdict[str, set[Seat]] = defaultdict(set)
        self._tenants: defaultdict[str, set[Seat]] = defaultdict(set)
        self._subscription: PubSub | None = None
        self._changed = asyncio.Event()
        self.closed = False

    @contextmanager
    def seat(self, tenant_id: str, room: str) -> Iterator[Seat]:
        """A place in a visitor's room, for as long as the block lasts."""
        seat = Seat(tenant_id, room)
        self._seats[room].add(seat)
        self._tenants[tenant_id].add(seat)
        self._changed.set()
        try:
            yield seat
        finally:
            for places, key in ((self._seats, room), (self._tenants, tenant_id)):
                places[key].discard(seat)
                if not places[key]:
                    del places[key]
            self._changed.set()

    def occupied(self, room: str) -> int:
        """How many streams a room has."""
        return len(self._seats[room]) if room in self._seats else 0

    async def announce(self, channel_config_id: str, visitor_id: str, event: dict[str, Any]) -> None:
        """Tell the visitor's streams in every gateway process. Nothing is lost if nobody hears it."""
        await streams.announce(self._redis, RELEASED, {"room": f"{channel_config_id}:{visitor_id}", **event})

    def close(self) -> None:
        """End every open stream, for the process is about to stop."""
        self.closed = True
        for seats in self._seats.values():
            for seat in seats:
                seat.news.set()

    async def run(self) -> None:
        """Listen until cancelled; comes back by itself."""
        pause = 0.1
        while True:
            try:
                async with self._redis.pubsub() as subscription:
                    await subscription.subscribe(RELEASED)
                    pause = 0.1
                    self._look_all()
                    await self._listen(subscription)
            except (RedisError, OSError) as error:
                log.warning("webchat_not_listening", error=str(error), retry_in=pause)
                await asyncio.sleep(pause)
                pause = min(pause * 2, 5.0)

    async def _listen(self, subscription: PubSub) -> None:
        subscribed: set[str] = set()
        self._changed.set()
        while True:
            if self._changed.is_set():
                self._changed.clear()
                wanted = {streams.live_channel(tenant_id) for tenant_id in self._tenants}
                if new := wanted - subscribed:
                    await subscription.subscribe(*new)
                    self._look_all()  # something may have happened just before
                if old := subscribed - wanted:
                    await subscription.unsubscribe(*old)
                subscribed = wanted
            message = await subscription.get_message(ignore_subscribe_messages=True, timeout=0.5)
            if message:
                self._heard(message["channel"].decode(), message["data"])

    def _heard(self, channel: str, payload: bytes) -> None:
        try:
            event = msgspec.json.decode(payload)
            kind, data = event["type"], event["data"]
            if channel == RELEASED:
                self._released(event["room"], kind, data)
            else:
                self._tenant_event(channel.removeprefix(streams.live_channel("")), kind, data)
        except (msgspec.DecodeError, KeyError, TypeError, AttributeError) as error:
            log.warning("webchat_event_unreadable", channel=channel, error=repr(error))

    def _released(self, room: str, kind: str, data: dict[str, Any]) -> None:
        for seat in self._seats.get(room, ()):
            if kind == "message":
                seat.release(str(data["id"]))
            elif kind == "posted":
                seat.active_at = time.monotonic()
            else:
                seat.add(kind, data)

    def _tenant_event(self, tenant_id: str, kind: str, data: dict[str, Any]) -> None:
        """Something happened in the tenant: whoever's conversation it is looks, and who has just begun one."""
        conversation_id = str(data.get("conversation_id"))
        begun = time.monotonic() - _BEGINNING_SECONDS
        for seat in self._tenants.get(tenant_id, ()):
            if conversation_id in seat.conversation_ids:
                if kind in _PASSED_ON:
                    seat.add(kind, data)
                else:
                    seat.look()
            elif not seat.conversation_ids and seat.active_at > begun:
                seat.look()

    def _look_all(self) -> None:
        for seats in self._seats.values():
            for seat in seats:
                seat.look()
