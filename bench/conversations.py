"""Customers of many brands who write, wait for the answer, pause, and write again.

Webhooks go to a gateway; answers are awaited at a stand-in for the Graph API that runs here. Every answer is accounted
for: one that never comes is lost, one that nobody waits for is doubled.
"""

import asyncio
import itertools
import json
import random
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Protocol

import aiohttp
from aiohttp import web

from bench import payloads
from bench.http_load import percentile
from bench.processes import CPUMeter

DRAIN_SECONDS = 180.0
"""An answer that takes longer counts as lost."""
LINGER_SECONDS = 1.0
_TOPICS = (
    "an order",
    "a parcel",
    "a subscription",
    "a refund",
    "a grinder",
    "a bag of beans",
    "an invoice",
    "delivery",
)
_PLACES = ("Bristol", "Cardiff", "Leeds", "Dublin", "Paris", "Berlin", "Madrid", "Oslo", "Vienna", "Rome", "Porto")
_REASONS = ("it is late", "I moved", "it broke", "I changed my mind", "the bag is torn", "I am away", "it is a gift")
_WHEN = ("today", "tomorrow", "this week", "next week", "this month", "before Monday", "after Friday", "soon")
_runs = itertools.count(int(time.time()) % 100_000 * 100)


class Account(Protocol):
    """Where a brand's webhooks go, and the number that they name."""

    @property
    def phone_number_id(self) -> str:
        """The brand's WhatsApp number, in Meta's words."""

    @property
    def path(self) -> str:
        """The path of its webhook."""


@dataclass(slots=True)
class Pace:
    """How the customers behave, in seconds.

    Args:
        conversations: of each brand.
        pause: between an answer and the next message.
        warm_up: before anything counts.
        measured: how long it counts.
    """

    conversations: int
    pause: float
    warm_up: float
    measured: float
    users: Sequence[str] | None = None


@dataclass(slots=True)
class Outcome:
    """What came of it. `overheads` in ms beside the language model's time; CPU in seconds by process."""

    sent: int = 0
    answered: int = 0
    doubled: int = 0
    refused: int = 0
    texts: set[str] = field(default_factory=set)
    overheads: list[float] = field(default_factory=list)
    acknowledgements: list[float] = field(default_factory=list)
    turns: int = 0
    seconds: float = 0.0
    cpu: dict[str, float] = field(default_factory=dict)

    @property
    def lost(self) -> int:
        """Messages that were never answered."""
        return self.sent - self.answered

    @property
    def rate(self) -> float:
        """Turns a second."""
        return self.turns / self.seconds

    def cpu_per_turn(self, *names: str) -> float:
        """CPU of the named processes, in ms."""
        return sum(self.cpu[name] for name in names) / max(1, self.turns) * 1000

    def overhead(self, share: float) -> float:
        """The time beside the language model's that this share of the turns stayed below, in ms."""
        return percentile(self.overheads, share)


class GraphAPI:
    """Takes what the senders send, and tells who waits for it."""

    def __init__(self) -> None:
        self.waiting: dict[tuple[str, str], asyncio.Future[tuple[float, str]]] = {}
        self.unexpected = 0
        self._ids = itertools.count()

    async def take(self, request: web.Request) -> web.Response:
        """POST /{version}/{phone number id}/messages."""
        arrived = time.perf_counter()
        body = json.loads(await request.read())
        if body.get("status") == "read":  # a read mark, or typing: shown, and no answer
            return web.json_response({"success": True})
        place = (request.match_info["number"], str(body.get("to", "")).lstrip("+"))
        future = self.waiting.get(place)
        if future is None or future.done():
            self.unexpected += 1
        else:
            future.set_result((arrived, body["text"]["body"]))
        message_id = f"wamid.out{time.time_ns():x}{next(self._ids)}"
        answer = {"messaging_product": "whatsapp", "messages": [{"id": message_id}]}
        return web.json_response(answer)


@asynccontextmanager
async def graph_api(port: int) -> AsyncIterator[GraphAPI]:
    """Serve the stand-in for as long as the block lasts."""
    graph = GraphAPI()
    application = web.Application()
    application.router.add_post("/{version}/{number}/messages", graph.take)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", port).start()
        yield graph
    finally:
        await runner.cleanup()


def question(dice: random.Random) -> str:
    """A question that hardly ever comes twice, about what the demo's articles tell."""
    return (
        f"What do I do about {dice.choice(_TOPICS)} for {dice.choice(_PLACES)} if {dice.choice(_REASONS)} "
        f"and I need {dice.choice(_TOPICS)} {dice.choice(_WHEN)}?"
    )


async def converse(
    port: int, accounts: Sequence[Account], graph: GraphAPI, pace: Pace, *, ideal_ms: float, meter_pids: dict[str, int]
) -> Outcome:
    """Let every brand's customers write until the time is over, then wait for the last answers."""
    outcome, run = Outcome(), next(_runs)
    begin = time.perf_counter()
    window = (begin + pace.warm_up, begin + pace.warm_up + pace.measured)
    unexpected = graph.unexpected
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as http, asyncio.TaskGroup() as writers:
        for brand, account in enumerate(accounts):
            for user in pace.users or [f"44{run:07d}{brand:03d}{n:03d}" for n in range(pace.conversations)]:
                writers.create_task(_customer(http, port, account, user, graph, pace, outcome, window, ideal_ms))
        await asyncio.sleep(window[0] - time.perf_counter())
        meter, metered = CPUMeter(meter_pids), time.perf_counter()
        await asyncio.sleep(window[1] - time.perf_counter())
        outcome.cpu, outcome.seconds = meter.seconds(), time.perf_counter() - metered
        outcome.turns = len(outcome.overheads)
    await asyncio.sleep(LINGER_SECONDS)
    outcome.doubled = graph.unexpected - unexpected
    return outcome


async def _customer(
    http: aiohttp.ClientSession,
    port: int,
    account: Account,
    user: str,
    graph: GraphAPI,
    pace: Pace,
    outcome: Outcome,
    window: tuple[float, float],
    ideal_ms: float,
) -> None:
    dice = random.Random(f"{account.phone_number_id}{user}")  # noqa: S311 - load, no secret
    await asyncio.sleep(dice.random() * min(pace.warm_up, pace.pause + ideal_ms / 1000))
    place = (account.phone_number_id, user)
    while time.perf_counter() < window[1]:
        graph.waiting[place] = asyncio.get_running_loop().create_future()
        body = payloads.whatsapp(
            f"wamid.{user}.{time.time_ns():x}",
            phone_number_id=account.phone_number_id,
            user=user,
            text=question(dice),
        )
        sent = time.perf_counter()
        outcome.sent += 1
        headers = {"Content-Type": "application/json", "X-Hub-Signature-256": payloads.signature(body)}
        async with http.post(f"http://127.0.0.1:{port}{account.path}", data=body, headers=headers) as answer:
            outcome.refused += answer.status != 200
        acknowledged = time.perf_counter()
        try:
            arrived, text = await asyncio.wait_for(graph.waiting[place], DRAIN_SECONDS)
        except TimeoutError:
            return
        outcome.answered += 1
        outcome.texts.add(text)
        if window[0] <= arrived < window[1]:
            outcome.overheads.append((arrived - sent) * 1000 - ideal_ms)
            outcome.acknowledgements.append((acknowledged - sent) * 1000)
        await asyncio.sleep(pace.pause)
