"""Visitors of a web chat, as browsers behave."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import pytest_asyncio

from services.channel_gateway.simulator.settings import SimulatorSettings
from tests.channel_gateway.simulator.conftest import Account, MakeAccount
from tests.channel_gateway.simulator.gateway_double import eventually
from tests.channel_gateway.simulator.webchat_double import WebChatDouble


@pytest_asyncio.fixture
async def webchat(settings: SimulatorSettings) -> AsyncIterator[WebChatDouble]:
    double = WebChatDouble()
    await double.start()
    settings.public_gateway_url = double.url
    yield double
    await double.stop()


@pytest_asyncio.fixture
async def page(make_account: MakeAccount) -> Account:
    return await make_account("webchat")


async def write(simulator: httpx.AsyncClient, page: Account, text: str, **more: Any) -> dict[str, Any]:
    answer = await simulator.post(f"/simulate/webchat/{page.id}", json={"text": text, "from": "ana", **more})
    assert answer.status_code in (200, 202), answer.text
    result: dict[str, Any] = answer.json()
    return result


async def shown(simulator: httpx.AsyncClient, count: int) -> list[str]:
    """The texts in the visitor's window, once there are so many."""
    async with asyncio.timeout(15):
        while len(items := (await simulator.get("/sent?channel=webchat&to=ana")).json()["items"]) < count:
            await asyncio.sleep(0.02)
    return [item["text"] for item in items]


async def test_visitor_opens_one_session_and_writes_in_order(
    webchat: WebChatDouble, simulator: httpx.AsyncClient, page: Account
) -> None:
    ids = [(await write(simulator, page, str(number)))["external_ids"][0] for number in range(10)]
    await eventually(lambda: len(webchat.taken) == 10)
    assert webchat.taken == [("session-1", id_, str(number)) for number, id_ in enumerate(ids)]


async def test_visitors_have_sessions_of_their_own(
    webchat: WebChatDouble, simulator: httpx.AsyncClient, page: Account
) -> None:
    await write(simulator, page, "a")
    await write(simulator, page, "b", **{"from": "ben"})
    await eventually(lambda: len(webchat.taken) == 2)
    assert len(webchat.sessions) == 2


async def test_unanswered_message_is_repeated_with_its_client_id_before_the_next(
    webchat: WebChatDouble, simulator: httpx.AsyncClient, page: Account
) -> None:
    webchat.answers = [503, 429, 500]
    await write(simulator, page, "first", external_id="c-1")
    await write(simulator, page, "second", external_id="c-2")
    await eventually(lambda: len(webchat.taken) == 2)
    assert [client_id for _token, client_id, _text in webchat.taken] == ["c-1", "c-2"]


async def test_refused_message_does_not_block_the_next(
    webchat: WebChatDouble, simulator: httpx.AsyncClient, page: Account
) -> None:
    webchat.answers = [422]
    await write(simulator, page, "refused")
    await write(simulator, page, "fine")
    await eventually(lambda: webchat.taken)
    assert [text for _token, _id, text in webchat.taken] == ["fine"]


async def test_ended_session_is_opened_anew(
    webchat: WebChatDouble, simulator: httpx.AsyncClient, page: Account
) -> None:
    await write(simulator, page, "a")
    await eventually(lambda: webchat.taken)
    webchat.valid.clear()
    await write(simulator, page, "b")
    await eventually(lambda: len(webchat.taken) == 2)
    assert webchat.taken[1][0] == "session-2"


async def test_answers_are_recorded_once_and_own_messages_are_not(
    webchat: WebChatDouble, simulator: httpx.AsyncClient, page: Account
) -> None:
    await write(simulator, page, "Hello?")
    await eventually(lambda: webchat.streams)
    webchat.say("session-1", "Hello?", author="customer")
    webchat.say("session-1", "Hi, how can I help?")
    assert await shown(simulator, 1) == ["Hi, how can I help?"]
    [item] = (await simulator.get("/sent")).json()["items"]
    assert (item["to"], item["channel_config_id"], item["message_id"]) == ("ana", page.id, "session-1-2")


async def test_answers_given_while_the_stream_was_down_are_caught_up_with(
    webchat: WebChatDouble, simulator: httpx.AsyncClient, page: Account
) -> None:
    await write(simulator, page, "Hello?")
    await eventually(lambda: webchat.streams)
    webchat.say("session-1", "one")
    await shown(simulator, 1)
    webchat.hang_up()
    await eventually(lambda: not webchat.streams)
    webchat.say("session-1", "two")
    await eventually(lambda: webchat.streams)
    webchat.say("session-1", "three")
    assert await shown(simulator, 3) == ["one", "two", "three"]


async def test_forged_session_is_tried_once(
    webchat: WebChatDouble, simulator: httpx.AsyncClient, page: Account
) -> None:
    answer = await write(simulator, page, "let me in", forged=True)
    assert [webhook["status"] for webhook in answer["webhooks"]] == [401]
    assert webchat.taken == []


@pytest.mark.parametrize("body", [{"from": "ana", "message": {"type": "image"}}])
async def test_only_text_can_be_written(
    webchat: WebChatDouble, simulator: httpx.AsyncClient, page: Account, body: dict[str, Any]
) -> None:
    answer = await simulator.post(f"/simulate/webchat/{page.id}", json=body)
    assert answer.status_code == 422
