"""Intake against real engines: once each, together, and never lost."""

import asyncio
from uuid import UUID

import msgspec
import pytest
import pytest_asyncio
from redis.asyncio import Redis
from sqlalchemy import text

from packages.core import streams
from packages.core.config import TurnSettings
from packages.core.db.session import Database
from packages.core.domain.messages import DeliveryStatus, InboundEvent
from services.orchestrator.intake import Intake, RejectedEvent
from tests.factories.accounts import TenantWithBrand, make_tenant
from tests.factories.pipeline import make_channel, message_event, status_event


class Setting:
    """A tenant with a channel, and the intake under test."""

    def __init__(self, database: Database, redis: Redis, owner: TenantWithBrand, channel: UUID) -> None:
        self.database, self.redis, self.owner, self.channel = database, redis, owner, channel
        self.woken: list[float] = []
        self.intake = Intake(database, redis, TurnSettings(), self.woken.append)

    def message(self, *args: str, **more: object) -> InboundEvent:
        return message_event(self.owner, self.channel, *args, **more)  # type: ignore[arg-type]

    async def rows(self, query: str) -> list[dict[str, object]]:
        async with self.database.across_tenants() as session:
            return [dict(row) for row in (await session.execute(text(query))).mappings()]


@pytest_asyncio.fixture
async def setting(database: Database, redis: Redis) -> Setting:
    owner = await make_tenant(database)
    return Setting(database, redis, owner, await make_channel(database, owner))


class TestTake:
    async def test_makes_ledger_customer_conversation_message_and_turn(self, setting: Setting) -> None:
        (taken,) = await setting.intake.take([setting.message("Where is my order?", sender="4477009")])
        assert (taken.state, taken.duplicate) == ("received", False)
        (message,) = await setting.rows("SELECT * FROM message_log")
        assert (message["id"], message["text"], message["author"]) == (
            taken.message_id,
            "Where is my order?",
            "customer",
        )
        (conversation,) = await setting.rows("SELECT * FROM conversation")
        assert (conversation["id"], conversation["recipient"]) == (taken.conversation_id, "4477009")
        (customer,) = await setting.rows("SELECT * FROM customer")
        assert customer["name"] == "Robin"
        (turn,) = await setting.rows("SELECT * FROM pending_turn")
        assert turn["conversation_id"] == taken.conversation_id
        assert setting.woken == [TurnSettings().debounce_seconds]

    async def test_a_repeat_is_counted_and_answered_with_the_first_ids(self, setting: Setting) -> None:
        event = setting.message()
        (first,) = await setting.intake.take([event])
        (second,) = await setting.intake.take([event])
        assert second.duplicate
        assert (second.message_id, second.conversation_id) == (first.message_id, first.conversation_id)
        (ledger,) = await setting.rows("SELECT * FROM inbound_ledger")
        assert ledger["repeats"] == 1
        assert len(await setting.rows("SELECT * FROM message_log")) == 1

    async def test_repeats_inside_one_batch_are_one_message(self, setting: Setting) -> None:
        event = setting.message()
        taken = await setting.intake.take([event, event, event])
        assert [item.duplicate for item in taken] == [False, True, True]
        assert len({item.message_id for item in taken}) == 1
        (ledger,) = await setting.rows("SELECT * FROM inbound_ledger")
        assert ledger["repeats"] == 2

    async def test_concurrent_repeats_are_one_message(self, setting: Setting) -> None:
        event = setting.message()
        taken = await asyncio.gather(*(setting.intake.take([event]) for _ in range(5)))
        assert sum(not item.duplicate for (item,) in taken) == 1
        assert len(await setting.rows("SELECT * FROM message_log")) == 1

    async def test_concurrent_first_messages_of_a_person_make_one_customer(self, setting: Setting) -> None:
        await asyncio.gather(*(setting.intake.take([setting.message(f"part {n}")]) for n in range(5)))
        assert len(await setting.rows("SELECT * FROM customer")) == 1
        assert len(await setting.rows("SELECT * FROM conversation")) == 1
        assert len(await setting.rows("SELECT * FROM message_log")) == 5

    async def test_a_batch_keeps_the_order_of_its_messages(self, setting: Setting) -> None:
        await setting.intake.take([setting.message(f"{n}") for n in range(10)])
        rows = await setting.rows("SELECT text FROM message_log ORDER BY seq")
        assert [row["text"] for row in rows] == [f"{n}" for n in range(10)]

    async def test_each_message_raises_the_epoch(self, setting: Setting) -> None:
        for _ in range(3):
            await setting.intake.take([setting.message()])
        (conversation,) = await setting.rows("SELECT epoch FROM conversation")
        assert conversation["epoch"] == 3

    async def test_a_burst_moves_the_turn_but_not_past_the_longest_wait(self, setting: Setting) -> None:
        await setting.intake.take([setting.message()])
        await setting.rows("UPDATE pending_turn SET first_at = now() - interval '1 hour' RETURNING id")
        await setting.intake.take([setting.message()])
        (turn,) = await setting.rows("SELECT due_at <= now() AS is_due FROM pending_turn")
        assert turn["is_due"]

    async def test_an_item_to_ignore_is_kept_with_its_reason(self, setting: Setting) -> None:
        ignored = InboundEvent(
            tenant_id=str(setting.owner.tenant_id),
            channel_config_id=str(setting.channel),
            external_id="x1",
            kind="account",
            ignored="a kind of item that needs no action",
        )
        (taken,) = await setting.intake.take([ignored])
        assert (taken.state, taken.reason) == ("ignored", "a kind of item that needs no action")
        assert not await setting.rows("SELECT * FROM message_log")

    @pytest.mark.parametrize("kind", ["reaction", "system", "edit", "unsupported"])
    async def test_kinds_that_need_no_answer_make_no_turn(self, setting: Setting, kind: str) -> None:
        await setting.intake.take([setting.message(kind=kind)])
        assert len(await setting.rows("SELECT * FROM message_log")) == 1
        assert not await setting.rows("SELECT * FROM pending_turn")

    async def test_nul_characters_are_dropped(self, setting: Setting) -> None:
        (taken,) = await setting.intake.take([setting.message("a\x00b")])
        assert taken.state == "received"
        (message,) = await setting.rows("SELECT text FROM message_log")
        assert message["text"] == "ab"

    async def test_a_person_who_owns_the_conversation_is_not_interrupted(self, setting: Setting) -> None:
        await setting.intake.take([setting.message()])
        await setting.rows("DELETE FROM pending_turn RETURNING id")
        await setting.rows("UPDATE conversation SET owner = 'human' RETURNING id")
        await setting.intake.take([setting.message()])
        assert not await setting.rows("SELECT * FROM pending_turn")

    async def test_after_resolution_a_new_conversation_begins(self, setting: Setting) -> None:
        await setting.intake.take([setting.message()])
        await setting.rows("UPDATE conversation SET status = 'resolved' RETURNING id")
        await setting.intake.take([setting.message()])
        assert len(await setting.rows("SELECT * FROM conversation")) == 2
        assert len(await setting.rows("SELECT * FROM customer")) == 1

    async def test_a_second_id_of_a_person_leads_to_the_same_customer(self, setting: Setting) -> None:
        both = setting.message(sender="447700")
        assert both.message
        message = msgspec.convert(
            msgspec.to_builtins(both)
            | {
                "message": msgspec.to_builtins(both.message)
                | {"sender": {"external_id": "447700", "alternative_ids": ["US.1"]}}
            },
            InboundEvent,
        )
        await setting.intake.take([message])
        await setting.intake.take([setting.message(sender="US.1")])
        assert len(await setting.rows("SELECT * FROM customer")) == 1

    async def test_another_tenants_channel_is_refused(self, setting: Setting) -> None:
        stranger = await make_tenant(setting.database, "stranger")
        with pytest.raises(RejectedEvent):
            await setting.intake.take([message_event(stranger, setting.channel)])
        assert not await setting.rows("SELECT * FROM message_log")

    async def test_one_bad_event_does_not_keep_the_others_out(self, setting: Setting) -> None:
        stranger = await make_tenant(setting.database, "stranger")
        bad = message_event(stranger, setting.channel)
        taken = await setting.intake.take([setting.message("one"), bad, setting.message("two")])
        assert [item.state for item in taken] == ["received", "failed", "received"]
        assert len(await setting.rows("SELECT * FROM message_log")) == 2
        ((_, kept),) = await setting.redis.xrange(streams.INBOUND + streams.DEAD)
        assert b"not one of tenant" in kept[b"reason"]


