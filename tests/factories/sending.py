"""Accounts on a scripted platform, their conversations and outboxes, and the sender that serves them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import aiohttp
from redis.asyncio import Redis
from sqlalchemy import text

from packages.core.config import DeliverySettings, TurnSettings
from packages.core.crypto import SecretBox
from packages.core.db.repositories import deliveries
from packages.core.db.repositories.deliveries import Draft
from packages.core.db.session import Database
from packages.core.db.tables.channels import ChannelConfig
from packages.core.domain.channels import Capabilities
from packages.core.domain.messages import DeliveryStatus, InboundEvent, StatusUpdate
from services.channel_gateway.directory import Directory
from services.channel_gateway.sender import Sender
from services.orchestrator.intake import Intake
from services.orchestrator.relay import Relay
from tests.factories.accounts import TenantWithBrand, make_tenant
from tests.factories.pipeline import SECRET_KEY, message_event
from tests.fakes.scripted import Platform, Scripted


class Desk:
    """One account with one conversation."""

    def __init__(self, office: "Office", owner: TenantWithBrand, channel: UUID, person: str) -> None:
        self.office, self.owner, self.channel, self.person = office, owner, channel, person
        self.conversation_id = UUID(int=0)

    async def hear(self, words: str = "hello") -> None:
        """The customer writes."""
        event = message_event(self.owner, self.channel, words, sender=self.person)
        (taken,) = await self.office.intake.take([event])
        assert taken.conversation_id
        self.conversation_id = taken.conversation_id

    async def say(self, words: str, *, author: str = "agent", publish: bool = True, **more: Any) -> str:
        """Queue a message to the customer; returns its id."""
        draft = Draft(
            tenant_id=self.owner.tenant_id,
            brand_id=self.owner.brand_id,
            conversation_id=self.conversation_id,
            channel_config_id=self.channel,
            recipient=self.person,
            author=author,
            text=words,
            **more,
        )
        async with self.office.database.tenant(self.owner.tenant_id) as session:
            response = await deliveries.queue(session, draft, republish_seconds=self.office.settings.republish_seconds)
        if publish:
            await self.office.relay.publish([response])
        return response.message_id

    async def report(self, status: DeliveryStatus, external_id: str = "x", **more: Any) -> None:
        """The platform says what became of a message."""
        update = StatusUpdate(external_id=external_id, status=status, **more)
        event = InboundEvent(
            tenant_id=str(self.owner.tenant_id),
            channel_config_id=str(self.channel),
            external_id=f"{external_id}:{status}:{more.get('correlation_id')}",
            kind="status",
            status=update,
        )
        await self.office.intake.take([event])


class Office:
    """Everything between a committed message and the platform."""

    def __init__(self, database: Database, redis: Redis, api_base: str, platform: Platform) -> None:
        self.database, self.redis, self.api_base, self.platform = database, redis, api_base, platform
        self.settings = DeliverySettings(
            timeout_seconds=0.6, in_doubt_seconds=0.4, republish_seconds=0.5, max_attempts=4
        )
        self.relay = Relay(database, redis, self.settings)
        self.intake = Intake(database, redis, TurnSettings(), lambda _seconds: None)
        self.channel = Scripted()

    async def desk(self, owner: TenantWithBrand | None = None, person: str = "15550001", **settings: Any) -> Desk:
        """An account, and a customer who has just written to it."""
        owner = owner or await make_tenant(self.database)
        row = ChannelConfig(
            tenant_id=owner.tenant_id,
            brand_id=owner.brand_id,
            channel="scripted",
            name="Scripted",
            credentials=SecretBox(SECRET_KEY).seal({}),
            settings={"api_base": self.api_base, **settings},
        )
        async with self.database.tenant(owner.tenant_id) as session:
            session.add(row)
        desk = Desk(self, owner, row.id, person)
        await desk.hear()
        return desk

    def rules(self, **more: Any) -> None:
        """What the channel can do from now on."""
        self.channel.rules = Capabilities(label="Scripted", **({"text_limit": 100} | more))

    @asynccontextmanager
    async def sending(self) -> AsyncIterator[Sender]:
        """A sender and the sweep at work."""
        directory = Directory(self.database, self.redis, {"scripted": self.channel}, SECRET_KEY)
        await directory.refresh()
        async with aiohttp.ClientSession() as http:
            sender = Sender(self.database, self.redis, directory, {"scripted": self.channel}, http, self.settings)
            listening = asyncio.create_task(directory.run())
            tasks = [asyncio.create_task(sender.run()), asyncio.create_task(self.relay.run())]
            try:
                yield sender
            finally:
                await sender.stop()
                self.relay.stop()
                listening.cancel()
                await asyncio.gather(*tasks)

    async def sql(self, query: str) -> list[dict[str, Any]]:
        """Rows, whoever's they are."""
        async with self.database.across_tenants() as session:
            result = await session.execute(text(query))
            return [dict(row) for row in result.mappings()] if query.startswith("SELECT") else []

    async def row(self, message_id: str) -> dict[str, Any]:
        """How a message stands."""
        (row,) = await self.sql(
            "SELECT d.state, m.status, d.attempts, d.parts_sent, d.external_id, d.error, d.in_doubt FROM delivery d"
            f" JOIN message_log m USING (id) WHERE d.id = '{message_id}'"
        )
        return row

    async def until(self, message_id: str, *states: str) -> dict[str, Any]:
        """Wait until a message is in one of these states; returns its row."""
        async with asyncio.timeout(15):
            while (row := await self.row(message_id))["state"] not in states:
                await asyncio.sleep(0.02)
        return row
