"""Messages out: off the stream, claimed in PostgreSQL, sent once, settled in PostgreSQL.

The database decides what may go (docs/adr/0003): a reply that a newer message or a person overtook is void, a message
waits for the earlier ones of its conversation, and two senders never hold the same one. Each account has a lane of its
own (docs/adr/0010), so that a slow or limited one holds up nobody else.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar
from uuid import UUID

import aiohttp
import msgspec
import structlog
from prometheus_client import Counter, Gauge
from redis.asyncio import Redis

from packages.core import streams, tracing
from packages.core.config import DeliverySettings
from packages.core.db.base import new_id
from packages.core.db.repositories import deliveries
from packages.core.db.repositories.deliveries import Claimed, Claims, Settlement
from packages.core.db.session import DATABASE_ERRORS, Database
from packages.core.domain.messages import OutboundResponse
from services.channel_gateway.attention import Attention
from services.channel_gateway.channels import Channel
from services.channel_gateway.directory import Directory
from services.channel_gateway.dispatch import Dispatch, PreparesFiles
from services.channel_gateway.lanes import Lane, Lanes
from services.channel_gateway.limits import PATIENCE_SECONDS, Ask, Limits

log = structlog.get_logger(__name__)

VOIDED = Counter("parley_replies_voided_total", "Replies not sent, because a newer message or a person came first")
POSTPONED = Counter("parley_sends_postponed_total", "Sends given back because of their account's rate")
IN_FLIGHT = Gauge("parley_sends_in_flight", "Messages claimed and not settled yet")

MAX_CLAIMED = 2_048
CLAIM_BATCH = 200
SETTLE_BATCH = 200
GATHER_SECONDS = 0.01
"""Pause between two batches of claims under load: a statement for each freed place would cost more than the sends."""
_MOST_BLOCKED = 20_000
_STOP_SECONDS = 5.0
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class _Ended:
    """A message's turn is over: how, and what may go now."""

    settlement: Settlement
    response: OutboundResponse


