"""The sender between a real outbox, a real stream and a scripted platform."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID

import aiohttp
import pytest
import pytest_asyncio
from redis.asyncio import Redis
from sqlalchemy import text

from packages.core import streams
from packages.core.config import DeliverySettings, TurnSettings
from packages.core.crypto import SecretBox
from packages.core.db.repositories import deliveries
from packages.core.db.repositories.deliveries import Draft
from packages.core.db.session import Database
from packages.core.db.tables.channels import ChannelConfig
from packages.core.domain.messages import DeliveryStatus
from services.channel_gateway.channels import Channel
from services.channel_gateway.channels.whatsapp import channel as whatsapp
from services.channel_gateway.directory import Directory
from services.channel_gateway.sender import Sender
from services.orchestrator.intake import Intake
from services.orchestrator.relay import Relay
from tests.factories.accounts import TenantWithBrand, make_tenant
from tests.factories.pipeline import SECRET_KEY, message_event, status_event
from tests.fakes.graph_api import GraphAPI

RATE_LIMIT = (400, {"error": {"code": 131056, "message": "pair rate limit"}})
UNDELIVERABLE = (400, {"error": {"code": 131026, "message": "undeliverable"}})


class Post:
    """A conversation on WhatsApp, its outbox, and the sender under test."""

    def __init__(self, database: Database, redis: Redis, owner: TenantWithBrand, channel: UUID) -> None:
        self.database, self.redis, self.owner, self.channel = database, redis, owner, channel
        self.settings = DeliverySettings(
            timeout_seconds=0.5, in_doubt_seconds=0.6, republish_seconds=0.5, max_attempts=4
        )
        self.relay = Relay(database, redis, self.settings)
        self.intake = Intake(database, redis, TurnSettings(), lambda _seconds: None)
        self.api = GraphAPI()
        self.conversation_id = UUID(int=0)

    async def hear(self, words: str = "hello") -> None:
        (taken,) = await self.intake.take([message_event(self.owner, self.channel, words)])
        assert taken.conversation_id
        self.conversation_id = taken.conversation_id

    async def queue(self, words: str = "a reply", *, epoch: int | None = None, publish: bool = True) -> str:
        draft = Draft(
            tenant_id=self.owner.tenant_id,
            brand_id=self.owner.brand_id,
            conversation_id=self.conversation_id,
            channel_config_id=self.channel,
            recipient="15550001",
            author="agent" if epoch is None else "bot",
            text=words,
            epoch=epoch,
        )
        async with self.database.tenant(self.owner.tenant_id) as session:
            response = await deliveries.queue(session, draft, republish_seconds=self.settings.republish_seconds)
        if publish:
            await self.relay.publish([response])
        return response.message_id

    async def state(self, message_id: str) -> str:
        async with self.database.across_tenants() as session:
            return str((await session.execute(text(f"SELECT state FROM delivery WHERE id = '{message_id}'"))).scalar())

    async def until(self, message_id: str, state: str) -> None:
        async with asyncio.timeout(20):
            while await self.state(message_id) != state:
                await asyncio.sleep(0.02)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Sender]:
        plugins_by_name: dict[str, Channel] = {"whatsapp": whatsapp}
        directory = Directory(self.database, self.redis, plugins_by_name, SECRET_KEY)
        async with aiohttp.ClientSession() as http:
            sender = Sender(self.database, self.redis, directory, plugins_by_name, http, self.settings)
            tasks = [asyncio.create_task(sender.run()), asyncio.create_task(self.relay.run())]
            try:
                yield sender
            finally:
                await sender.stop()
                self.relay.stop()
                await asyncio.gather(*tasks)


@pytest_asyncio.fixture
async def post(database: Database, redis: Redis) -> AsyncIterator[Post]:
    owner = await make_tenant(database)
    made = Post(database, redis, owner, UUID(int=0))
    base = await made.api.start()
    secrets = {"phone_number_id": "1", "access_token": "t", "app_secret": "s", "verify_token": "v"}
    row = ChannelConfig(
        tenant_id=owner.tenant_id,
        brand_id=owner.brand_id,
        channel="whatsapp",
        name="WhatsApp",
        account_id="1",
        credentials=SecretBox(SECRET_KEY).seal(secrets),
        settings={"api_base": base},
    )
    async with database.tenant(owner.tenant_id) as session:
        session.add(row)
    made.channel = row.id
    await made.hear()
    yield made
    await made.api.stop()


class TestSender:
    async def test_sends_once_and_notes_the_platforms_id(self, post: Post) -> None:
        message_id = await post.queue("Hello from us")
        async with post.running():
            await post.until(message_id, "sent")
        assert post.api.message_ids == [message_id]
        assert post.api.accepted[0]["text"]["body"] == "Hello from us"

    async def test_a_repeated_stream_entry_is_sent_once(self, post: Post) -> None:
        message_id = await post.queue()
        entries = await post.redis.xrange(streams.OUTBOUND)
        for _ in range(3):
            await post.redis.xadd(streams.OUTBOUND, entries[0][1])
        async with post.running():
            await post.until(message_id, "sent")
            await asyncio.sleep(0.3)
        assert post.api.message_ids == [message_id]

    @pytest.mark.parametrize(
        "answer", [RATE_LIMIT, (500, {"error": {"code": 131000}}), (429, {"error": {"code": 130429}})]
    )
    async def test_is_tried_again_when_the_platform_asks_for_it(self, post: Post, answer: object) -> None:
        post.api.script.append(answer)
        message_id = await post.queue()
        async with post.running():
            await post.until(message_id, "retry")
            async with post.database.across_tenants() as session:
                await session.execute(text("UPDATE delivery SET next_attempt_at = now()"))
            await post.until(message_id, "sent")
        assert post.api.attempts == 2

    async def test_a_permanent_refusal_fails_at_once_with_the_reason(self, post: Post) -> None:
        post.api.script.append(UNDELIVERABLE)
        message_id = await post.queue()
        async with post.running():
            await post.until(message_id, "failed")
        assert post.api.attempts == 1

    async def test_a_message_waits_for_the_one_before_it(self, post: Post) -> None:
        post.api.script.append((500, {"error": {"code": 131000}}))
        ids = [await post.queue(f"part {n}") for n in range(4)]
        async with post.running():
            await post.until(ids[0], "retry")
            assert post.api.accepted == []
            async with post.database.across_tenants() as session:
                await session.execute(text("UPDATE delivery SET next_attempt_at = now() WHERE state = 'retry'"))
            for one in ids:
                await post.until(one, "sent")
        assert post.api.message_ids == ids

    async def test_a_lost_answer_is_settled_by_the_platforms_status_without_a_second_send(self, post: Post) -> None:
        post.api.script.append("hang")
        message_id = await post.queue()
        async with post.running():
            async with asyncio.timeout(10):
                while not post.api.accepted:
                    await asyncio.sleep(0.02)
            await post.intake.take([status_event(post.owner, post.channel, DeliveryStatus.SENT, message_id=message_id)])
            await asyncio.sleep(2.5)
        assert await post.state(message_id) == "sent"
        assert post.api.message_ids == [message_id]

    async def test_a_lost_answer_without_any_status_is_repeated_after_the_doubt(self, post: Post) -> None:
        post.api.script.append("hang")
        message_id = await post.queue()
        async with post.running():
            await post.until(message_id, "sent")
        assert post.api.message_ids == [message_id, message_id]

    async def test_an_emptied_redis_delays_but_loses_nothing(self, post: Post) -> None:
        message_id = await post.queue()
        await post.redis.flushall()
        async with post.running():
            await post.until(message_id, "sent")
        assert post.api.message_ids == [message_id]

    async def test_a_message_that_was_never_published_is_swept(self, post: Post) -> None:
        message_id = await post.queue(publish=False)
        async with post.running():
            await post.until(message_id, "sent")
        assert post.api.message_ids == [message_id]

    async def test_a_reply_that_a_newer_message_overtook_is_not_sent(self, post: Post) -> None:
        message_id = await post.queue(epoch=1)
        await post.hear("one more thing")
        async with post.running():
            await post.until(message_id, "void")
        assert post.api.attempts == 0

    async def test_a_platform_that_is_down_is_tried_until_the_attempts_are_used_up(self, post: Post) -> None:
        await post.api.stop()
        message_id = await post.queue()
        async with post.running():
            for _ in range(post.settings.max_attempts):
                async with asyncio.timeout(10):
                    while await post.state(message_id) not in {"retry", "failed"}:
                        await asyncio.sleep(0.02)
                async with post.database.across_tenants() as session:
                    await session.execute(text("UPDATE delivery SET next_attempt_at = now() WHERE state = 'retry'"))
            await post.until(message_id, "failed")
        await post.api.start()
        assert post.api.accepted == []
