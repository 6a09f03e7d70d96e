"""Live events over a real port: one Redis subscription, fanned out."""

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID

import httpx
import msgspec
import pytest
import pytest_asyncio
from redis.asyncio import Redis

from packages.core import streams
from packages.core.db.base import new_id
from services.orchestrator.intake import Intake
from services.orchestrator.live.hub import QUEUED, RESYNC, Hub, Watch
from services.orchestrator.live.shutdown import on_termination
from tests.factories.companies import Company, Installation
from tests.factories.pipeline import make_channel, message_event
from tests.factories.servers import served


@pytest_asyncio.fixture
async def url(installation: Installation) -> AsyncIterator[str]:
    async with served(installation.app) as url:
        yield url


@asynccontextmanager
async def watching(url: str, company: Company) -> AsyncIterator[AsyncIterator[str]]:
    """The lines of an open stream, after its greeting."""
    headers = {"Authorization": company.viewer.headers["Authorization"]}
    async with (
        httpx.AsyncClient(base_url=url, headers=headers, timeout=10) as client,
        client.stream("GET", "/v1/stream") as answer,
    ):
        assert answer.status_code == 200
        assert answer.headers["Content-Type"].startswith("text/event-stream")
        lines = answer.aiter_lines()
        assert await anext(lines) == ": connected"
        yield lines


async def data_of(lines: AsyncIterator[str], kind: str) -> object:
    """The data of the next event of a kind."""
    async with asyncio.timeout(10):
        async for line in lines:
            if line == f"event: {kind}":
                return msgspec.json.decode((await anext(lines)).removeprefix("data: "))["data"]
    raise AssertionError("the stream ended")


async def say_until_heard(redis: Redis, tenant_id: UUID, event: dict[str, object], done: asyncio.Task[object]) -> None:
    """A subscription takes a moment to hold; what is said before is not heard."""
    while not done.done():
        await streams.announce(redis, streams.live_channel(str(tenant_id)), event)
        await asyncio.sleep(0.05)


class TestStream:
    async def test_carries_ones_own_events(self, url: str, acme: Company, rival: Company, redis: Redis) -> None:
        async with watching(url, acme) as lines, watching(url, rival) as others:
            heard = asyncio.create_task(data_of(lines, "message.sent"))
            await say_until_heard(redis, acme.tenant_id, {"type": "message.sent", "data": {"id": "1"}}, heard)
            assert heard.result() == {"id": "1"}
            unheard = asyncio.create_task(data_of(others, "message.sent"))
            await asyncio.sleep(0.3)
            assert not unheard.done()
            unheard.cancel()

    async def test_carries_what_agents_do(self, url: str, acme: Company, installation: Installation) -> None:
        channel = await make_channel(installation.database, acme.owner)
        async with watching(url, acme) as lines:
            await asyncio.sleep(0.3)  # until the subscription holds
            taken = (await installation.parts.get(Intake).take([message_event(acme.owner, channel)]))[0]
            received = await data_of(lines, "message.received")
            await acme.agent.post(f"/v1/conversations/{taken.conversation_id}/takeover")
            changed = await data_of(lines, "conversation.updated")
        assert isinstance(received, dict)
        assert isinstance(changed, dict)
        assert received["conversation_id"] == str(taken.conversation_id)
        assert (changed["owner"], changed["assignee_id"]) == ("human", str(acme.agent_id))

    async def test_shows_that_it_lives(self, url: str, acme: Company) -> None:
        async with watching(url, acme) as lines, asyncio.timeout(10):
            async for line in lines:
                if line == ": alive":
                    break

    async def test_needs_a_token(self, url: str) -> None:
        async with httpx.AsyncClient(base_url=url) as client:
            assert (await client.get("/v1/stream")).status_code == 401


class TestWatch:
    async def test_slow_one_is_told_to_look_anew(self) -> None:
        watch = Watch()
        for number in range(QUEUED + 1):
            watch.push(str(number).encode())
        assert await watch.next(1) == RESYNC
        assert await watch.next(1) == str(QUEUED).encode()

    async def test_nothing_happens(self) -> None:
        with pytest.raises(TimeoutError):
            await Watch().next(0.01)


class TestHub:
    async def test_comes_back_after_its_connection_broke(self, redis: Redis) -> None:
        hub = Hub(redis)
        running = asyncio.create_task(hub.run())
        tenant_id = new_id()
        async with hub.watch(tenant_id) as watch:
            assert await watch.next(5) == RESYNC
            await redis.client_kill_filter(_type="pubsub")
            heard = asyncio.create_task(_next_other_than(watch, RESYNC))
            await say_until_heard(redis, tenant_id, {"type": "x", "data": {}}, heard)
            assert heard.result() == b'{"type":"x","data":{}}'
            hub.stop()
            assert await _next_other_than(watch, b'{"type":"x","data":{}}') is None
        await asyncio.wait_for(running, 5)

    async def test_watches_after_the_end_are_over(self, redis: Redis) -> None:
        hub = Hub(redis)
        hub.stop()
        async with hub.watch(new_id()) as watch:
            assert await watch.next(1) is None


async def _next_other_than(watch: Watch, event: bytes) -> bytes | None:
    while True:
        following = await watch.next(10)
        if following not in (event, RESYNC):
            return following


async def test_termination_reaches_the_streams_and_then_who_handled_it_before() -> None:
    heard: list[str] = []
    before = signal.signal(signal.SIGTERM, lambda *_: heard.append("before"))
    try:
        with on_termination(lambda: heard.append("streams")):
            signal.raise_signal(signal.SIGTERM)
            await asyncio.sleep(0.01)
        assert sorted(heard) == ["before", "streams"]
        signal.raise_signal(signal.SIGTERM)
        assert heard.count("streams") == 1
    finally:
        signal.signal(signal.SIGTERM, before)