class Sender:
    """Takes messages off the outbound stream and delivers them through their channels."""

    def __init__(
        self,
        database: Database,
        redis: Redis,
        directory: Directory,
        channels: Mapping[str, Channel],
        http: aiohttp.ClientSession,
        settings: DeliverySettings,
        files: PreparesFiles | None = None,
    ) -> None:
        self._database = database
        self._redis = redis
        self._settings = settings
        self._token = new_id()
        self._limits = Limits(redis)
        self._dispatch = Dispatch(
            database,
            directory,
            channels,
            http,
            settings,
            self._limits,
            Attention(database, redis),
            files,
            self._token,
        )
        self._consumer = streams.Consumer(redis, streams.OUTBOUND, "gateway", count=200, idle_ms=10_000)
        self._lanes = Lanes()
        self._blocked: OrderedDict[str, list[OutboundResponse]] = OrderedDict()
        self._tasks: set[asyncio.Task[None]] = set()
        self._ended: asyncio.Queue[_Ended | None] = asyncio.Queue(2 * MAX_CLAIMED)
        self._work = asyncio.Event()
        self._stopping = asyncio.Event()

    async def run(self) -> None:
        """Deliver until `stop`; returns when the sends in hand are settled."""
        claiming = asyncio.create_task(self._claim_for_ever())
        settling = asyncio.create_task(self._settle_for_ever())
        try:
            async for entries in self._consumer.batches():
                await self._take(entries)
        finally:
            self._stopping.set()
            self._work.set()
            await self._ended_within(claiming)
            if self._tasks:
                await asyncio.wait(self._tasks, timeout=self._settings.timeout_seconds)
            await self._ended.put(None)
            await self._ended_within(settling)

    async def _ended_within(self, loop: asyncio.Task[None]) -> None:
        await asyncio.wait([loop], timeout=_STOP_SECONDS)
        loop.cancel()

    async def stop(self) -> None:
        """Take no more messages; `run` returns soon."""
        self._consumer.stop()

    async def _take(self, entries: list[streams.Entry]) -> None:
        """Into the lanes. PostgreSQL has the messages, so what is lost from here on comes again with the sweep."""
        for entry in entries:
            try:
                self._enqueue(_decoded(entry))
            except (msgspec.MsgspecError, ValueError) as error:
                await self._consumer.set_aside(entry, f"undecodable: {error}")
        await self._consumer.done(entries)

    def _enqueue(self, response: OutboundResponse, *, first: bool = False) -> None:
        account_id, tenant_id = response.channel_config_id, response.tenant_id
        if not self._lanes.put(account_id, tenant_id, UUID(response.message_id), first=first):
            log.info("lane_full", channel_config_id=account_id)
        self._work.set()

    async def _claim_for_ever(self) -> None:
        while not self._stopping.is_set():
            await self._work.wait()
            self._work.clear()
            while picked := self._lanes.pick(min(CLAIM_BATCH, MAX_CLAIMED - len(self._tasks))):
                try:
                    await self._claim(picked)
                except Exception:  # the loop's edge: what was claimed comes again when its claim runs out
                    log.exception("claims_failed", messages=len(picked))
                    await asyncio.sleep(1)
                await asyncio.sleep(GATHER_SECONDS)

    async def _claim(self, picked: list[tuple[Lane, UUID]]) -> None:
        """Claim a batch, ask for its turns, and set it going."""
        lanes = {message_id: lane for lane, message_id in picked}
        try:
            holds = {message_id: self._dispatch.hold(lane.account_id) for lane, message_id in picked}
            claims = await self._patiently(lambda: self._claims(holds))
            for response in claims.voided:
                VOIDED.inc()
                log.info("reply_voided", conversation_id=response.conversation_id, message_id=response.message_id)
            for response in claims.blocked:
                self._block(response)
            waits = await self._waits(claims.claimed)
            for item, wait in zip(claims.claimed, waits, strict=True):
                task = asyncio.create_task(self._deliver(item, wait, lanes.pop(UUID(item.response.message_id))))
                self._tasks.add(task)
                task.add_done_callback(self._delivered)
        finally:
            for lane in lanes.values():
                lane.claimed -= 1
        IN_FLIGHT.set(len(self._tasks))

    async def _claims(self, holds: dict[UUID, float]) -> Claims:
        async with self._database.single_across_tenants() as connection:
            return await deliveries.claim(connection, holds, self._token)

    def _block(self, response: OutboundResponse) -> None:
        """Keep what waits for an earlier message of its conversation; what is forgotten comes with the sweep."""
        self._blocked.setdefault(response.conversation_id, []).append(response)
        while len(self._blocked) > _MOST_BLOCKED:
            self._blocked.popitem(last=False)

    async def _waits(self, items: list[Claimed]) -> list[float]:
        """Seconds until each may go. Channels without rates are not asked for."""
        waits = [0.0] * len(items)
        limited: list[tuple[int, Ask]] = []
        for place, item in enumerate(items):
            account_id = item.response.channel_config_id
            rules = self._dispatch.rules(account_id)
            if rules and (rules.account_rate or rules.person_rate or rules.group_rate):
                limited.append((place, Ask(account_id, item.response.recipient, rules)))
        taken = await self._limits.take([ask for _, ask in limited])
        for (place, _), wait in zip(limited, taken, strict=True):
            waits[place] = wait
        return waits

    async def _deliver(self, item: Claimed, wait: float, lane: Lane) -> None:
        response = item.response
        try:
            if await self._postponed(wait):
                POSTPONED.inc()
                settlement = Settlement(message_id=response.message_id, state="retry", delay=wait, counted=False)
            else:
                with tracing.span("send", response.traceparent, message_id=response.message_id):
                    delivered = await self._dispatch.deliver(item)
                settlement = delivered.settlement
                (lane.silent if delivered.silent else lane.answered)()
        finally:
            lane.claimed -= 1
        await self._ended.put(_Ended(settlement, response))

    def _delivered(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._work.set()

    async def _postponed(self, wait: float) -> bool:
        """Wait for a message's turn; true where that takes too long, or the process is about to end."""
        if wait <= 0:
            return False
        if wait > PATIENCE_SECONDS:
            return True
        await asyncio.sleep(wait)
        return self._stopping.is_set()

    async def _settle_for_ever(self) -> None:
        ending = False
        while not ending:
            found = [await self._ended.get()]
            while len(found) < SETTLE_BATCH and not self._ended.empty():
                found.append(self._ended.get_nowait())
            batch = [ended for ended in found if ended is not None]
            ending = len(batch) < len(found)
            try:
                await self._settle(batch)
            except Exception:  # the loop's edge: what is not settled counts as in doubt when its claim runs out
                log.exception("settlements_failed", messages=len(batch))

    async def _settle(self, batch: list[_Ended]) -> None:
        """Settle as soon as PostgreSQL is there; what was sent must not be sent again. Then let others go."""
        settlements = [ended.settlement for ended in batch]
        if not settlements:
            return
        settled = await self._patiently(lambda: self._settled(settlements))
        for ended in batch:
            if ended.settlement.state in {"sent", "failed", "held"}:
                for response in reversed(self._blocked.pop(ended.response.conversation_id, [])):
                    self._enqueue(response, first=True)
        bad = [_news(ended) for ended in batch if ended.settlement.state in {"failed", "held"}]
        await streams.announce_all(self._redis, [news for news in bad if news[1]["data"]["message_id"] in settled])

    async def _settled(self, settlements: list[Settlement]) -> set[str]:
        async with self._database.single_across_tenants() as connection:
            return await deliveries.settle(connection, self._token, settlements)

    async def _patiently(self, statement: Callable[[], Awaitable[Result]]) -> Result:
        """The result, as soon as PostgreSQL is there to give it."""
        pause = 0.1
        while True:
            try:
                return await statement()
            except DATABASE_ERRORS as error:
                log.warning("database_unavailable", error=str(error)[:200], retry_in=pause)
                await asyncio.sleep(pause)
                pause = min(pause * 2, 3.0)


def _decoded(entry: streams.Entry) -> OutboundResponse:
    response = entry.decode(OutboundResponse)
    UUID(response.message_id)
    return response


def _news(ended: _Ended) -> streams.Announcement:
    """What agents are told at once: a message does not go through."""
    settlement = ended.settlement
    data = {"message_id": settlement.message_id, "status": settlement.state, "error": settlement.error}
    return streams.live_channel(ended.response.tenant_id), {"type": "delivery.updated", "data": data}
