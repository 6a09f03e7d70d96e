"""What the simulated Telegram knows outlives its process."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio

from services.channel_gateway.simulator.platforms.telegram.state import State
from services.channel_gateway.simulator.records import SCHEMA, Records
from services.channel_gateway.simulator.store import Store


@pytest_asyncio.fixture
async def records(tmp_path: Path) -> AsyncIterator[Records]:
    found = Records(Store(tmp_path / "simulator.sqlite3", SCHEMA))
    yield found
    await found.close()


async def reborn(records: Records) -> State:
    state = State(records)
    await state.load()
    return state


async def test_numbers_rise_across_processes(records: Records) -> None:
    first = await reborn(records)
    given = [await first.numbers() for _ in range(3)] + [await first.numbers(5)]
    assert given == [1, 2, 3, 4]
    assert await (await reborn(records)).numbers() > 8


async def test_chats_and_webhooks_are_remembered(records: Records) -> None:
    state = await reborn(records)
    await state.meet(7, {"id": -5, "type": "group"})
    await state.meet(7, {"id": -5, "type": "group", "title": "Club"}, blocked=True)
    await state.set_webhook(7, {"url": "https://shop.example/", "allowed_updates": ["message"]})
    await state.set_webhook(7, {"url": "https://other.example/", "allowed_updates": None})
    again = await reborn(records)
    assert again.chat(7, -5) == {"id": -5, "type": "group", "title": "Club", "blocked": True}
    assert again.chat(8, -5) is None
    assert again.webhook(7) == {"url": "https://other.example/", "allowed_updates": ["message"]}
    assert (again.wanted(7, "message"), again.wanted(7, "callback_query")) == (True, False)


async def test_reactions_have_to_be_asked_for(records: Records) -> None:
    state = await reborn(records)
    assert state.wanted(7, "message_reaction")
    await state.set_webhook(7, {"url": "https://shop.example/"})
    assert (state.wanted(7, "message"), state.wanted(7, "message_reaction")) == (True, False)
