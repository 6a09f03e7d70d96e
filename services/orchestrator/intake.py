"""Events in: each item that a gateway made durable becomes, exactly once, a ledger row and what follows from it.

A batch is one transaction. The ledger's unique key decides what is a repeat; if one event of a batch cannot be stored,
the others are taken one by one, and that one is kept with the reason.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import asyncpg
import msgspec
import structlog
from prometheus_client import Counter
from redis.asyncio import Redis

from packages.core import streams
from packages.core.config import TurnSettings
from packages.core.db.session import DATABASE_ERRORS, Database
from packages.core.domain.messages import InboundEvent
from services.orchestrator import intake_sql

log = structlog.get_logger(__name__)

EVENTS = Counter("parley_intake_events_total", "Provider items by kind and what became of them", ["kind", "outcome"])
TRANSIENT_SQLSTATES = ("08", "40", "53", "55", "57", "58")
POSTGRES_CANNOT_STORE = "\x00"
ENCODED_NUL = rb"\u0000"


class RejectedEvent(Exception):
    """An event that the database refuses for what it is, not for the state the database is in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """What became of one event. `message_id` and `conversation_id` are those of the first time for a repeat."""

    external_id: str
    state: str
    duplicate: bool = False
    reason: str | None = None
    message_id: UUID | None = None
    conversation_id: UUID | None = None


class Intake:
    """Takes events off the stream, and from direct callers, into PostgreSQL.

    Args:
        wake: is told in how many seconds a turn falls due.
    """

    def __init__(self, database: Database, redis: Redis, settings: TurnSettings, wake: Callable[[float], None]) -> None:
        self._database = database
        self._redis = redis
        self._settings = settings
        self._wake = wake
        self._consumer = streams.Consumer(redis, streams.INBOUND, "orchestrator", count=200, idle_ms=5_000)

    async def run(self) -> None:
        """Consume until `stop`. Nothing is acknowledged before it is committed."""
        async for entries in self._consumer.batches():
            try:
                await self._handle(entries)
            except Exception:  # the consumer loop's edge: the entries stay pending and come again
                log.exception("intake_batch_failed", entries=len(entries))
                await asyncio.sleep(1)

    def stop(self) -> None:
        """End `run` after the batch in hand."""
        self._consumer.stop()

    async def take(self, given: Sequence[InboundEvent]) -> list[Taken]:
        """Store events; one answer for each, in their order.

        Raises:
            RejectedEvent: a single event was given and the database refuses it.
            one of DATABASE_ERRORS: the database is away; nothing was stored.
        """
        return await self._take([_without_nul(event) for event in given])

    async def _take(self, events: Sequence[InboundEvent]) -> list[Taken]:
        try:
            return await self._store(events)
        except RejectedEvent:
            if len(events) == 1:
                raise
        taken: list[Taken] = []
        for event in events:
            try:
                taken += await self._store([event])
            except RejectedEvent as error:
                taken.append(await self._keep_failed(event, str(error)))
        return taken

    async def _handle(self, entries: list[streams.Entry]) -> None:
        events: list[InboundEvent] = []
        readable: list[streams.Entry] = []
        for entry in entries:
            try:
                event = entry.decode(InboundEvent)
                events.append(_without_nul(event) if ENCODED_NUL in entry.data else event)
                readable.append(entry)
            except msgspec.MsgspecError as error:
                await self._consumer.set_aside(entry, f"undecodable: {error}")
        if not events:
            return
        pause = 0.1
        while True:
            try:
                await self._take_all(events)
                break
            except DATABASE_ERRORS as error:
                log.warning("database_unavailable", error=str(error)[:200], retry_in=pause)
                await asyncio.sleep(pause)
                pause = min(pause * 2, 3.0)
        await self._consumer.done(readable)

    async def take_all(self, events: Sequence[InboundEvent]) -> list[Taken]:
        """Like `take`, for events that a gateway answers for: what the database refuses is kept, with the reason.

        Raises:
            one of DATABASE_ERRORS: the database is away; not all was stored, and all can be given again.
        """
        return await self._take_all([_without_nul(event) for event in events])

    async def _take_all(self, events: Sequence[InboundEvent]) -> list[Taken]:
        try:
            return await self._take(events)
        except RejectedEvent as error:
            return [await self._keep_failed(events[0], str(error))]

    async def _store(self, events: Sequence[InboundEvent]) -> list[Taken]:
        """One transaction for all."""
        try:
            async with self._database.direct_across_tenants() as transaction:
                stored = await intake_sql.store(transaction, events, self._settings)
        except asyncpg.PostgresError as error:
            if _is_transient(error):
                raise
            raise RejectedEvent(str(error)[:500]) from error
        except intake_sql.UnknownAccount as error:
            raise RejectedEvent(str(error)) from error
        for item in stored.taken:
            EVENTS.labels(stored.kinds[item.external_id], "duplicate" if item.duplicate else item.state).inc()
        if stored.due:
            self._wake(self._settings.debounce_seconds)
        await self._announce(stored)
        return [
            Taken(
                external_id=item.external_id,
                state=item.state,
                duplicate=item.duplicate,
                reason=item.reason,
                message_id=item.message_id,
                conversation_id=item.conversation_id,
            )
            for item in stored.taken
        ]

    async def _keep_failed(self, event: InboundEvent, reason: str) -> Taken:
        """Keep what cannot be stored as it is: in the ledger if that works, else with the stream's dead letters."""
        log.error("event_rejected", channel_config_id=event.channel_config_id, reason=reason)
        EVENTS.labels(event.kind, "failed").inc()
        kept = False
        try:
            async with self._database.direct_across_tenants() as transaction:
                kept = await intake_sql.keep_failed(transaction, event, reason)
        except asyncpg.PostgresError as error:
            if _is_transient(error):
                raise
        if not kept:
            payload: dict[Any, Any] = {"d": msgspec.json.encode(event), "reason": reason[:500]}
            await self._redis.xadd(streams.INBOUND + streams.DEAD, payload, maxlen=100_000)
        return Taken(external_id=event.external_id, state="failed", reason=reason)

    async def _announce(self, stored: "intake_sql.Stored") -> None:
        """Tell whoever watches; a live view that misses it reads it later."""
        live = [(streams.live_channel(tenant_id), event) for tenant_id, event in stored.live]
        due: list[streams.Announcement] = [(streams.MEDIA_DUE, {})] if stored.files else []
        await streams.announce_all(self._redis, [*live, *due])


def _is_transient(error: asyncpg.PostgresError) -> bool:
    """Whether the same statement may succeed later: lost connections, deadlocks, shut-downs, full disks."""
    return (error.sqlstate or "").startswith(TRANSIENT_SQLSTATES)


def _without_nul(event: InboundEvent) -> InboundEvent:
    """PostgreSQL cannot store U+0000; platforms do send it."""
    encoded = msgspec.json.encode(event)
    if ENCODED_NUL not in encoded:
        return event
    cleaned = _strip(msgspec.to_builtins(event))
    return msgspec.convert(cleaned, InboundEvent)


def _strip(value: Any) -> Any:
    if isinstance(value, str):
        return value.replace(POSTGRES_CANNOT_STORE, "")
    if isinstance(value, dict):
        return {_strip(key): _strip(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_strip(item) for item in value]
    return value
