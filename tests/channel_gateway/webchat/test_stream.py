"""The event stream: nothing missed, nothing twice, whatever breaks."""

import asyncio
from contextlib import AsyncExitStack

import pytest
from redis.asyncio import Redis

from packages.core import streams
from packages.core.domain.messages import OutboundResponse
from services.channel_gateway.webchat.rooms import Rooms
from tests.channel_gateway.conftest import Gateway
from tests.channel_gateway.webchat.conftest import Browser, Talk, open_browser


async def deliver(talk: Talk, message_id: object) -> None:
    """What a sender does with a reply: hand it to the channel's adapter."""
    gateway = talk.browser.gateway
    parts = gateway.app.state.parts
    account = parts.directory.by_id(talk.browser.base.rsplit("/", 1)[1])
    response = OutboundResponse(
        message_id=str(message_id),
        tenant_id=str(talk.owner.tenant_id),
        brand_id=str(talk.owner.brand_id),
        conversation_id=str(talk.conversation_id),
        channel_config_id=account.id,
        recipient=talk.browser.customer_id,
        author="bot",
        text="",
    )
    result = await parts.channels["webchat"].send(response, account, parts.http)
    assert result.outcome == "sent"


async def test_catches_up_from_the_given_number(browser: Browser, talk: Talk) -> None:
    first = await talk.add("customer", "one")
    await talk.add("bot", "two")
    async with browser.stream() as events:
        assert [(await events.next())["data"]["text"] for _ in range(2)] == ["one", "two"]
    async with browser.stream(after=first.seq or 0) as events:
        event = await events.next()
        assert (event["event"], event["data"]["text"], event["id"]) == ("message", "two", str(event["data"]["seq"]))


async def test_resumes_from_the_last_event_id(browser: Browser, talk: Talk) -> None:
    first = await talk.add("customer", "one")
    await talk.add("bot", "two")
    async with browser.stream(last_event_id=str(first.seq)) as events:
        assert (await events.next())["data"]["text"] == "two"


@pytest.mark.parametrize("last_event_id", ["", "x", "-1", "9" * 40, "²"])
async def test_odd_last_event_id(browser: Browser, talk: Talk, last_event_id: str) -> None:
    async with browser.stream(last_event_id=last_event_id) as events:
        assert "connected" in await events.comment()


async def test_reply_shows_as_soon_as_its_sender_released_it(browser: Browser, talk: Talk) -> None:
    await talk.add("customer", "When?")
    async with browser.stream() as events:
        await events.next()
        reply = await talk.add("bot", "Tomorrow.", status="queued")
        await deliver(talk, reply.id)
        event = await events.next(seconds=1.5)
        assert (event["data"]["text"], event["data"]["status"]) == ("Tomorrow.", "sent")


async def test_every_tab_hears(browser: Browser, talk: Talk) -> None:
    async with browser.stream() as first, browser.stream() as second:
        await first.comment()
        await second.comment()
        reply = await talk.add("bot", "Tomorrow.", status="queued")
        await deliver(talk, reply.id)
        for events in (first, second):
            assert (await events.next(seconds=1.5))["data"]["id"] == str(reply.id)


async def test_other_visitors_hear_nothing(gateway: Gateway, channel_id: str, browser: Browser, talk: Talk) -> None:
    other = await open_browser(gateway, channel_id)
    async with other.stream() as events:
        await events.comment()
        reply = await talk.add("bot", "private", status="queued")
        await deliver(talk, reply.id)
        with pytest.raises(TimeoutError):
            await events.next(seconds=0.7)


async def test_finds_what_nobody_announced(browser: Browser, talk: Talk) -> None:
    async with browser.stream() as events:
        await events.comment()
        await talk.add("agent", "quietly stored")
        assert (await events.next(seconds=7))["data"]["text"] == "quietly stored"


async def test_own_message_shows_once_the_tenant_hears_of_it(browser: Browser, talk: Talk, redis: Redis) -> None:
    await talk.add("customer", "first")
    async with browser.stream() as events:
        await events.next()
        await asyncio.sleep(0.7)  # until the tenant's live events are subscribed to
        await talk.add("customer", "second", external_id=f"{browser.customer_id}:c2")
        data = {"id": "x", "conversation_id": str(talk.conversation_id)}
        await streams.announce(
            redis, streams.live_channel(str(talk.owner.tenant_id)), {"type": "message.received", "data": data}
        )
        assert (await events.next(seconds=1.5))["data"]["client_id"] == "c2"


@pytest.mark.parametrize("kind", ["typing", "token"])
async def test_passing_events(browser: Browser, talk: Talk, kind: str) -> None:
    rooms: Rooms = browser.gateway.app.state.desk.rooms
    async with browser.stream() as events:
        await events.comment()
        channel_id = browser.base.rsplit("/", 1)[1]
        await rooms.announce(channel_id, browser.customer_id, {"type": kind, "data": {"text": "Hel"}})
        event = await events.next(seconds=1.5)
        assert (event["event"], event["data"]) == (kind, {"text": "Hel"})
        assert "id" not in event


@pytest.mark.parametrize(
    "payload", [b"{", b"[]", b'{"type": "message"}', b'{"type": "message", "data": 7, "room": "x"}']
)
async def test_unreadable_announcements_do_no_harm(browser: Browser, talk: Talk, redis: Redis, payload: bytes) -> None:
    async with browser.stream() as events:
        await events.comment()
        await redis.publish("parley:webchat", payload)
        reply = await talk.add("bot", "still here", status="queued")
        await deliver(talk, reply.id)
        assert (await events.next(seconds=1.5))["data"]["text"] == "still here"


async def test_too_many_streams_of_one_visitor(browser: Browser) -> None:
    async with AsyncExitStack() as tabs:
        for _ in range(8):
            await tabs.enter_async_context(browser.stream())
        answer = await browser.gateway.call("GET", f"{browser.base}/stream", headers=browser.headers)
        assert answer.status == 429


async def test_a_closed_tab_frees_its_seat(browser: Browser) -> None:
    rooms: Rooms = browser.gateway.app.state.desk.rooms
    room = f"{browser.base.rsplit('/', 1)[1]}:{browser.customer_id}"
    async with browser.stream() as events:
        await events.comment()
        assert rooms.occupied(room) == 1
    for _ in range(100):
        if not rooms.occupied(room):
            break
        await asyncio.sleep(0.02)
    assert rooms.occupied(room) == 0
