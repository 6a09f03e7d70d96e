"""One turn of each conversation that waits for the bot: claim, decide, commit, publish.

Any number of processes may run this loop. PostgreSQL hands each due conversation to one of them under a lease that is
renewed while it works; a turn whose process died is taken over when the lease runs out.
"""

import asyncio
from collections import Counter as Tally
from uuid import UUID

import structlog
from prometheus_client import Counter, Gauge, Histogram
from redis.asyncio import Redis

from packages.core import streams, tracing
from packages.core.config import Settings
from packages.core.db.repositories import deliveries
from packages.core.db.session import DATABASE_ERRORS, Database
from packages.core.domain.messages import Signal
from packages.core.logging import bound
from services.orchestrator import turns_sql
from services.orchestrator.engine import handover
from services.orchestrator.engine.turn import Engine, HistoryMessage
from services.orchestrator.relay import Relay
from services.orchestrator.turns_sql import DueTurn, LostLease, Reply

log = structlog.get_logger(__name__)

TURNS = Counter("parley_turns_total", "Turns by how they ended", ["outcome"])
SECONDS = Histogram(
    "parley_turn_seconds",
    "Time from the claim of a turn to its commit",
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)
ACTIVE = Gauge("parley_turns_active", "Turns being worked on in this process")
POLL_SECONDS = 0.5
SHARE_OF_ONE_TENANT = 0.75
TYPING_AFTER_SECONDS = 2.0


