"""From the outbox to the platform: parts, windows, moves, rates, accounts that fail, one lane per account."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from redis.asyncio import Redis
from sqlalchemy import text

from packages.core.db.session import Database
from packages.core.domain.channels import Rate
from packages.core.domain.messages import DeliveryStatus
from services.channel_gateway.limits import Ask, Limits
from tests.factories.sending import Office
from tests.fakes.scripted import Platform

LONG = "First sentence of this message, which is rather long. " * 3
HELD = {"outcome": "held", "code": "131047", "reason": "more than 24 hours"}
DOWN = {"outcome": "failed", "code": "190", "reason": "The access token is not valid.", "account_down": True}
REFUSED = {"outcome": "failed", "code": "131026", "reason": "not reachable"}


@pytest_asyncio.fixture
async def office(database: Database, redis: Redis) -> AsyncIterator[Office]:
    platform = Platform()
    yield Office(database, redis, await platform.start(), platform)
    await platform.stop()


class TestParts:
    async def test_a_repeat_resumes_after_the_last_accepted_part(self, office: Office) -> None:
        desk = await office.desk()
        office.platform.script.extend([None, {"outcome": "retry", "code": "500", "retry_after": 0.1}])
        message_id = await desk.say(LONG)
        async with office.sending():
            row = await office.until(message_id, "sent")
        assert [body["id"] for body in office.platform.accepted] == [
            message_id, f"{message_id}:1", f"{message_id}:2"
        ]  # fmt: skip
        assert row["parts_sent"] == 3
        parts = await office.sql("SELECT number, external_id FROM delivery_part ORDER BY number")
        assert [part["number"] for part in parts] == [1, 2]

    async def test_a_sender_killed_between_two_parts_repeats_none(self, office: Office) -> None:
        desk = await office.desk()
        office.platform.script.extend([None, "hang"])
        message_id = await desk.say(LONG)
        async with office.sending() as sender:
            async with asyncio.timeout(10):
                while len(office.platform.accepted) < 2:
                    await asyncio.sleep(0.01)
            for task in sender._tasks:
                task.cancel()  # as if the process were gone: nothing is settled
        row = await office.row(message_id)
        assert (row["state"], row["parts_sent"]) == ("sending", 1)
        office.platform.findable = True
        office.relay = type(office.relay)(office.database, office.redis, office.settings)
        await office.sql("UPDATE delivery SET next_attempt_at = now()")
        async with office.sending():
            await office.until(message_id, "sent")
        assert [body["id"].partition(":")[2] for body in office.platform.accepted] == ["", "1", "2"]

    async def test_a_status_of_one_part_does_not_settle_the_rest(self, office: Office) -> None:
        desk = await office.desk()
        office.platform.script.extend([None, {"outcome": "retry", "retry_after": 30}])
        message_id = await desk.say(LONG)
        async with office.sending():
            await office.until(message_id, "retry")
            await desk.report(DeliveryStatus.DELIVERED, correlation_id=message_id)
        row = await office.row(message_id)
        assert (row["state"], row["status"], row["parts_sent"]) == ("retry", "delivered", 1)

    async def test_a_status_finds_its_message_by_any_part(self, office: Office) -> None:
        desk = await office.desk()
        message_id = await desk.say(LONG)
        async with office.sending():
            await office.until(message_id, "sent")
        (part,) = await office.sql("SELECT external_id FROM delivery_part WHERE number = 2")
        await desk.report(DeliveryStatus.READ, part["external_id"])
        assert (await office.row(message_id))["status"] == "read"


class TestWindow:
    async def test_held_until_the_customer_writes_again(self, office: Office) -> None:
        office.rules(window_hours=24)
        desk = await office.desk()
        await office.sql("UPDATE conversation SET last_customer_message_at = now() - interval '2 days'")
        ids = [await desk.say(words) for words in ("one", "two")]
        async with office.sending():
            for one in ids:
                row = await office.until(one, "held")
            assert (row["status"], row["attempts"], row["error"]["code"]) == ("held", 0, "window_closed")
            assert "until the customer writes again" in row["error"]["message"]
            assert office.platform.asked == []
            await desk.hear("I am back")
            for one in ids:
                row = await office.until(one, "sent")
        assert office.platform.texts == ["one", "two"]
        assert (row["status"], row["error"]) == ("sent", None)

    async def test_a_held_message_does_not_block_later_ones(self, office: Office) -> None:
        desk = await office.desk()
        office.platform.script.append(HELD)
        first, second = await desk.say("one"), await desk.say("two")
        async with office.sending():
            await office.until(first, "held")
            await office.until(second, "sent")
        assert office.platform.texts == ["two"]

    @pytest.mark.parametrize("at_once", [True, False])
    async def test_the_platforms_refusal_turns_into_the_accounts_template(self, office: Office, at_once: bool) -> None:
        office.rules(window_hours=24, templates=True)
        desk = await office.desk(template_fallback={"name": "we_answered"})
        if at_once:
            office.platform.script.append(HELD)
        message_id = await desk.say("hello")
        async with office.sending():
            row = await office.until(message_id, "sent")
            if not at_once:
                await desk.report(DeliveryStatus.HELD, row["external_id"], error_code="131047")
                async with asyncio.timeout(10):
                    while len(office.platform.accepted) < 2:
                        await asyncio.sleep(0.02)
                await office.until(message_id, "sent")
        assert office.platform.accepted[-1]["template"] == "we_answered"

    async def test_a_late_refusal_holds_what_was_sent(self, office: Office) -> None:
        desk = await office.desk()
        message_id = await desk.say("hello")
        async with office.sending():
            row = await office.until(message_id, "sent")
            await desk.report(DeliveryStatus.HELD, row["external_id"], error_code="131047", error_message="too late")
            await desk.report(DeliveryStatus.SENT, row["external_id"])
            row = await office.row(message_id)
            assert (row["state"], row["status"], row["error"]["code"]) == ("held", "held", "131047")
            await desk.hear("yes?")
            await office.until(message_id, "sent")
        assert office.platform.texts == ["hello", "hello"]


class TestStatuses:
    async def test_one_that_comes_before_its_send_is_settled(self, office: Office) -> None:
        desk = await office.desk()
        office.platform.slow[str(desk.channel)] = 0.2
        message_id = await desk.say("hello")
        async with office.sending():
            while not office.platform.asked:
                await asyncio.sleep(0.01)
            upcoming = office.platform.upcoming
            await desk.report(DeliveryStatus.DELIVERED, upcoming)
            row = await office.until(message_id, "sent")
            async with asyncio.timeout(10):
                while (await office.row(message_id))["status"] != "delivered":
                    await asyncio.sleep(0.02)
        assert row["external_id"] == upcoming
        assert await office.sql("SELECT id FROM early_status") == []

    async def test_a_read_mark_covers_what_came_before(self, office: Office) -> None:
        desk = await office.desk()
        ids = [await desk.say(words) for words in ("one", "two", "three")]
        async with office.sending():
            rows = [await office.until(one, "sent") for one in ids]
        await desk.report(DeliveryStatus.READ, rows[1]["external_id"], covers_earlier=True)
        assert [(await office.row(one))["status"] for one in ids] == ["read", "read", "sent"]


class TestAddress:
    async def test_a_conversation_that_moved_gets_its_message_at_once(self, office: Office) -> None:
        desk = await office.desk()
        office.platform.script.append({"outcome": "retry", "moved_to": "-100200"})
        first = await desk.say("one")
        second = await desk.say("two")
        async with office.sending():
            await office.until(first, "sent")
            await office.until(second, "sent")
        assert [body["to"] for body in office.platform.accepted] == ["-100200", "-100200"]
        assert await office.sql("SELECT recipient FROM conversation") == [{"recipient": "-100200"}]


class TestDoubt:
    async def test_the_doubt_stays_while_the_platform_cannot_be_asked(self, office: Office) -> None:
        desk = await office.desk()
        office.platform.findable, office.platform.unanswered_questions = True, 1
        office.platform.script.append("hang")
        message_id = await desk.say("Once is enough")
        async with office.sending():
            await office.until(message_id, "sent")
        assert office.platform.texts == ["Once is enough"]
        assert office.platform.unanswered_questions == 0

    async def test_an_earlier_message_with_the_same_words_is_not_taken_for_this_one(self, office: Office) -> None:
        desk = await office.desk()
        async with office.sending():
            earlier = await desk.say("hello")
            await office.until(earlier, "sent")
            async with office.database.across_tenants() as session:
                await session.execute(text(f"UPDATE delivery SET external_id = 'x.found' WHERE id = '{earlier}'"))
            office.platform.findable = True
            office.platform.script.append("hang")
            message_id = await desk.say("hello")
            row = await office.until(message_id, "sent")
        assert row["external_id"] != "x.found"
        assert office.platform.texts == ["hello"] * 3

    @pytest.mark.parametrize(("findable", "sends"), [(True, 1), (False, 2)])
    async def test_the_platform_is_asked_before_a_repeat(self, office: Office, findable: bool, sends: int) -> None:
        desk = await office.desk()
        office.platform.findable = findable
        office.platform.script.append("hang")
        message_id = await desk.say("hello")
        async with office.sending():
            row = await office.until(message_id, "sent")
        assert len(office.platform.accepted) == sends
        assert row["in_doubt"] == 1


class TestRates:
    async def test_an_account_keeps_to_its_rate(self, office: Office) -> None:
        office.rules(account_rate=Rate(per_second=10, burst=2))
        desk = await office.desk()
        people = [desk]
        for number in range(5):
            person = f"1777000{number}"
            extra = type(desk)(office, desk.owner, desk.channel, person)
            await extra.hear()
            people.append(extra)
        ids = [await one.say("hello") for one in people]
        async with office.sending():
            for message_id in ids:
                await office.until(message_id, "sent")
        spread = office.platform.times[-1] - office.platform.times[0]
        assert spread >= (len(ids) - 2) / 10 * 0.8
        assert [(await office.row(one))["attempts"] for one in ids] == [1] * len(ids)

    async def test_what_waits_longer_goes_back_without_counting(self, office: Office) -> None:
        office.rules(person_rate=Rate(per_second=0.1, burst=1))
        desk = await office.desk()
        first, second = await desk.say("one"), await desk.say("two")
        async with office.sending():
            await office.until(first, "sent")
            row = await office.until(second, "retry")
        assert row["attempts"] == 0
        (due,) = await office.sql(
            f"SELECT EXTRACT(EPOCH FROM next_attempt_at - now())::float AS wait FROM delivery WHERE id = '{second}'"
        )
        assert 5 < due["wait"] <= 10

    async def test_a_refusal_pauses_the_whole_account_and_no_other(self, office: Office) -> None:
        office.rules(account_rate=Rate(per_second=100, burst=100))
        desk, other = await office.desk(), await office.desk()
        office.platform.script.append({"outcome": "retry", "code": "429", "retry_after": 30, "scope": "account"})
        first = await desk.say("one")
        async with office.sending():
            await office.until(first, "retry")
            person = type(desk)(office, desk.owner, desk.channel, "15559999")
            await person.hear()
            second, third = await person.say("two"), await other.say("three")
            row = await office.until(second, "retry")
            await office.until(third, "sent")
        assert row["attempts"] == 0
        assert office.platform.texts == ["three"]


class TestAttention:
    async def test_an_account_that_is_down_fails_fast_and_recovers_by_itself(self, office: Office) -> None:
        desk = await office.desk()
        office.platform.script.append(DOWN)
        first = await desk.say("one")
        async with office.sending():
            row = await office.until(first, "failed")
            assert row["error"]["message"] == DOWN["reason"]
            (config,) = await office.sql("SELECT status, status_reason FROM channel_config")
            assert config == {"status": "needs_attention", "status_reason": DOWN["reason"]}
            office.platform.script.append(DOWN)
            await office.until(await desk.say("two"), "failed")
            await office.until(await desk.say("three"), "sent")
            async with asyncio.timeout(5):
                while (await office.sql("SELECT status FROM channel_config"))[0]["status"] != "active":
                    await asyncio.sleep(0.02)
            await office.until(await desk.say("four"), "sent")
        assert office.platform.texts == ["three", "four"]

    async def test_one_message_at_a_time_finds_out_whether_it_works_again(self, office: Office) -> None:
        desk = await office.desk()
        await office.sql("UPDATE channel_config SET status = 'needs_attention', status_reason = 'No token.'")
        office.platform.slow[str(desk.channel)] = 0.3
        office.platform.script.extend([DOWN] * 10)
        people = [type(desk)(office, desk.owner, desk.channel, f"1666{number}") for number in range(6)]
        for person in people:
            await person.hear()
        ids = [await person.say("hello") for person in people]
        async with office.sending():
            rows = [await office.until(one, "failed") for one in ids]
        assert len(office.platform.asked) <= 2
        assert {row["error"]["message"] for row in rows} <= {"No token.", DOWN["reason"]}


class TestLanes:
    async def test_one_slow_account_holds_up_nobody(self, office: Office) -> None:
        slow = await office.desk()
        office.platform.slow[str(slow.channel)] = 0.5
        people = [type(slow)(office, slow.owner, slow.channel, f"1888{number}") for number in range(30)]
        for person in people:
            await person.hear()
            await person.say("slow")
        quick = [await office.desk() for _ in range(5)]
        async with office.sending():
            started = time.monotonic()
            ids = [await desk.say("quick") for desk in quick]
            for message_id in ids:
                await office.until(message_id, "sent")
            took = time.monotonic() - started
            assert office.platform.texts.count("slow") < 30
        assert took < 2.5

    async def test_a_conversation_keeps_its_order(self, office: Office) -> None:
        desk = await office.desk()
        office.platform.script.extend([None, {"outcome": "retry", "retry_after": 0.1}, None, REFUSED])
        ids = [await desk.say(f"{number}") for number in range(5)]
        async with office.sending():
            for message_id in ids:
                await office.until(message_id, "sent", "failed")
        assert office.platform.texts == ["0", "1", "3", "4"]


class TestLimitsWithoutRedis:
    async def test_a_process_limits_itself(self, office: Office) -> None:
        office.rules(account_rate=Rate(per_second=2, burst=1))
        limits = Limits(Redis(port=1))
        asks: list[Any] = [Ask("a", str(number), office.channel.rules) for number in range(4)]
        waits = await limits.take(asks)
        assert [round(wait, 1) for wait in waits] == [0.0, 0.5, 1.0, 1.5]
        await limits.pause("a", 5)
        assert (await limits.take(asks[:1]))[0] == pytest.approx(5, abs=0.2)
