"""Conversations as turns and agents leave them in the message log."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from packages.core.db.base import new_id, now
from packages.core.db.session import Database
from packages.core.db.tables.conversations import Conversation, MessageLog
from packages.core.db.tables.customers import Customer
from tests.factories.accounts import TenantWithBrand
from tests.factories.pipeline import make_channel


@dataclass
class Talk:
    """One conversation; each method adds messages at its end."""

    database: Database
    owner: TenantWithBrand
    conversation_id: UUID
    at: datetime = field(default_factory=lambda: now() - timedelta(minutes=30))

    async def exchange(self, *said: str, reply: str = "I do not know.", **trace: Any) -> UUID:
        """The customer writes, the bot replies to all of it; returns the reply's id."""
        reply_id = new_id()
        for text in said:
            await self._add("inbound", "customer", text, answered_by=reply_id)
        await self._add("outbound", "bot", reply, id=reply_id, trace=trace, status="sent")
        return reply_id

    async def withheld(self, *said: str, **trace: Any) -> UUID:
        """The bot does not know the answer."""
        query = {"query": " ".join(said)} | trace
        return await self.exchange(*said, abstained=True, wants_person=False, confidence=0.2, trace_id="t1", **query)

    async def answered(self, question: str, reply: str, **more: Any) -> UUID:
        """The bot answers, `citations` and all."""
        reply_id = new_id()
        await self._add("inbound", "customer", question, answered_by=reply_id)
        trace = {"abstained": False, "wants_person": False}
        return await self._add("outbound", "bot", reply, id=reply_id, trace=trace, status="delivered", **more)

    async def agent(self, text: str) -> UUID:
        """An agent writes."""
        return await self._add("outbound", "agent", text, status="sent")

    async def _add(self, direction: str, author: str, text: str, **more: Any) -> UUID:
        self.at += timedelta(seconds=20)
        row = MessageLog(
            tenant_id=self.owner.tenant_id,
            conversation_id=self.conversation_id,
            direction=direction,
            author=author,
            text=text,
            sent_at=self.at,
            created_at=self.at,
            **more,
        )
        async with self.database.tenant(self.owner.tenant_id) as session:
            session.add(row)
        return row.id


async def make_talk(database: Database, owner: TenantWithBrand, **more: Any) -> Talk:
    """A conversation without messages, on a channel of its own."""
    channel = await make_channel(database, owner)
    customer = Customer(tenant_id=owner.tenant_id, brand_id=owner.brand_id, name="Robin")
    async with database.tenant(owner.tenant_id) as session:
        session.add(customer)
        await session.flush()
        conversation = Conversation(
            tenant_id=owner.tenant_id,
            brand_id=owner.brand_id,
            channel_config_id=channel,
            customer_id=customer.id,
            recipient=str(customer.id),
            **more,
        )
        session.add(conversation)
    return Talk(database, owner, conversation.id)
