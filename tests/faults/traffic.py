"""Customers on two channels who write, wait for their answer, and write again; and the books afterwards."""

import asyncio
import random
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from tests.product import Product

QUESTIONS = (
    "I forgot my password, what now?",
    "How do I reset my password?",
    "Do you sell bicycles?",
    "hello",
    "thanks",
)


@dataclass
class Traffic:
    """Conversations at the simulator. `sent` counts messages by customer."""

    product: Product
    accounts: list[tuple[str, str]]
    conversations: int
    messages: int
    seed: int = 1
    sent: Counter[str] = field(default_factory=Counter)
    duplicates: int = 0

    async def run(self) -> None:
        """All conversations at once, each at its own pace."""
        timeout = aiohttp.ClientTimeout(total=30)
        async with aiohttp.ClientSession(timeout=timeout, connector=aiohttp.TCPConnector(limit=50)) as http:
            watcher = asyncio.create_task(self._watch())
            await asyncio.gather(*(self._customer(http, number) for number in range(self.conversations)))
            watcher.cancel()

    def name_of(self, number: int) -> str:
        """The customer's id on the channel."""
        return f"44770090{number:04d}"

    _answered: Counter[str] = field(default_factory=Counter)

    async def _customer(self, http: aiohttp.ClientSession, number: int) -> None:
        dice = random.Random(self.seed * 1000 + number)
        channel, account = self.accounts[number % len(self.accounts)]
        customer = self.name_of(number)
        await asyncio.sleep(dice.random() * 2)
        for place in range(self.messages):
            body = {"from": customer, "text": f"{dice.choice(QUESTIONS)} ({place})", "duplicates": self.duplicates}
            await self._post(http, f"/simulate/{channel}/{account}", body)
            self.sent[customer] += 1
            await self._answer(customer, place + 1, dice)

    async def _post(self, http: aiohttp.ClientSession, path: str, body: dict[str, Any]) -> None:
        async with http.post(self.product.url("simulator") + path, json=body) as answer:
            assert answer.status == 202, await answer.text()

    async def _answer(self, customer: str, wanted: int, dice: random.Random) -> None:
        """Wait for the answer, but not for ever: people write again."""
        for _ in range(int(dice.uniform(4, 12) / 0.25)):
            if self._answered[customer] >= wanted:
                return
            await asyncio.sleep(0.25)

    async def _watch(self) -> None:
        while True:
            try:
                rows = await self.product.sql(
                    "SELECT c.recipient, ci.external_id, count(*) AS n FROM message_log m JOIN conversation c "
                    "ON c.id = m.conversation_id JOIN customer_identity ci ON ci.customer_id = c.customer_id "
                    "WHERE m.answered_by IS NOT NULL GROUP BY 1, 2"
                )
                for row in rows:
                    self._answered[row["recipient"]] = row["n"]
            except OSError:
                pass
            await asyncio.sleep(0.5)


async def settled(product: Product, messages: int, seconds: float) -> None:
    """Wait until all messages are stored and answered, and all replies are settled; else say what is not."""
    until = asyncio.get_running_loop().time() + seconds
    while True:
        (row,) = await product.sql(
            "SELECT (SELECT count(*) FROM message_log WHERE direction = 'inbound') AS stored, "
            "(SELECT count(*) FROM message_log WHERE direction = 'inbound' AND answered_by IS NULL) AS open, "
            "(SELECT count(*) FROM delivery WHERE state IN ('published', 'sending', 'retry')) AS unsettled"
        )
        if row["stored"] >= messages and row["open"] == 0 and row["unsettled"] == 0:
            return
        if asyncio.get_running_loop().time() > until:
            raise AssertionError(f"not settled: {row} of {messages}; {await _unsettled(product)}")
        await asyncio.sleep(0.5)


async def _unsettled(product: Product) -> list[dict[str, Any]]:
    return await product.sql(
        "SELECT c.channel, d.state, d.attempts, d.in_doubt, d.publishes, d.error::text, count(*) AS n "
        "FROM delivery d JOIN channel_config c ON c.id = d.channel_config_id "
        "WHERE d.state IN ('published', 'sending', 'retry', 'failed') GROUP BY 1, 2, 3, 4, 5, 6 "
        "UNION ALL SELECT c.channel, m.status, 0, 0, 0, m.kind || ' ' || COALESCE(p.last_error, ''), count(*) "
        "FROM message_log m JOIN conversation v ON v.id = m.conversation_id "
        "JOIN channel_config c ON c.id = v.channel_config_id LEFT JOIN pending_turn p ON p.conversation_id = v.id "
        "WHERE m.direction = 'inbound' AND m.answered_by IS NULL GROUP BY 1, 2, 6"
    )


@dataclass(frozen=True)
class Books:
    """What PostgreSQL knows, held against what reached the platforms."""

    inbound: int
    unanswered: int
    failed: int
    replies: list[str]
    delivered: list[str]
    out_of_order: list[str]
    doubtful: int

    @property
    def missing(self) -> set[str]:
        """Replies that never reached the platform."""
        return set(self.replies) - set(self.delivered)

    @property
    def doubled(self) -> list[str]:
        """Replies that reached it more than once."""
        return [message_id for message_id, count in Counter(self.delivered).items() if count > 1]

    @property
    def unknown(self) -> set[str]:
        """What reached the platform without being a valid reply."""
        return set(self.delivered) - set(self.replies)


async def books(product: Product) -> Books:
    """Read both sides."""
    rows = await product.sql(
        "SELECT m.id::text, m.seq, m.conversation_id::text AS conversation FROM message_log m "
        "WHERE m.direction = 'outbound' AND m.status <> 'void' ORDER BY m.seq"
    )
    (counts,) = await product.sql(
        "SELECT count(*) AS inbound, count(*) FILTER (WHERE answered_by IS NULL) AS unanswered, "
        "(SELECT count(*) FROM delivery WHERE state = 'failed') AS failed, "
        "(SELECT COALESCE(sum(in_doubt), 0) FROM delivery) AS doubtful FROM message_log WHERE direction = 'inbound'"
    )
    sent = await _sent(product)
    conversation = {row["id"]: row["conversation"] for row in rows}
    place = {row["id"]: row["seq"] for row in rows}
    latest: dict[str, int] = {}
    out_of_order = []
    for message_id in sent:
        key = conversation.get(message_id, "")
        if key and place[message_id] < latest.get(key, 0):
            out_of_order.append(message_id)
        latest[key] = max(latest.get(key, 0), place.get(message_id, 0))
    return Books(
        inbound=counts["inbound"],
        unanswered=counts["unanswered"],
        failed=counts["failed"],
        replies=[row["id"] for row in rows],
        delivered=sent,
        out_of_order=out_of_order,
        doubtful=counts["doubtful"],
    )


async def _sent(product: Product) -> list[str]:
    async with (
        aiohttp.ClientSession() as http,
        http.get(product.url("simulator") + "/sent", params={"limit": "20000"}) as answer,
    ):
        return [item["message_id"] for item in (await answer.json())["items"]]
