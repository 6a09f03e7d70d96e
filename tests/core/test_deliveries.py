"""The outbox under every order of events: claimed once, void when overtaken, in order, never lost."""

import asyncio
from uuid import UUID

import pytest
import pytest_asyncio
from redis.asyncio import Redis
from sqlalchemy import text

from packages.core.config import TurnSettings
from packages.core.db.base import new_id
from packages.core.db.repositories import deliveries
from packages.core.db.repositories.deliveries import Claims, Draft, Settlement
from packages.core.db.repositories.delivery_statuses import PlatformStatus, apply_statuses
from packages.core.db.session import Database
from packages.core.domain.messages import DeliveryStatus
from services.orchestrator.intake import Intake
from tests.factories.accounts import TenantWithBrand, make_tenant
from tests.factories.pipeline import make_channel, message_event

TOKEN = new_id()


class Outbox:
    """One conversation with one customer message, and its outbox."""

    def __init__(self, database: Database, intake: Intake, tenant_id: UUID, brand_id: UUID, channel: UUID) -> None:
        self.database, self.intake, self.channel = database, intake, channel
        self.tenant_id, self.brand_id = tenant_id, brand_id
        self.conversation_id = new_id()

    async def hear(self, words: str = "hello") -> None:
        owner = TenantWithBrand(self.tenant_id, self.brand_id)
        (taken,) = await self.intake.take([message_event(owner, self.channel, words)])
        assert taken.conversation_id
        self.conversation_id = taken.conversation_id

    async def queue(self, *, author: str = "bot", epoch: int | None = 1) -> UUID:
        draft = Draft(
            tenant_id=self.tenant_id,
            brand_id=self.brand_id,
            conversation_id=self.conversation_id,
            channel_config_id=self.channel,
            recipient="15550001",
            author=author,
            text="a reply",
            epoch=epoch,
        )
        async with self.database.tenant(self.tenant_id) as session:
            await deliveries.queue(session, draft, republish_seconds=15)
        return draft.id

    async def claim(self, *ids: UUID, token: UUID = TOKEN) -> Claims:
        async with self.database.across_tenants() as session:
            return await deliveries.claim(session, dict.fromkeys(ids, 30.0), token)

    async def settle(self, message_id: UUID, state: str, *, token: UUID = TOKEN, **more: object) -> set[str]:
        settlement = Settlement(message_id=str(message_id), state=state, **more)  # type: ignore[arg-type]
        async with self.database.across_tenants() as session:
            return await deliveries.settle(session, token, [settlement])

    async def report(self, status: DeliveryStatus, message_id: UUID | None, external_id: str = "wamid.1") -> int:
        update = PlatformStatus(
            channel_config_id=str(self.channel),
            external_id=external_id,
            status=status,
            message_id=str(message_id) if message_id else None,
            error={"code": "131026"} if status is DeliveryStatus.FAILED else None,
        )
        async with self.database.across_tenants() as session:
            return len(await apply_statuses(session, [update]))

    async def due(self) -> list[str]:
        async with self.database.across_tenants() as session:
            found = await deliveries.take_due(session, republish_seconds=15)
        return [response.message_id for response in found]

    async def sql(self, query: str) -> list[dict[str, object]]:
        async with self.database.across_tenants() as session:
            return [dict(row) for row in (await session.execute(text(query))).mappings()]

    async def state(self, message_id: UUID) -> tuple[object, object]:
        (row,) = await self.sql(
            f"SELECT d.state, m.status FROM delivery d JOIN message_log m USING (id) WHERE d.id = '{message_id}'"
        )
        return row["state"], row["status"]

    async def make_due(self) -> None:
        await self.sql("UPDATE delivery SET next_attempt_at = now() - interval '1 second' RETURNING id")


@pytest_asyncio.fixture
async def outbox(database: Database, redis: Redis) -> Outbox:
    owner = await make_tenant(database)
    intake = Intake(database, redis, TurnSettings(), lambda _seconds: None)
    made = Outbox(database, intake, owner.tenant_id, owner.brand_id, await make_channel(database, owner))
    await made.hear()
    return made


class TestClaim:
    async def test_once(self, outbox: Outbox) -> None:
        message_id = await outbox.queue()
        first, second = await outbox.claim(message_id), await outbox.claim(message_id)
        assert [item.response.message_id for item in first.claimed] == [str(message_id)]
        assert not second.claimed

    async def test_once_among_many_senders(self, outbox: Outbox) -> None:
        message_id = await outbox.queue()
        claims = await asyncio.gather(*(outbox.claim(message_id, token=new_id()) for _ in range(5)))
        assert sum(len(item.claimed) for item in claims) == 1

    async def test_later_messages_of_a_conversation_wait(self, outbox: Outbox) -> None:
        first, second = await outbox.queue(), await outbox.queue()
        claims = await outbox.claim(second, first)
        assert [item.response.message_id for item in claims.claimed] == [str(first)]
        assert [item.message_id for item in claims.blocked] == [str(second)]
        await outbox.settle(first, "sent")
        assert len((await outbox.claim(second)).claimed) == 1

    async def test_a_newer_message_voids_a_bot_reply_and_opens_the_question_again(self, outbox: Outbox) -> None:
        reply = await outbox.queue(epoch=1)
        await outbox.sql(f"UPDATE message_log SET answered_by = '{reply}' WHERE direction = 'inbound' RETURNING id")
        await outbox.sql("DELETE FROM pending_turn RETURNING id")
        await outbox.hear("one more thing")
        await outbox.sql("DELETE FROM pending_turn RETURNING id")
        claims = await outbox.claim(reply)
        assert not claims.claimed
        assert [item.message_id for item in claims.voided] == [str(reply)]
        assert await outbox.state(reply) == ("void", "void")
        assert not await outbox.sql("SELECT id FROM message_log WHERE answered_by IS NOT NULL")
        assert len(await outbox.sql("SELECT id FROM pending_turn")) == 1

    async def test_a_person_in_charge_voids_a_bot_reply(self, outbox: Outbox) -> None:
        reply = await outbox.queue(epoch=1)
        await outbox.sql("DELETE FROM pending_turn RETURNING id")
        await outbox.sql("UPDATE conversation SET owner = 'human' RETURNING id")
        assert (await outbox.claim(reply)).voided
        assert not await outbox.sql("SELECT id FROM pending_turn")

    async def test_a_persons_reply_is_never_void(self, outbox: Outbox) -> None:
        reply = await outbox.queue(author="agent", epoch=None)
        await outbox.hear("one more thing")
        assert (await outbox.claim(reply)).claimed