class Turns:
    """The loop that answers."""

    def __init__(self, database: Database, redis: Redis, engine: Engine, relay: Relay, settings: Settings) -> None:
        self._database = database
        self._redis = redis
        self._engine = engine
        self._relay = relay
        self._turn = settings.turn
        self._delivery = settings.delivery
        self._due = asyncio.Event()
        self._stopping = asyncio.Event()
        self._active: dict[asyncio.Task[None], DueTurn] = {}
        self._signals: set[asyncio.Task[None]] = set()

    def wake(self, seconds: float) -> None:
        """Look for due turns in `seconds`, instead of at the next poll."""
        asyncio.get_running_loop().call_later(seconds + 0.001, self._due.set)

    async def run(self) -> None:
        """Answer until `stop`; returns when the turns in hand are finished or given back."""
        keeper = asyncio.create_task(self._keep())
        try:
            while not self._stopping.is_set():
                try:
                    found = await self._claim()
                except DATABASE_ERRORS as error:
                    log.warning("claim_failed", error=str(error)[:200])
                    found = 0
                if found == 0 or self._free() == 0:
                    await self._sleep()
        finally:
            await self._drain()
            keeper.cancel()

    def stop(self) -> None:
        """Take no more turns; `run` returns soon."""
        self._stopping.set()
        self._due.set()

    def _free(self) -> int:
        return self._turn.concurrency - len(self._active)

    async def _sleep(self) -> None:
        try:
            await asyncio.wait_for(self._due.wait(), POLL_SECONDS)
        except TimeoutError:
            return
        finally:
            self._due.clear()

    async def _claim(self) -> int:
        slots = self._free()
        if slots == 0:
            return 0
        async with self._database.single_across_tenants() as connection:
            turns = await turns_sql.claim(
                connection, slots=slots, lease_seconds=self._turn.lease_seconds, busy=self._busy_tenants()
            )
        for turn in turns:
            task = asyncio.create_task(self._take(turn))
            self._active[task] = turn
            task.add_done_callback(self._done)
        ACTIVE.set(len(self._active))
        return len(turns)

    def _busy_tenants(self) -> list[UUID]:
        """Tenants with so many turns under way here that the remaining places are kept for others."""
        share = max(1, int(self._turn.concurrency * SHARE_OF_ONE_TENANT))
        running = Tally(turn.tenant_id for turn in self._active.values())
        return [tenant_id for tenant_id, count in running.items() if count >= share]

    def _done(self, task: asyncio.Task[None]) -> None:
        was_full = self._free() == 0
        self._active.pop(task, None)
        ACTIVE.set(len(self._active))
        if was_full:
            self._due.set()

    async def _take(self, turn: DueTurn) -> None:
        """One turn, from claim to publication."""
        started = asyncio.get_running_loop().time()
        with (
            bound(tenant_id=turn.tenant_id, conversation_id=turn.conversation_id),
            tracing.span("turn", turn.traceparent, conversation_id=str(turn.conversation_id)),
        ):
            try:
                outcome = await self._answer(turn)
            except LostLease:
                outcome = "lost"
            except asyncio.CancelledError:
                raise
            except DATABASE_ERRORS as error:
                outcome = "postponed"
                await self._give_back(turn, error)
            except Exception as error:  # one turn's edge: the others go on, this one is tried again
                log.exception("turn_failed", attempt=turn.attempts)
                outcome = await self._failed(turn, error)
        TURNS.labels(outcome).inc()
        SECONDS.observe(asyncio.get_running_loop().time() - started)

    async def _answer(self, turn: DueTurn) -> str:
        typing = {"type": "typing", "data": {"conversation_id": str(turn.conversation_id), "author": "bot"}}
        await streams.announce(self._redis, streams.live_channel(str(turn.tenant_id)), typing)
        patience = asyncio.get_running_loop().call_later(TYPING_AFTER_SECONDS, self._show_typing, turn)
        try:
            reply = await self._decide(turn)
        finally:
            patience.cancel()
        if reply is None:
            async with self._database.direct(turn.tenant_id) as transaction:
                await turns_sql.drop(transaction, turn)
            return "nothing to answer"
        return await self._commit(turn, reply)

    def _show_typing(self, turn: DueTurn) -> None:
        """Let the customer's platform show that an answer is on its way; it takes longer than people like to wait."""
        heard = next((message for message in reversed(turn.messages) if message.is_open), None)
        signal = Signal(
            kind="typing",
            channel_config_id=str(turn.channel_config_id),
            recipient=turn.recipient,
            external_id=heard.external_id if heard else None,
        )
        task = asyncio.create_task(streams.show(self._redis, signal))
        self._signals.add(task)
        task.add_done_callback(self._signals.discard)

    async def _decide(self, turn: DueTurn) -> Reply | None:
        """What to say to all messages that are still open, taken together."""
        open_messages = [message for message in turn.messages if message.is_open]
        if not open_messages:
            return None
        question = "\n".join(words for message in open_messages if (words := message.words))
        before = [message for message in turn.messages if not message.is_open]
        if not question:
            return handover.cannot_read(turn.brand, [message.kind for message in open_messages])
        history = [HistoryMessage(author=message.author, text=words) for message in before if (words := message.seen)]
        answer = await self._engine.answer(turn.brand, question, history)
        return handover.reply(answer)

    async def _commit(self, turn: DueTurn, reply: Reply) -> str:
        async with self._database.single_across_tenants() as connection:
            response = await turns_sql.commit(
                connection,
                turn,
                reply,
                max_voids=self._turn.max_voids,
                offer_seconds=self._turn.offer_seconds,
                republish_seconds=self._delivery.republish_seconds,
            )
        if response is None:
            self.wake(0)
            return "void"
        data = {"id": response.message_id, "conversation_id": response.conversation_id, "text": response.text}
        event = {"type": "message.sent", "data": data | {"direction": "outbound", "author": response.author}}
        await self._relay.publish([response], [(streams.live_channel(response.tenant_id), event)])
        return "handed over" if reply.hand_over else "answered"

    async def _give_back(self, turn: DueTurn, error: BaseException) -> None:
        """The turn is due again after a pause that grows with its attempts. If even that fails, its lease runs out."""
        delay = min(30.0, 0.5 * 2**turn.attempts)
        try:
            async with self._database.direct(turn.tenant_id) as transaction:
                await turns_sql.release(transaction, [turn], delay=delay, error=f"{type(error).__name__}: {error}")
        except DATABASE_ERRORS as second:
            log.warning("turn_not_released", error=str(second)[:200])

    async def _failed(self, turn: DueTurn, error: Exception) -> str:
        """Try again some times; then the customer is told, and a person is asked for."""
        if turn.attempts < self._turn.max_attempts:
            await self._give_back(turn, error)
            return "failed"
        question = "\n".join(message.words for message in turn.messages if message.is_open)
        try:
            return await self._commit(turn, handover.bot_failed(turn.brand, question))
        except (LostLease, *DATABASE_ERRORS) as second:
            await self._give_back(turn, second)
            return "failed"

    async def _keep(self) -> None:
        """Renew the leases of the turns in hand, and take back offers to people that nobody took."""
        while True:
            await asyncio.sleep(self._turn.lease_seconds / 3)
            try:
                if self._active:
                    async with self._database.direct_across_tenants() as transaction:
                        turns = list(self._active.values())
                        await turns_sql.renew(transaction, turns, lease_seconds=self._turn.lease_seconds)
                await self._take_back_offers()
            except DATABASE_ERRORS as error:
                log.warning("keeping_failed", error=str(error)[:200])

    async def _take_back_offers(self) -> None:
        async with self._database.direct_across_tenants() as transaction:
            expired = await turns_sql.take_back_expired_offers(transaction)
            responses = [
                await deliveries.queue(
                    transaction,
                    deliveries.Draft(
                        tenant_id=row.tenant_id,
                        brand_id=row.brand_id,
                        conversation_id=row.id,
                        channel_config_id=row.channel_config_id,
                        recipient=row.recipient,
                        author="system",
                        text=handover.nobody_came(row.locale),
                    ),
                    republish_seconds=self._delivery.republish_seconds,
                )
                for row in expired
            ]
        if responses:
            await self._relay.publish(responses)

    async def _drain(self) -> None:
        """Let the turns in hand finish; what takes longer is given back for another process."""
        if not self._active:
            return
        await asyncio.wait(self._active, timeout=8)
        left = dict(self._active)
        for task in left:
            task.cancel()
        if left:
            await asyncio.wait(left, timeout=1)
            async with self._database.direct_across_tenants() as transaction:
                await turns_sql.release(transaction, list(left.values()), delay=0)
