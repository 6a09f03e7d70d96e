"""Both sides at once: the gateway and its adapter, against Telegram as the simulator plays it."""

import asyncio
import base64
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import httpx
import msgspec
import pytest
import pytest_asyncio
from pydantic import SecretStr
from redis.asyncio import Redis

from packages.core import streams
from packages.core.config import DeliverySettings, PostgresSettings, RedisSettings
from packages.core.domain.channels import Channel as Account
from packages.core.domain.messages import Button, InboundEvent, InboundMessage, Reaction, Signal
from services.channel_gateway import outside
from services.channel_gateway.app import create_app
from services.channel_gateway.channels import File
from services.channel_gateway.channels.telegram import channel
from services.channel_gateway.settings import GatewaySettings
from services.channel_gateway.simulator.settings import SimulatorSettings
from tests.channel_gateway.simulator.conftest import SECRET_KEY
from tests.channel_gateway.simulator.serving import serving
from tests.channel_gateway.simulator.telegram.conftest import ANA, SECRET, BotAccount, simulate
from tests.conftest import Engines
from tests.contracts.channel import part

GROUP = {"id": -100500, "type": "supergroup", "title": "Club"}


@pytest_asyncio.fixture
async def inbound(engines: Engines, redis: Redis, settings: SimulatorSettings) -> AsyncIterator[Redis]:
    """The Redis into which a running gateway puts events; the simulator's webhooks go to that gateway."""
    gateway_settings = GatewaySettings(
        _env_file=None,
        data_dir=settings.data_dir,
        postgres=PostgresSettings(url=engines.postgres_url),
        redis=RedisSettings(url=engines.redis_url),
        delivery=DeliverySettings(allowed_networks=["127.0.0.0/8"]),
        secret_key=SecretStr(SECRET_KEY),
    )
    async with serving(create_app(gateway_settings)) as url:
        settings.public_gateway_url = url
        yield redis


@pytest_asyncio.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    """The way out as the gateway has it."""
    async with outside.session(["127.0.0.0/8"]) as session:
        yield session


@pytest.fixture
def own(account: BotAccount, simulator: httpx.AsyncClient, settings: SimulatorSettings) -> Account:
    """The account as the gateway's directory would serve it."""
    return Account(
        id=account.id,
        tenant_id="",
        brand_id="",
        kind="telegram",
        name="Example Bot",
        account_id=None,
        credentials=channel.Credentials.model_validate({"bot_token": account.token, "secret_token": SECRET}),
        settings={"api_base": str(simulator.base_url).rstrip("/")},
        webhook_url=f"{settings.gateway_base_url}/webhooks/telegram/{account.id}",
    )


async def messages(redis: Redis, count: int) -> list[InboundMessage]:
    """The messages of the stream, once there are so many."""
    async with asyncio.timeout(15):
        while len(entries := await redis.xrange(streams.INBOUND)) < count:
            await asyncio.sleep(0.02)
    events = [msgspec.json.decode(fields[b"d"], type=InboundEvent) for _id, fields in entries]
    return [event.message for event in events if event.message]


async def test_gateway_takes_updates_once(inbound: Redis, simulator: httpx.AsyncClient, account: BotAccount) -> None:
    answer = await simulate(simulator, account, text="Größe? 👍", name="Alex", duplicates=2)
    assert [webhook["status"] for webhook in answer["webhooks"]] == [200, 200, 200]
    [message] = await messages(inbound, 1)
    assert (message.text, message.external_id) == ("Größe? 👍", answer["external_ids"][0])
    assert (message.sender.external_id, message.sender.name) == (str(ANA), "Alex")


async def test_gateway_refuses_a_forged_one(inbound: Redis, simulator: httpx.AsyncClient, account: BotAccount) -> None:
    answer = await simulate(simulator, account, text="x", forged=True)
    assert answer["webhooks"][0]["status"] == 401
    assert await inbound.xlen(streams.INBOUND) == 0


async def test_kinds_arrive_as_what_they_are(inbound: Redis, simulator: httpx.AsyncClient, account: BotAccount) -> None:
    for content in (
        {"photo": [{"width": 1, "height": 1}], "caption": "look"},
        {"edited_message": {"message_id": 4, "text": "better"}},
        {"message_reaction": {"message_id": 4, "new_reaction": [{"type": "emoji", "emoji": "👍"}]}},
        {"my_chat_member": {"new_chat_member": {"status": "kicked"}}},
        {"chat": GROUP, "text": "/help"},
    ):
        await simulate(simulator, account, message=content)
    found = await messages(inbound, 5)
    assert [message.kind for message in found] == ["image", "edit", "reaction", "member", "text"]
    assert [message.text for message in found[:3]] == ["look", "better", "👍"]
    assert (found[4].conversation_id, found[4].addressed) == ("-100500", True)


async def test_connecting_diagnosing_disconnecting(own: Account, http: aiohttp.ClientSession) -> None:
    before = {finding.check: finding.level for finding in await channel.diagnose(own, http)}
    assert (before["token"], before["webhook"]) == ("ok", "error")
    assert {finding.level for finding in await channel.connect(own, http)} == {"ok"}
    after = [finding for finding in await channel.diagnose(own, http) if finding.level not in {"ok", "info"}]
    assert after == []
    await channel.disconnect(own, http)
    assert {finding.check: finding.level for finding in await channel.diagnose(own, http)}["webhook"] == "error"


