"""The built-in actions, each by what it does."""

from datetime import datetime, timedelta
from importlib.metadata import EntryPoint
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import select

from packages.core.db.base import now
from packages.core.db.tables.actions import Ticket
from packages.core.plugins import BrokenPlugin
from services.orchestrator.acting import registry
from tests.factories.actions import Stage


async def tickets(stage: Stage) -> list[Ticket]:
    async with stage.database.tenant(stage.tenant_id) as session:
        return list((await session.scalars(select(Ticket))).all())


def next_weekday(hour: int, zone: str = "Europe/Berlin") -> datetime:
    """A weekday to come, at this hour there."""
    at = now().astimezone(ZoneInfo(zone)).replace(hour=hour, minute=0, second=0, microsecond=0) + timedelta(days=1)
    while at.isoweekday() > 5:
        at += timedelta(days=1)
    return at


class TestCreateTicket:
    async def test_opens_one_for_the_customer(self, stage: Stage) -> None:
        await stage.add("create_ticket", "open_ticket", {"categories": ["refund", "delivery"]})
        given = {"subject": "Refund for the jeans", "category": "Refund", "priority": "urgent"}
        ran = await stage.run("open_ticket", given)
        [ticket] = await tickets(stage)
        assert ran.result.data == {"ticket": ticket.number, "status": "open"}
        assert (ticket.category, ticket.priority, ticket.kind) == ("refund", "high", "ticket")
        assert (ticket.conversation_id, ticket.customer_id) == (stage.conversation_id, stage.customer_id)

    async def test_no_category_but_the_brands(self, stage: Stage) -> None:
        await stage.add("create_ticket", "open_ticket", {"categories": ["refund"]})
        ran = await stage.run("open_ticket", {"subject": "Refund", "category": "free money"})
        assert (ran.result.error or "").startswith("invalid_arguments")


class TestScheduleCallback:
    async def test_is_due_in_the_brands_time_zone(self, stage: Stage) -> None:
        await self._add(stage)
        at = next_weekday(10)
        ran = await self._run(stage, at.replace(tzinfo=None).isoformat())
        [ticket] = await tickets(stage)
        assert ran.result.data["at"] == at.isoformat(timespec="minutes")
        assert (ticket.kind, ticket.contact, ticket.due_at) == ("callback", "+49 30 1234567", at)

    @pytest.mark.parametrize("hour", [3, 17, 23])
    async def test_outside_the_hours_it_proposes_them(self, stage: Stage, hour: int) -> None:
        await self._add(stage)
        ran = await self._run(stage, next_weekday(hour).isoformat())
        assert "Mon, Tue, Wed, Thu, Fri, 09:00 to 17:00 (Europe/Berlin)" in (ran.result.error or "")
        assert await tickets(stage) == []

    @pytest.mark.parametrize("at", ["2020-01-06T10:00", "2999-01-07T10:00"])
    async def test_neither_the_past_nor_a_far_future(self, stage: Stage, at: str) -> None:
        await self._add(stage)
        assert (await self._run(stage, at)).result.error.startswith("time_not_free")

    async def test_a_number_that_nobody_gave_is_asked_for(self, stage: Stage) -> None:
        await self._add(stage)
        ran = await stage.run("call_back", {"at": next_weekday(10).isoformat()})
        assert (ran.result.error or "").startswith("phone_needed")

    async def _add(self, stage: Stage) -> None:
        await stage.add("schedule_callback", "call_back")
        object.__setattr__(stage.brand, "timezone", "Europe/Berlin")

    async def _run(self, stage: Stage, at: str) -> Any:
        given = {"at": at, "phone": "+49 30 1234567"}
        return await stage.run("call_back", given, stage.turn(said="call me at +49 (30) 123-4567 tomorrow"))


class TestRegistry:
    def test_outside_packages_join(self) -> None:
        entry = EntryPoint("escalate", "services.orchestrator.actions.hand_over:action", registry.GROUP)
        assert "escalate" in registry.load([entry])

    @pytest.mark.parametrize(
        ("name", "value"),
        [("other", "packages.core.crypto:new_token"), ("hand_over", "services.orchestrator.actions.hand_over:action")],
    )
    def test_what_does_not_fit_stops_the_start(self, name: str, value: str) -> None:
        with pytest.raises(BrokenPlugin):
            registry.load([EntryPoint(name, value, registry.GROUP)])
