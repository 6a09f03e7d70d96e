"""A brand's own system hears of each ticket: signed, and again while it is away."""

import json
from collections.abc import AsyncIterator

import pytest_asyncio
from sqlalchemy import select, text

from packages.core.crypto import SecretBox
from packages.core.db.session import Database
from packages.core.db.tables.actions import Ticket
from services.orchestrator.outside import Outside
from services.orchestrator.tickets.webhooks import PAUSES, TicketWebhooks
from tests.factories.actions import Stage, make_stage
from tests.factories.pipeline import SECRET_KEY
from tests.fakes import shop_api
from tests.fakes.shop_api import ShopAPI


@pytest_asyncio.fixture
async def shop() -> AsyncIterator[ShopAPI]:
    async with shop_api.running() as shop:
        yield shop


@pytest_asyncio.fixture
async def stage(database: Database, shop: ShopAPI) -> AsyncIterator[Stage]:
    """A brand that wants to hear of its tickets, with one that was just opened."""
    stage = await make_stage(database)
    await stage.add("create_ticket", "open_ticket", {"webhook_url": f"{shop.url}/hooks"})
    await stage.run("open_ticket", {"subject": "Broken zip"})
    yield stage
    await stage.actions.outside.close()


def webhooks(stage: Stage, outside: Outside | None = None) -> TicketWebhooks:
    return TicketWebhooks(stage.database, SecretBox(SECRET_KEY), outside or stage.actions.outside)


async def ticket(stage: Stage) -> Ticket:
    async with stage.database.tenant(stage.tenant_id) as session:
        return (await session.scalars(select(Ticket))).one()


class TestTicketWebhooks:
    async def test_tells_of_it_once(self, stage: Stage, shop: ShopAPI) -> None:
        assert [await webhooks(stage).deliver_due() for _ in range(2)] == [1, 0]
        [heard] = shop.heard
        body = json.loads(heard.body)
        assert (heard.path, body["type"], body["data"]["subject"]) == ("/hooks", "ticket.created", "Broken zip")
        assert heard.headers["x-parley-signature"].startswith("t=")
        assert (await ticket(stage)).hook_state == "delivered"

    async def test_again_after_a_pause_while_it_is_away(self, stage: Stage, shop: ShopAPI) -> None:
        shop.fault = "503"
        await webhooks(stage).deliver_due()
        waiting = await ticket(stage)
        assert (waiting.hook_state, waiting.hook_error) == ("pending", "The webhook answered with status 503.")
        assert await webhooks(stage).deliver_due() == 0
        await self._due_now(stage)
        shop.fault = ""
        await webhooks(stage).deliver_due()
        assert (await ticket(stage)).hook_state == "delivered"
        assert shop.heard[0].headers["idempotency-key"] == shop.heard[1].headers["idempotency-key"]

    async def test_not_for_ever(self, stage: Stage, shop: ShopAPI) -> None:
        shop.fault = "503"
        for _ in range(len(PAUSES) + 1):
            await self._due_now(stage)
            await webhooks(stage).deliver_due()
        assert (await ticket(stage)).hook_state == "failed"

    async def test_never_inside_the_operators_network(self, stage: Stage, shop: ShopAPI) -> None:
        guarded = Outside()
        await webhooks(stage, guarded).deliver_due()
        await guarded.close()
        assert (await ticket(stage)).hook_state == "failed"
        assert shop.heard == []

    async def _due_now(self, stage: Stage) -> None:
        async with stage.database.tenant(stage.tenant_id) as session:
            await session.execute(text("UPDATE ticket SET hook_due_at = now()"))
