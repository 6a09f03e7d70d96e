"""A brand with actions that are set up as an admin sets them up."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import select

from packages.core.crypto import SecretBox
from packages.core.db.base import new_id
from packages.core.db.session import Database
from packages.core.db.tables.actions import ActionCall, ActionConfig
from packages.core.db.tables.channels import ChannelConfig
from packages.core.db.tables.conversations import Conversation
from packages.core.db.tables.customers import Customer
from packages.core.domain.tenants import BrandProfile
from services.orchestrator.acting import registry, service
from services.orchestrator.acting.requests import Asked
from services.orchestrator.acting.runner import Actions, TurnContext
from services.orchestrator.acting.schemas import ActionCreate
from services.orchestrator.acting.service import Workshop
from services.orchestrator.actions import Action
from services.orchestrator.outside import Outside
from tests.factories.accounts import TenantWithBrand, make_tenant
from tests.factories.pipeline import SECRET_KEY

LOOKUP: dict[str, Any] = {
    "arguments": [{"name": "order_id", "pattern": r"^\d{10}$", "description": "ten digits"}],
    "result": {"state": "order.state", "items": "order.items[].name"},
}


@dataclass
class Stage:
    """One brand, one conversation, and the actions."""

    database: Database
    actions: Actions
    brand: BrandProfile
    conversation_id: UUID
    customer_id: UUID

    @property
    def tenant_id(self) -> UUID:
        """The brand's tenant."""
        return UUID(self.brand.tenant_id)

    async def add(self, action: str, name: str, settings: dict[str, Any] | None = None, **more: Any) -> ActionConfig:
        """Set an action up."""
        shop = Workshop(self.actions.registry, SecretBox(SECRET_KEY), self.actions.outside)
        new = ActionCreate(action=action, name=name, settings=settings or {}, **more)
        ready = await service.prepared(shop, action, name, new.description, new.settings)
        async with self.database.tenant(self.tenant_id) as session:
            config = await service.create(session, self.tenant_id, UUID(self.brand.id), new, ready)
        self.actions.configs.forget(UUID(self.brand.id))
        return config

    def turn(self, key: str = "turn-1", **more: Any) -> TurnContext:
        """A turn of the conversation."""
        values: dict[str, Any] = {
            "conversation_id": self.conversation_id,
            "said": "my order is 3348917502",
            "seconds": 5.0,
        } | more
        return TurnContext(tenant_id=self.tenant_id, brand=self.brand, key=key, **values)

    async def run(self, name: str, arguments: Any = None, turn: TurnContext | None = None, step: int = 0) -> Any:
        """One request, run."""
        [ran] = await self.actions.run([Asked(name, arguments or {})], turn or self.turn(), step)
        return ran

    async def calls(self) -> list[ActionCall]:
        """All calls on record, the oldest first."""
        async with self.database.tenant(self.tenant_id) as session:
            return list((await session.scalars(select(ActionCall).order_by(ActionCall.created_at))).all())  # type: ignore[arg-type]

    async def verify_customer(self) -> None:
        """The customer's identity is proved."""
        async with self.database.tenant(self.tenant_id) as session:
            customer = await session.get(Customer, self.customer_id)
            assert customer is not None
            customer.attributes = {"verified": True, "email": "cminh730@example.com"}


async def make_stage(
    database: Database, *, outside: Outside | None = None, kinds: Mapping[str, Action] | None = None
) -> Stage:
    """A brand on webchat with a conversation; calls may go to this machine."""
    made = await make_tenant(database)
    conversation_id, customer_id = await make_conversation(database, made)
    guarded = outside or Outside(["127.0.0.0/8"])
    actions = Actions(database, SecretBox(SECRET_KEY), guarded, kinds or registry.load())
    brand = BrandProfile(id=str(made.brand_id), tenant_id=str(made.tenant_id), name="Acme")
    return Stage(database, actions, brand, conversation_id, customer_id)


async def make_conversation(database: Database, owner: TenantWithBrand) -> tuple[UUID, UUID]:
    """A conversation on webchat: its id and its customer's."""
    ids: dict[str, Any] = {"tenant_id": owner.tenant_id, "brand_id": owner.brand_id}
    async with database.tenant(owner.tenant_id) as session:
        channel = ChannelConfig(**ids, channel="webchat", name="Site", account_id=new_id().hex, credentials=b"")
        customer = Customer(**ids, name="Crystal Minh")
        session.add_all([channel, customer])
        await session.flush()
        conversation = Conversation(
            **ids, channel_config_id=channel.id, customer_id=customer.id, recipient=new_id().hex
        )
        session.add(conversation)
        await session.flush()
    return conversation.id, customer.id
