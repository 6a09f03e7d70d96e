"""Both sides at once: the gateway and its adapter, against Twilio as the simulator plays it."""

import asyncio
from collections.abc import AsyncIterator

import aiohttp
import httpx
import msgspec
import pytest
import pytest_asyncio
from pydantic import SecretStr
from redis.asyncio import Redis

from packages.core import streams
from packages.core.config import DeliverySettings, PostgresSettings, RedisSettings
from packages.core.crypto import SecretBox
from packages.core.db.base import new_id
from packages.core.db.session import Database
from packages.core.db.tables.channels import ChannelConfig
from packages.core.domain.channels import Channel as Account
from packages.core.domain.messages import DeliveryStatus, InboundEvent, Signal
from services.channel_gateway import outside
from services.channel_gateway.app import create_app
from services.channel_gateway.channels.twilio import channel
from services.channel_gateway.settings import GatewaySettings
from services.channel_gateway.simulator.settings import SimulatorSettings
from services.local.engines import free_port
from tests.channel_gateway.simulator.conftest import SECRET_KEY
from tests.channel_gateway.simulator.serving import serving
from tests.conftest import Engines
from tests.contracts.channel import MESSAGE_ID, part
from tests.factories.accounts import make_tenant

CUSTOMER = "+447700900123"
ON_WHATSAPP = f"whatsapp:{CUSTOMER}"


@pytest_asyncio.fixture
async def inbound(engines: Engines, redis: Redis, settings: SimulatorSettings) -> AsyncIterator[Redis]:
    """The Redis into which a running gateway puts events; Twilio signs the address by which it calls the gateway."""
    port = free_port()
    settings.public_gateway_url = f"http://127.0.0.1:{port}"
    gateway_settings = GatewaySettings(
        _env_file=None,
        data_dir=settings.data_dir,
        public_gateway_url=settings.public_gateway_url,
        postgres=PostgresSettings(url=engines.postgres_url),
        redis=RedisSettings(url=engines.redis_url),
        delivery=DeliverySettings(allowed_networks=["127.0.0.0/8"]),
        secret_key=SecretStr(SECRET_KEY),
    )
    async with serving(create_app(gateway_settings), port):
        yield redis


@pytest_asyncio.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    """The way out as the gateway has it."""
    async with outside.session(["127.0.0.0/8"]) as session:
        yield session


@pytest_asyncio.fixture
async def own(database: Database, inbound: Redis, simulator: httpx.AsyncClient, settings: SimulatorSettings) -> Account:
    """A WhatsApp sender, as stored and as the gateway's directory serves it."""
    tenant = await make_tenant(database)
    number = f"whatsapp:+1202{new_id().int % 10**7:07d}"
    given = {"account_sid": f"AC{new_id().hex}", "auth_token": "the-token", "from": number}
    stored: dict[str, object] = {"api_base": str(simulator.base_url).rstrip("/")}
    row = ChannelConfig(
        tenant_id=tenant.tenant_id,
        brand_id=tenant.brand_id,
        channel="twilio",
        name="Shop",
        account_id=number,
        credentials=SecretBox(SECRET_KEY).seal(given),
        settings=stored,
    )
    async with database.across_tenants() as session:
        session.add(row)
    return Account(
        id=str(row.id),
        tenant_id=str(row.tenant_id),
        brand_id=str(row.brand_id),
        kind="twilio",
        name="Shop",
        account_id=number,
        credentials=channel.Credentials.model_validate(given),
        settings=stored,
        webhook_url=f"{settings.gateway_base_url}/webhooks/twilio/{row.id}",
    )


async def simulate(simulator: httpx.AsyncClient, own: Account, **more: object) -> list[int]:
    """A customer writes; the gateway's answers."""
    body = {"text": "Hello", "from": CUSTOMER, "name": "Alex"} | more
    answer = await simulator.post(f"/simulate/twilio/{own.id}?wait=true", json=body)
    assert answer.status_code == 200, answer.text
    return [receipt["status"] for receipt in answer.json()["webhooks"]]


async def events(redis: Redis, count: int) -> list[InboundEvent]:
    """What the gateway took, once there is so much."""
    async with asyncio.timeout(15):
        while len(entries := await redis.xrange(streams.INBOUND)) < count:
            await asyncio.sleep(0.02)
    return [msgspec.json.decode(fields[b"d"], type=InboundEvent) for _id, fields in entries]


@pytest.mark.parametrize("headers", [{}, {"Content-Type": "application/json"}])
async def test_gateway_takes_messages_once(
    inbound: Redis, simulator: httpx.AsyncClient, own: Account, headers: dict[str, str]
) -> None:
    assert await simulate(simulator, own, text="Größe? 👍", duplicates=2, headers=headers) == [200, 200, 200]
    [event] = await events(inbound, 1)
    assert event.message is not None
    assert (event.message.text, event.message.sender.external_id) == ("Größe? 👍", ON_WHATSAPP)
    assert event.channel_config_id == own.id


async def test_gateway_refuses_a_forged_one(inbound: Redis, simulator: httpx.AsyncClient, own: Account) -> None:
    assert await simulate(simulator, own, forged=True) == [401]
    assert await inbound.xlen(streams.INBOUND) == 0


async def test_message_for_another_sender_is_kept_as_foreign(
    inbound: Redis, simulator: httpx.AsyncClient, own: Account
) -> None:
    assert await simulate(simulator, own, message={"To": "whatsapp:+15005550009"}) == [200]
    [event] = await events(inbound, 1)
    assert (event.kind, event.message) == ("foreign", None)


async def test_callbacks_reach_the_message_that_they_are_about(
    inbound: Redis, simulator: httpx.AsyncClient, own: Account, http: aiohttp.ClientSession
) -> None:
    await simulate(simulator, own)
    result = await channel.send(part("Hi there", ON_WHATSAPP), own, http)
    assert result.outcome == "sent"
    told = [event.status for event in await events(inbound, 4) if event.status]
    assert {status.status for status in told} == {DeliveryStatus.SENT, DeliveryStatus.DELIVERED, DeliveryStatus.READ}
    assert {(status.external_id, status.correlation_id) for status in told} == {(result.external_id, MESSAGE_ID)}


async def test_closed_window_is_held(
    inbound: Redis, simulator: httpx.AsyncClient, own: Account, http: aiohttp.ClientSession
) -> None:
    assert (await channel.send(part("Hi there", ON_WHATSAPP), own, http)).outcome == "sent"
    [event] = await events(inbound, 1)
    assert event.status is not None
    assert (event.status.status, event.status.error_code) == (DeliveryStatus.HELD, "63016")


async def test_typing_shows_on_the_customers_phone(
    inbound: Redis, simulator: httpx.AsyncClient, own: Account, http: aiohttp.ClientSession
) -> None:
    await simulate(simulator, own)
    [event] = await events(inbound, 1)
    signal = Signal(kind="typing", channel_config_id=own.id, recipient=ON_WHATSAPP, external_id=event.external_id)
    await channel.signal(signal, own, http)
    query = {"channel": "twilio", "channel_config_id": own.id, "customer": ON_WHATSAPP}
    assert (await simulator.get("/thread", params=query)).json()["typing"] is True
