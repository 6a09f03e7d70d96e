"""Messages out: off the stream, claimed in PostgreSQL, sent once, settled in PostgreSQL.

The database decides what may go (docs/adr/0003): a reply that a newer message or a person overtook is void, a message
waits for the earlier ones of its conversation, and two senders never hold the same one. A send whose answer was lost
stays in doubt until the platform's own status settles it, or until waiting longer would leave the customer unanswered.
"""

import asyncio
from collections import defaultdict
from collections.abc import Mapping
from uuid import UUID

import aiohttp
import msgspec
import structlog
from prometheus_client import Counter, Gauge, Histogram
from redis.asyncio import Redis

from packages.core import streams, tracing
from packages.core.config import DeliverySettings
from packages.core.db.base import new_id
from packages.core.db.repositories import deliveries
from packages.core.db.repositories.deliveries import Claimed, Settlement
from packages.core.db.session import DATABASE_ERRORS, Database
from packages.core.domain.messages import OutboundResponse
from packages.core.errors import Unavailable
from services.channel_gateway.channels import Channel, SendResult
from services.channel_gateway.composition import compose
from services.channel_gateway.directory import Directory

log = structlog.get_logger(__name__)

SENDS = Counter("parley_sends_total", "Sends by channel and how they ended", ["channel", "outcome"])
SECONDS = Histogram(
    "parley_send_seconds",
    "Time that platforms take to accept a message",
    ["channel"],
    buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
DOUBTFUL = Counter("parley_sends_repeated_in_doubt_total", "Sends repeated although the first may have arrived")
VOIDED = Counter("parley_replies_voided_total", "Replies not sent, because a newer message or a person came first")
IN_FLIGHT = Gauge("parley_sends_in_flight", "Sends waiting for a platform's answer")

MAX_IN_FLIGHT = 256
SETTLE_BATCH = 200
CLAIM_MARGIN_SECONDS = 5.0


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
    ) -> None:
        self._database = database
        self._redis = redis
        self._directory = directory
        self._channels = channels
        self._http = http
        self._settings = settings
        self._token = new_id()
        self._consumer = streams.Consumer(redis, streams.OUTBOUND, "gateway", count=100, idle_ms=10_000)
        self._tasks: set[asyncio.Task[None]] = set()
        self._places = asyncio.Semaphore(MAX_IN_FLIGHT)
        self._settlements: asyncio.Queue[Settlement] = asyncio.Queue(4 * MAX_IN_FLIGHT)
        self._conversations: dict[str, str] = {}
        self._waiting: defaultdict[str, list[OutboundResponse]] = defaultdict(list)

    async def run(self) -> None:
        """Deliver until `stop`; returns when the sends in hand are settled."""
        settler = asyncio.create_task(self._settle_for_ever())
        try:
            async for entries in self._consumer.batches():
                try:
                    await self._handle(entries)
                except Exception:  # the sender loop's edge: the entries stay pending and come again
                    log.exception("outbound_batch_failed", entries=len(entries))
                    await asyncio.sleep(1)
        finally:
            if self._tasks:
                await asyncio.wait(self._tasks, timeout=self._settings.timeout_seconds)
            await self._flush()
            settler.cancel()

    async def stop(self) -> None:
        """Take no more messages; `run` returns soon."""
        self._consumer.stop()

    async def _handle(self, entries: list[streams.Entry]) -> None:
        responses: list[OutboundResponse] = []
        for entry in entries:
            try:
                responses.append(_decoded(entry))
            except (msgspec.MsgspecError, ValueError) as error:
                await self._consumer.set_aside(entry, f"undecodable: {error}")
        await self._claim_patiently(responses)
        await self._consumer.done(entries)

    async def _claim_patiently(self, responses: list[OutboundResponse]) -> None:
        """Claim as soon as PostgreSQL is there; meanwhile the entries stay unacknowledged."""
        pause = 0.1
        while True:
            try:
                return await self._claim(responses)
            except DATABASE_ERRORS as error:
                log.warning("database_unavailable", error=str(error)[:200], retry_in=pause)
                await asyncio.sleep(pause)
                pause = min(pause * 2, 3.0)

    async def _claim(self, responses: list[OutboundResponse]) -> None:
        if not responses:
            return
        holds = {UUID(response.message_id): self._hold(response.channel_config_id) for response in responses}
        async with self._database.single_across_tenants() as connection:
            claims = await deliveries.claim(connection, holds, self._token)
        for response in claims.voided:
            VOIDED.inc()
            log.info("reply_voided", conversation_id=response.conversation_id, message_id=response.message_id)
        for response in claims.blocked:
            self._waiting[response.conversation_id].append(response)
        for item in claims.claimed:
            await self._places.acquire()
            task = asyncio.create_task(self._deliver(item))
            self._tasks.add(task)
            task.add_done_callback(self._delivered)
        IN_FLIGHT.set(len(self._tasks))

    def _hold(self, channel_config_id: str) -> float:
        """Seconds until a claim that was never settled may be repeated: longer where a repeat could show twice."""
        account = self._directory.by_id(channel_config_id)
        channel = self._channels.get(account.kind) if account else None
        patience = self._settings.timeout_seconds + CLAIM_MARGIN_SECONDS
        if channel and channel.capabilities.idempotent_send:
            return patience
        return patience + self._settings.in_doubt_seconds

    def _delivered(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._places.release()

    async def _deliver(self, item: Claimed) -> None:
        response = item.response
        with tracing.span("send", response.traceparent, message_id=response.message_id):
            result = await self._send(item)
        self._conversations[response.message_id] = response.conversation_id
        await self._settlements.put(self._settlement(item, result))

    async def _send(self, item: Claimed) -> SendResult:
        """One attempt through the channel, within the time limit."""
        response = item.response
        try:
            account = await self._directory.find(response.channel_config_id)
        except Unavailable as error:
            return SendResult(outcome="retry", code=error.code, reason=error.message)
        channel = self._channels.get(account.kind) if account else None
        if account is None or channel is None:
            return SendResult(outcome="failed", code="no_channel", reason="The channel was removed or switched off.")
        if item.in_doubt:
            DOUBTFUL.inc()
            log.warning("send_repeated_in_doubt", message_id=response.message_id, attempt=item.attempts)
        started = asyncio.get_running_loop().time()
        try:
            async with asyncio.timeout(self._settings.timeout_seconds):
                for part in compose(response, channel.capabilities):
                    result = await channel.send(part, account, self._http)
                    if result.outcome != "sent":
                        break
        except TimeoutError:
            result = SendResult(outcome="in_doubt", code="timeout", reason="The platform did not answer in time.")
        except Exception as error:  # one send's edge: an adapter's fault must not stop the others
            log.exception("send_crashed", channel=account.kind, message_id=response.message_id)
            result = SendResult(outcome="retry", code="adapter_error", reason=f"{type(error).__name__}: {error}"[:300])
        SECONDS.labels(account.kind).observe(asyncio.get_running_loop().time() - started)
        SENDS.labels(account.kind, result.outcome).inc()
        return result

    def _settlement(self, item: Claimed, result: SendResult) -> Settlement:
        message_id = item.response.message_id
        error = {"code": result.code, "message": result.reason} if result.code or result.reason else None
        if result.outcome == "sent":
            return Settlement(message_id=message_id, state="sent", external_id=result.external_id)
        if result.outcome == "failed" or item.attempts >= self._settings.max_attempts:
            log.warning("send_failed", message_id=message_id, code=result.code, reason=result.reason)
            return Settlement(message_id=message_id, state="failed", error=error)
        if result.outcome == "in_doubt":
            return Settlement(
                message_id=message_id, state="sending", error=error, delay=self._settings.in_doubt_seconds
            )
        delay = result.retry_after if result.retry_after is not None else min(60.0, 0.5 * 2**item.attempts)
        return Settlement(message_id=message_id, state="retry", error=error, delay=delay)

    async def _settle_for_ever(self) -> None:
        while True:
            first = await self._settlements.get()
            batch = [first]
            while len(batch) < SETTLE_BATCH and not self._settlements.empty():
                batch.append(self._settlements.get_nowait())
            await self._settle_patiently(batch)

    async def _settle_patiently(self, batch: list[Settlement]) -> None:
        """Settle as soon as PostgreSQL is there; what was sent must not be sent again."""
        pause = 0.1
        while True:
            try:
                async with self._database.single_across_tenants() as connection:
                    await deliveries.settle(connection, self._token, batch)
                break
            except DATABASE_ERRORS as error:
                log.warning("database_unavailable", error=str(error)[:200], retry_in=pause)
                await asyncio.sleep(pause)
                pause = min(pause * 2, 3.0)
        await self._unblock(batch)

    async def _unblock(self, batch: list[Settlement]) -> None:
        """Claim what waited for the messages that are settled now."""
        ready: list[OutboundResponse] = []
        for settlement in batch:
            conversation_id = self._conversations.pop(settlement.message_id, "")
            if settlement.state in {"sent", "failed"}:
                ready += self._waiting.pop(conversation_id, [])
        await self._claim_patiently(ready)

    async def _flush(self) -> None:
        """Settle what is left at shut-down."""
        batch: list[Settlement] = []
        while not self._settlements.empty():
            batch.append(self._settlements.get_nowait())
        if batch:
            async with asyncio.timeout(5):
                async with self._database.single_across_tenants() as connection:
                    await deliveries.settle(connection, self._token, batch)


def _decoded(entry: streams.Entry) -> OutboundResponse:
    response = entry.decode(OutboundResponse)
    UUID(response.message_id)
    return response
