"""Instagram accounts for the simulator, as the API stores them and as the adapter sees them."""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import aiohttp
import httpx
import pytest
import pytest_asyncio

from packages.core.crypto import SecretBox
from packages.core.db.base import new_id
from packages.core.db.session import Database
from packages.core.db.tables.channels import ChannelConfig
from packages.core.domain.channels import Channel as Account
from services.channel_gateway.channels.instagram import channel
from tests.channel_gateway.simulator.conftest import SECRET_KEY
from tests.channel_gateway.simulator.gateway_double import GatewayDouble
from tests.channel_gateway.simulator.test_with_gateway import inbound
from tests.contracts.channel import account as adapter_account
from tests.factories.accounts import make_tenant

__all__ = ["inbound"]
"""The fixture of a running gateway, used here as well."""

PERSON = "6120000000000001"
HEARD = {"text": "Hello", "from": PERSON}


@dataclass(frozen=True)
class Shop:
    """A channel config, and a customer who can write to it."""

    id: str
    credentials: dict[str, str]
    settings: dict[str, Any]
    client: httpx.AsyncClient

    @property
    def account_id(self) -> str:
        return self.credentials["account_id"]

    @property
    def app_secret(self) -> str:
        return self.credentials["app_secret"]

    @property
    def account(self) -> Account:
        """The account as the gateway serves it to the adapter."""
        return adapter_account(channel, "instagram", self.credentials, **self.settings)

    async def hears(self, **body: Any) -> dict[str, Any]:
        """A customer writes; returns once the gateway has answered."""
        answer = await self.client.post(f"/simulate/instagram/{self.id}?wait=true", json=body)
        assert answer.status_code == 200, answer.text
        result: dict[str, Any] = answer.json()
        return result

    async def ask(self, method: str, path: str, **more: Any) -> httpx.Response:
        """A request with the account's token."""
        headers = {"Authorization": f"Bearer {self.credentials['access_token']}"}
        return await self.client.request(method, f"/v26.0/{path}", headers=headers, **more)

    async def send(self, body: Any) -> httpx.Response:
        """A request to the send API."""
        return await self.ask("POST", "me/messages", json=body)

    async def sent(self) -> list[dict[str, Any]]:
        """What has reached the platform."""
        items: list[dict[str, Any]] = (await self.client.get("/sent?channel=instagram")).json()["items"]
        return items


MakeShop = Callable[..., Awaitable[Shop]]


@pytest.fixture
def make_shop(database: Database, simulator: httpx.AsyncClient) -> MakeShop:
    """Makes channel configs."""

    async def make(app_secret: str = "app-secret-1", **settings: Any) -> Shop:
        tenant = await make_tenant(database)
        account_id = f"17841{new_id().int % 10**12:012d}"
        credentials = {
            "account_id": account_id,
            "access_token": f"token-{account_id}",
            "app_secret": app_secret,
            "verify_token": "v",
        }
        settings = {"api_base": str(simulator.base_url).rstrip("/")} | settings
        config = ChannelConfig(
            tenant_id=tenant.tenant_id,
            brand_id=tenant.brand_id,
            channel="instagram",
            name="Example shop",
            account_id=account_id,
            credentials=SecretBox(SECRET_KEY).seal(credentials),
            settings=settings,
        )
        async with database.across_tenants() as session:
            session.add(config)
        return Shop(str(config.id), credentials, settings, simulator)

    return make


@pytest_asyncio.fixture
async def shop(make_shop: MakeShop) -> Shop:
    return await make_shop()


@pytest_asyncio.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


def events(gateway: GatewayDouble) -> list[dict[str, Any]]:
    """The messaging events that the gateway has got, in order."""
    entries = [entry for webhook in gateway.webhooks for entry in webhook.json["entry"]]
    return [event for entry in entries for event in entry.get("messaging", [])]


def text(body: str = "Hi", **more: Any) -> dict[str, Any]:
    """A request that sends a text."""
    return {"recipient": {"id": PERSON}, "message": {"text": body}, **more}
