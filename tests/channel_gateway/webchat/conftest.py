"""A web chat, visitors' browsers, and what the orchestrator would write into their conversations."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import aiohttp
import pytest_asyncio
from sqlalchemy import select
from sqlmodel import col

from packages.core.db.session import Database
from packages.core.db.tables.conversations import Conversation, MessageLog
from packages.core.db.tables.customers import Customer, CustomerIdentity
from tests.channel_gateway.conftest import Answer, Gateway, MakeChannel
from tests.factories.accounts import TenantWithBrand

ORIGIN = "https://shop.example"


@dataclass
class Browser:
    """A visitor's browser with a session."""

    gateway: Gateway
    base: str
    token: str
    customer_id: str

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}

    async def write(self, text: Any, client_id: Any = "c1", **headers: str) -> Answer:
        """Send a message."""
        body = {"client_id": client_id, "text": text}
        return await self.gateway.call("POST", f"{self.base}/messages", json=body, headers=self.headers | headers)

    async def read(self, after: int = 0) -> list[dict[str, Any]]:
        """The conversation."""
        answer = await self.gateway.call("GET", f"{self.base}/messages", params={"after": after}, headers=self.headers)
        assert answer.status == 200, answer.body
        items: list[dict[str, Any]] = answer.json["items"]
        return items

    @asynccontextmanager
    async def stream(self, after: int = 0, last_event_id: str | None = None) -> AsyncIterator["Events"]:
        """Follow the conversation."""
        url = f"{self.gateway.url}{self.base}/stream"
        headers = self.headers | ({} if last_event_id is None else {"Last-Event-ID": last_event_id})
        async with self.gateway.http.get(
            url, params={"after": after}, headers=headers, timeout=aiohttp.ClientTimeout(total=60)
        ) as response:
            assert response.status == 200, await response.text()
            yield Events(response.content)


class Events:
    """Server-sent events as they come."""

    def __init__(self, content: Any) -> None:
        self._content = content

    async def next(self, kind: str | None = None, seconds: float = 8.0) -> dict[str, Any]:
        """The next event (of a kind): its `event`, `id` and decoded `data`."""
        async with asyncio.timeout(seconds):
            while True:
                event = await self._block()
                if "data" in event and (kind is None or event["event"] == kind):
                    return {**event, "data": json.loads(event["data"])}

    async def comment(self, seconds: float = 8.0) -> str:
        """The next comment, such as a heartbeat."""
        async with asyncio.timeout(seconds):
            while True:
                event = await self._block()
                if "" in event:
                    return event[""]

    async def ended(self, seconds: float = 8.0) -> bool:
        """Whether the server ends the stream in time."""
        async with asyncio.timeout(seconds):
            while await self._content.readline():
                pass
        return True

    async def _block(self) -> dict[str, str]:
        event: dict[str, str] = {}
        while line := (await self._content.readline()).decode():
            if line == "\n":
                return event
            field, _, value = line.rstrip("\n").partition(":")
            event[field] = value.removeprefix(" ")
        raise EOFError("the stream ended")


async def open_browser(gateway: Gateway, channel_id: str, **body: Any) -> Browser:
    """A new session."""
    answer = await gateway.call("POST", f"/webchat/{channel_id}/sessions", json=body)
    assert answer.status == 201, answer.body
    return Browser(gateway, f"/webchat/{channel_id}", answer.json["session_token"], answer.json["customer_id"])


@pytest_asyncio.fixture
async def channel_id(make_channel: MakeChannel) -> str:
    """A web chat of the tenant."""
    return await make_channel("webchat", {"allowed_origins": [ORIGIN]})


@pytest_asyncio.fixture
async def browser(gateway: Gateway, channel_id: str) -> Browser:
    """A visitor."""
    return await open_browser(gateway, channel_id)


@dataclass
class Talk:
    """A visitor's conversation as the orchestrator keeps it."""

    database: Database
    owner: TenantWithBrand
    browser: Browser
    conversation_id: UUID

    async def add(self, author: str, text: str, **columns: Any) -> MessageLog:
        """Log a message."""
        direction = columns.pop("direction", "inbound" if author == "customer" else "outbound")
        status = columns.pop("status", "received" if author == "customer" else "sent")
        row = MessageLog(
            tenant_id=self.owner.tenant_id,
            conversation_id=self.conversation_id,
            direction=direction,
            author=author,
            text=text,
            status=status,
            **columns,
        )
        async with self.database.tenant(self.owner.tenant_id) as session:
            session.add(row)
            await session.flush()
            await session.refresh(row)
        return row

    async def settle(self, message: MessageLog, status: str) -> None:
        """Change a message's status."""
        async with self.database.tenant(self.owner.tenant_id) as session:
            row = (await session.scalars(select(MessageLog).where(col(MessageLog.id) == message.id))).one()
            row.status = status


async def begin_talk(database: Database, owner: TenantWithBrand, browser: Browser) -> Talk:
    """What intake does at a visitor's first message."""
    channel_config_id = UUID(browser.base.rsplit("/", 1)[1])
    async with database.tenant(owner.tenant_id) as session:
        customer = Customer(tenant_id=owner.tenant_id, brand_id=owner.brand_id)
        session.add(customer)
        await session.flush()
        identity = CustomerIdentity(
            tenant_id=owner.tenant_id,
            channel_config_id=channel_config_id,
            external_id=browser.customer_id,
            customer_id=customer.id,
        )
        conversation = Conversation(
            tenant_id=owner.tenant_id,
            brand_id=owner.brand_id,
            channel_config_id=channel_config_id,
            customer_id=customer.id,
            recipient=browser.customer_id,
        )
        session.add_all([identity, conversation])
    return Talk(database, owner, browser, conversation.id)


@pytest_asyncio.fixture
async def talk(database: Database, tenant: TenantWithBrand, browser: Browser) -> Talk:
    """The visitor's conversation."""
    return await begin_talk(database, tenant, browser)
