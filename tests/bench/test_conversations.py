"""Whether lost and doubled answers are noticed, against a gateway that loses and doubles on purpose."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import aiohttp
import pytest
from aiohttp import web

from bench import conversations
from bench.conversations import GraphAPI, Outcome, Pace, converse, graph_api
from services.local.engines import free_port

NUMBER = "100"


@dataclass(frozen=True)
class Account:
    """Where the webhooks go."""

    phone_number_id: str = NUMBER
    path: str = "/webhooks/whatsapp/1"


@asynccontextmanager
async def gateway(graph_port: int, answers: int) -> AsyncIterator[int]:
    """Answers each message so many times, 20 ms after it came."""
    tasks: set[asyncio.Task[None]] = set()

    async def answer(to: str) -> None:
        await asyncio.sleep(0.02)
        async with aiohttp.ClientSession() as http:
            for _ in range(answers):
                body = {"to": f"+{to}", "type": "text", "text": {"body": "an answer"}}
                await http.post(f"http://127.0.0.1:{graph_port}/v21.0/{NUMBER}/messages", json=body)

    async def take(request: web.Request) -> web.Response:
        value = json.loads(await request.read())["entry"][0]["changes"][0]["value"]
        tasks.add(asyncio.create_task(answer(value["messages"][0]["from"])))
        return web.Response()

    application = web.Application()
    application.router.add_post(Account.path, take)
    runner = web.AppRunner(application)
    await runner.setup()
    port = free_port()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    try:
        yield port
    finally:
        await asyncio.gather(*tasks)
        await runner.cleanup()


async def held(answers: int, monkeypatch: pytest.MonkeyPatch) -> Outcome:
    monkeypatch.setattr(conversations, "DRAIN_SECONDS", 0.5)
    monkeypatch.setattr(conversations, "LINGER_SECONDS", 0.2)
    graph_port = free_port()
    async with graph_api(graph_port) as graph, gateway(graph_port, answers) as port:
        return await _converse(port, graph)


async def _converse(port: int, graph: GraphAPI) -> Outcome:
    pace = Pace(conversations=3, pause=0.1, warm_up=0.2, measured=0.6)
    return await converse(port, [Account()], graph, pace, ideal_ms=0, meter_pids={})


async def test_answers_are_timed_from_the_webhook(monkeypatch: pytest.MonkeyPatch) -> None:
    outcome = await held(1, monkeypatch)
    assert outcome.turns > 3
    assert outcome.overhead(0.5) >= 20
    assert (outcome.lost, outcome.doubled, outcome.refused) == (0, 0, 0)


async def test_a_second_answer_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    outcome = await held(2, monkeypatch)
    assert outcome.doubled > 0


async def test_a_missing_answer_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    outcome = await held(0, monkeypatch)
    assert outcome.lost == outcome.sent == 3