async def test_what_is_sent_arrives(
    simulator: httpx.AsyncClient, account: BotAccount, own: Account, http: aiohttp.ClientSession, chat: int
) -> None:
    async def read() -> bytes:
        return b"%PDF-1.7"

    file = File(kind="document", media_type="application/pdf", filename="a.pdf", size=8, url="https://x/", read=read)
    to = str(chat)
    parts: list[dict[str, Any]] = [
        {"text": "<b>Total</b> 5 &lt; 6", "plain": "Total 5 < 6"},
        {"text": "5 < 6"},
        {"text": "<b>broken", "plain": "broken"},
        {"text": "Deliver?", "buttons": (Button(title="Yes", payload="confirm:1"), Button(title="x" * 64))},
        {"text": "the offer", "file": file},
        {"text": "", "reaction": Reaction(target=f"{chat}:1", emoji="❤️")},
    ]
    results = [
        await channel.send(part(**{"recipient": to, "plain": one.get("text"), **one}), own, http) for one in parts
    ]
    assert [result.outcome for result in results] == ["sent"] * 6, results
    items = (await simulator.get("/sent")).json()["items"]
    assert [item["text"] for item in items] == ["Total 5 < 6", "5 < 6", "broken", "Deliver?", "the offer", "❤"]
    assert [item["external_id"] for item in items[:5]] == [result.external_id for result in results[:5]]


async def test_a_picture_too_large_for_one_goes_as_a_document(
    simulator: httpx.AsyncClient, own: Account, http: aiohttp.ClientSession, chat: int
) -> None:
    async def read() -> bytes:
        return b"\xff\xd8" + bytes(11 * 1024 * 1024)

    file = File(kind="image", media_type="image/jpeg", filename="a.jpg", size=0, url="https://x/", read=read)
    result = await channel.send(part("look", str(chat), file=file), own, http)
    assert result.outcome == "sent", result.reason
    [item] = (await simulator.get("/sent")).json()["items"]
    assert (item["payload"]["method"], item["payload"]["document"]["file_name"]) == ("sendDocument", "a.jpg")


async def test_a_tap_comes_back_with_its_words(
    inbound: Redis,
    simulator: httpx.AsyncClient,
    account: BotAccount,
    own: Account,
    http: aiohttp.ClientSession,
) -> None:
    await simulate(simulator, account, text="/start")
    buttons = (Button(title="Yes, please", payload="confirm:1"),)
    sent = await channel.send(part("Deliver?", str(ANA), buttons=buttons), own, http)
    await simulate(simulator, account, message={"callback_query": {"data": "confirm:1"}})
    message = (await messages(inbound, 2))[1]
    assert (message.kind, message.text, message.payload) == ("postback", "Yes, please", "confirm:1")
    assert message.reply_to == sent.external_id


async def test_a_customers_file_is_fetched(
    inbound: Redis, simulator: httpx.AsyncClient, account: BotAccount, own: Account, http: aiohttp.ClientSession
) -> None:
    content = base64.b64encode(b"%PDF-1.7 example").decode()
    document = {"file_name": "offer.pdf", "mime_type": "application/pdf", "content": content}
    await simulate(simulator, account, message={"document": document})
    [message] = await messages(inbound, 1)
    [attachment] = message.attachments
    async with channel.download(attachment, own, http) as found:
        data = b"".join([piece async for piece in found.chunks])
    assert (data, found.filename, found.media_type) == (b"%PDF-1.7 example", "offer.pdf", "application/pdf")


async def test_blocked_moved_and_unknown_chats(
    simulator: httpx.AsyncClient, account: BotAccount, own: Account, http: aiohttp.ClientSession, chat: int
) -> None:
    await simulate(simulator, account, message={"my_chat_member": {"new_chat_member": {"status": "kicked"}}})
    await simulate(simulator, account, message={"chat": GROUP, "migrate_to_chat_id": -100900})
    blocked, moved, unknown = [await channel.send(part("x", to), own, http) for to in (str(chat), "-100500", "42")]
    assert (blocked.outcome, blocked.code, blocked.reason) == ("failed", "403", "The customer blocked the bot.")
    assert (moved.outcome, moved.moved_to) == ("retry", "-100900")
    assert unknown.outcome == "failed"
    assert (await channel.send(part("x", "-100900"), own, http)).outcome == "sent"


@pytest.mark.parametrize(
    ("fault", "outcome"),
    [
        ("rate_429", "retry"),
        ("rate_500", "retry"),
        ("rate_502", "retry"),
        ("rate_reset", "in_doubt"),
        ("rate_reset_after", "in_doubt"),
    ],
)
async def test_faults_as_the_adapter_sees_them(
    simulator: httpx.AsyncClient, own: Account, http: aiohttp.ClientSession, chat: int, fault: str, outcome: str
) -> None:
    await simulator.put("/faults", json={"channel": "telegram", fault: 1})
    assert (await channel.send(part("x", str(chat)), own, http)).outcome == outcome


async def test_typing_shows(own: Account, http: aiohttp.ClientSession, simulator: httpx.AsyncClient, chat: int) -> None:
    signal = Signal(kind="typing", channel_config_id=own.id, recipient=str(chat))
    await channel.signal(signal, own, http)
    assert (await simulator.get("/sent")).json()["items"] == []


async def test_without_leave_the_way_to_a_private_address_is_closed(own: Account) -> None:
    async with outside.session([]) as http:
        result = await channel.send(part("x", "5"), own, http)
    assert (result.outcome, result.code) == ("retry", "unreachable")
