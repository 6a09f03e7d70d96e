"""Both sides at once: what the simulated platforms send, the real gateway takes in."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import msgspec
import pytest_asyncio
from pydantic import SecretStr
from redis.asyncio import Redis

from packages.core import streams
from packages.core.config import MetaSettings, PostgresSettings, RedisSettings
from packages.core.domain.messages import InboundEvent
from services.channel_gateway.app import create_app
from services.channel_gateway.settings import GatewaySettings
from services.channel_gateway.simulator.settings import SimulatorSettings
from tests.channel_gateway.simulator.conftest import SECRET_KEY, Account, MakeAccount
from tests.channel_gateway.simulator.serving import serving
from tests.channel_gateway.simulator.test_send_api import text
from tests.conftest import Engines


@pytest_asyncio.fixture
async def inbound(engines: Engines, redis: Redis, settings: SimulatorSettings) -> AsyncIterator[Redis]:
    """The Redis into which a running gateway puts events; the simulator's webhooks go to that gateway."""
    gateway_settings = GatewaySettings(
        _env_file=None,
        data_dir=settings.data_dir,
        postgres=PostgresSettings(url=engines.postgres_url),
        redis=RedisSettings(url=engines.redis_url),
        meta=MetaSettings(app_secret=SecretStr("meta-app-secret"), verify_token=SecretStr("v")),
        secret_key=SecretStr(SECRET_KEY),
    )
    async with serving(create_app(gateway_settings)) as url:
        settings.public_gateway_url = url
        yield redis


async def events(redis: Redis, count: int) -> list[InboundEvent]:
    """The events of the stream, once there are so many."""
    async with asyncio.timeout(15):
        while len(entries := await redis.xrange(streams.INBOUND)) < count:
            await asyncio.sleep(0.02)
    return [msgspec.json.decode(fields[b"d"], type=InboundEvent) for _id, fields in entries]


async def simulate(simulator: httpx.AsyncClient, channel: str, account: Account, **body: Any) -> dict[str, Any]:
    answer = await simulator.post(f"/simulate/{channel}/{account.id}?wait=true", json=body)
    assert answer.status_code == 200, answer.text
    result: dict[str, Any] = answer.json()
    return result


async def test_gateway_takes_a_whatsapp_message(inbound: Redis, simulator: httpx.AsyncClient, account: Account) -> None:
    question = {"text": "Größe? 👍", "from": "12025550123"}
    answer = await simulate(simulator, "whatsapp", account, **question)
    assert [webhook["status"] for webhook in answer["webhooks"]] == [200]
    again = {**question, "external_id": answer["external_ids"][0], "duplicates": 2}
    repeats = await simulate(simulator, "whatsapp", account, **again)
    assert [webhook["status"] for webhook in repeats["webhooks"]] == [200, 200, 200]
    [event] = await events(inbound, 1)
    assert (event.channel_config_id, event.external_id) == (account.id, answer["external_ids"][0])
    assert event.message is not None
    assert (event.message.text, event.message.sender.external_id) == ("Größe? 👍", "12025550123")


async def test_gateway_refuses_a_forged_one(inbound: Redis, simulator: httpx.AsyncClient, account: Account) -> None:
    answer = await simulate(simulator, "whatsapp", account, text="x", forged=True, **{"from": "12025550123"})
    assert answer["webhooks"][0]["status"] in (401, 403)
    assert await inbound.xlen(streams.INBOUND) == 0


async def test_gateway_routes_a_mixed_batch(
    inbound: Redis, simulator: httpx.AsyncClient, account: Account, make_account: MakeAccount
) -> None:
    other = await make_account()
    batch = [
        {"text": "one", "from": "12025550101"},
        {"text": "two", "from": "12025550102", "channel_config_id": other.id},
    ]
    await simulate(simulator, "whatsapp", account, batch=batch)
    owners = [(event.channel_config_id, event.message and event.message.text) for event in await events(inbound, 2)]
    assert owners == [(account.id, "one"), (other.id, "two")]


async def test_gateway_understands_the_statuses(inbound: Redis, simulator: httpx.AsyncClient, account: Account) -> None:
    body = text(biz_opaque_callback_data="m-1")
    await simulator.post(account.messages, json=body, headers=account.authorization)
    found = [event.status for event in await events(inbound, 3)]
    assert {(status.status.value, status.correlation_id) for status in found if status} == {
        ("sent", "m-1"),
        ("delivered", "m-1"),
        ("read", "m-1"),
    }


async def test_gateway_takes_a_visitors_message(
    inbound: Redis, simulator: httpx.AsyncClient, make_account: MakeAccount
) -> None:
    page = await make_account("webchat", allowed_origins=[])
    answer = await simulate(simulator, "webchat", page, text="Hello?", name="Ana", duplicates=1, **{"from": "ana"})
    assert [webhook["status"] for webhook in answer["webhooks"]] == [202, 202]
    [event] = await events(inbound, 1)
    assert event.external_id.endswith(answer["external_ids"][0])
    assert event.message is not None
    assert (event.message.text, event.message.sender.name) == ("Hello?", "Ana")