class TestStatuses:
    async def test_a_status_of_a_message_that_is_not_ours_is_noted(self, setting: Setting) -> None:
        (taken,) = await setting.intake.take([status_event(setting.owner, setting.channel, DeliveryStatus.READ)])
        assert taken.state == "ignored"
        (ledger,) = await setting.rows("SELECT * FROM inbound_ledger")
        assert "not sent from here" in str(ledger["reason"])


class TestRun:
    async def test_entries_are_deleted_once_they_are_stored(self, setting: Setting) -> None:
        await streams.publish(setting.redis, streams.INBOUND, [setting.message(f"{n}") for n in range(20)])
        await self._run_until(setting, 20)
        assert await setting.redis.xlen(streams.INBOUND) == 0

    async def test_an_undecodable_entry_is_set_aside(self, setting: Setting) -> None:
        await setting.redis.xadd(streams.INBOUND, {"d": b"not json"})
        await streams.publish(setting.redis, streams.INBOUND, [setting.message()])
        await self._run_until(setting, 1)
        assert await setting.redis.xlen(streams.INBOUND + streams.DEAD) == 1
        assert await setting.redis.xlen(streams.INBOUND) == 0

    async def test_an_emptied_redis_loses_nothing_that_was_taken_in(self, setting: Setting) -> None:
        await streams.publish(setting.redis, streams.INBOUND, [setting.message("before")])
        task = asyncio.create_task(setting.intake.run())
        await self._messages(setting, 1)
        await setting.redis.flushall()
        await streams.publish(setting.redis, streams.INBOUND, [setting.message("after")])
        await self._messages(setting, 2)
        setting.intake.stop()
        await task

    async def _run_until(self, setting: Setting, messages: int) -> None:
        task = asyncio.create_task(setting.intake.run())
        await self._messages(setting, messages)
        setting.intake.stop()
        await task

    async def _messages(self, setting: Setting, wanted: int) -> None:
        async with asyncio.timeout(20):
            while len(await setting.rows("SELECT id FROM message_log")) < wanted:
                await asyncio.sleep(0.02)
