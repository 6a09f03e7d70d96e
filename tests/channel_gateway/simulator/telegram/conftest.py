"""A Telegram bot whose platform is the simulator."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest_asyncio
from telegram import Bot

from packages.core.crypto import SecretBox
from packages.core.db.base import new_id
from packages.core.db.session import Database
from packages.core.db.tables.channels import ChannelConfig
from tests.channel_gateway.simulator.conftest import SECRET_KEY
from tests.factories.accounts import make_tenant

SECRET = "Example-secret_token-0001"
ANA = 700000001


@dataclass(frozen=True)
class BotAccount:
    """A Telegram channel config."""

    id: str
    token: str


@pytest_asyncio.fixture
async def account(database: Database) -> BotAccount:
    tenant = await make_tenant(database)
    token = f"{new_id().int % 10**9 + 10**9}:EXAMPLE-BOT-TOKEN"
    config = ChannelConfig(
        tenant_id=tenant.tenant_id,
        brand_id=tenant.brand_id,
        channel="telegram",
        name="Example Bot",
        account_id=None,
        credentials=SecretBox(SECRET_KEY).seal({"bot_token": token, "secret_token": SECRET}),
        settings={},
    )
    async with database.across_tenants() as session:
        session.add(config)
    return BotAccount(str(config.id), token)


@pytest_asyncio.fixture
async def bot(simulator: httpx.AsyncClient, account: BotAccount) -> AsyncIterator[Bot]:
    """The library's client as everybody uses it, with its own HTTP client."""
    base = str(simulator.base_url).rstrip("/")
    async with Bot(account.token, base_url=f"{base}/bot", base_file_url=f"{base}/file/bot") as client:
        yield client


async def simulate(simulator: httpx.AsyncClient, account: BotAccount, **body: Any) -> dict[str, Any]:
    line = {"from": str(ANA), **body}
    answer = await simulator.post(f"/simulate/telegram/{account.id}?wait=true", json=line)
    assert answer.status_code == 200, answer.text
    result: dict[str, Any] = answer.json()
    return result


@pytest_asyncio.fixture
async def chat(simulator: httpx.AsyncClient, account: BotAccount) -> int:
    """A person who has started the bot."""
    await simulate(simulator, account, text="/start", name="Alex")
    return ANA