class TestSettle:
    async def test_sent(self, outbox: Outbox) -> None:
        message_id = await outbox.queue()
        await outbox.claim(message_id)
        assert await outbox.settle(message_id, "sent", external_id="wamid.7") == {str(message_id)}
        assert await outbox.state(message_id) == ("sent", "sent")

    async def test_failed_says_why(self, outbox: Outbox) -> None:
        message_id = await outbox.queue()
        await outbox.claim(message_id)
        await outbox.settle(message_id, "failed", error={"code": "131026", "message": "not on WhatsApp"})
        assert await outbox.state(message_id) == ("failed", "failed")
        (row,) = await outbox.sql("SELECT error FROM message_log WHERE direction = 'outbound'")
        assert row["error"] == {"code": "131026", "message": "not on WhatsApp"}

    async def test_a_retry_waits_for_its_time(self, outbox: Outbox) -> None:
        message_id = await outbox.queue()
        await outbox.claim(message_id)
        await outbox.settle(message_id, "retry", delay=60.0)
        assert await outbox.due() == []
        await outbox.make_due()
        assert await outbox.due() == [str(message_id)]
        (claimed,) = (await outbox.claim(message_id)).claimed
        assert (claimed.attempts, claimed.in_doubt) == (2, 0)

    async def test_a_sender_that_lost_its_claim_settles_nothing(self, outbox: Outbox) -> None:
        message_id = await outbox.queue()
        await outbox.claim(message_id)
        assert await outbox.settle(message_id, "sent", token=new_id()) == set()
        assert await outbox.state(message_id) == ("sending", "queued")


class TestTakeDue:
    async def test_a_message_that_nobody_claimed_comes_again_less_and_less_often(self, outbox: Outbox) -> None:
        message_id = await outbox.queue()
        assert await outbox.due() == []
        waits = []
        for _ in range(2):
            await outbox.make_due()
            assert await outbox.due() == [str(message_id)]
            (row,) = await outbox.sql("SELECT EXTRACT(EPOCH FROM next_attempt_at - now()) AS wait FROM delivery")
            waits.append(float(str(row["wait"])))
        assert waits[1] > waits[0] * 1.5

    async def test_a_sender_that_died_leaves_its_message_in_doubt(self, outbox: Outbox) -> None:
        message_id = await outbox.queue()
        await outbox.claim(message_id)
        assert await outbox.due() == []
        await outbox.make_due()
        assert await outbox.due() == [str(message_id)]
        (claimed,) = (await outbox.claim(message_id, token=new_id())).claimed
        assert claimed.in_doubt == 1

    async def test_settled_messages_stay_settled(self, outbox: Outbox) -> None:
        message_id = await outbox.queue()
        await outbox.claim(message_id)
        await outbox.settle(message_id, "sent")
        await outbox.make_due()
        assert await outbox.due() == []


class TestApplyStatuses:
    async def test_the_platforms_word_settles_a_send_in_doubt(self, outbox: Outbox) -> None:
        message_id = await outbox.queue()
        await outbox.claim(message_id)
        assert await outbox.report(DeliveryStatus.SENT, message_id) == 1
        assert await outbox.state(message_id) == ("sent", "sent")
        await outbox.make_due()
        assert await outbox.due() == []

    @pytest.mark.parametrize(
        ("order", "final"),
        [
            (["sent", "delivered", "read"], "read"),
            (["read", "delivered", "sent"], "read"),
            (["delivered", "sent"], "delivered"),
            (["sent", "failed"], "failed"),
        ],
    )
    async def test_only_rises(self, outbox: Outbox, order: list[str], final: str) -> None:
        message_id = await outbox.queue()
        await outbox.claim(message_id)
        await outbox.settle(message_id, "sent", external_id="wamid.1")
        for status in order:
            await outbox.report(DeliveryStatus(status), None)
        assert (await outbox.state(message_id))[1] == final

    async def test_another_account_cannot_report_on_our_message(self, outbox: Outbox) -> None:
        message_id = await outbox.queue()
        stranger = PlatformStatus(
            channel_config_id=str(new_id()), external_id="x", status=DeliveryStatus.READ, message_id=str(message_id)
        )
        async with outbox.database.across_tenants() as session:
            assert await apply_statuses(session, [stranger]) == {}
        assert await outbox.state(message_id) == ("published", "queued")
