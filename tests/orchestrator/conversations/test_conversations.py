"""The agents' inbox: lists, one conversation, and what agents do with it."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
import pytest
import pytest_asyncio
from redis.asyncio import Redis
from sqlalchemy import select, text
from sqlmodel import col

from packages.core import streams
from packages.core.db.base import new_id
from packages.core.db.repositories import deliveries
from packages.core.db.repository import get
from packages.core.db.tables.brands import Brand
from packages.core.db.tables.conversations import Conversation, MessageLog, PendingTurn
from packages.core.db.tables.deliveries import Delivery
from packages.core.domain.messages import OutboundResponse
from services.orchestrator.intake import Intake
from tests.factories.companies import Company, Installation
from tests.factories.pipeline import make_channel, message_event


class Talk:
    """A conversation of acme's, and what stands in the database about it."""

    def __init__(self, installation: Installation, company: Company, channel: UUID, conversation_id: UUID) -> None:
        self.installation, self.company = installation, company
        self.channel, self.id = channel, conversation_id

    @property
    def path(self) -> str:
        return f"/v1/conversations/{self.id}"

    async def hear(self, words: str, sender: str = "15550001") -> UUID:
        event = message_event(self.company.owner, self.channel, words, sender=sender)
        taken = (await self.installation.parts.get(Intake).take([event]))[0]
        assert taken.conversation_id
        return taken.conversation_id

    async def say(self, words: str, *, epoch: int, context: list[dict[str, Any]] | None = None) -> UUID:
        """A bot reply, as a turn commits it."""
        row = await self.row()
        draft = deliveries.Draft(
            tenant_id=row.tenant_id,
            brand_id=row.brand_id,
            conversation_id=row.id,
            channel_config_id=row.channel_config_id,
            recipient=row.recipient,
            author="bot",
            text=words,
            epoch=epoch,
            citations=[{"chunk_id": "c1", "quote": "q"}],
            context=context or [],
        )
        async with self.installation.database.tenant(self.company.tenant_id) as session:
            await deliveries.queue(session, draft, republish_seconds=60)
        return draft.id

    async def row(self) -> Conversation:
        async with self.installation.database.tenant(self.company.tenant_id) as session:
            return await get(session, Conversation, self.id)

    async def rows(self, table: type[Any]) -> list[Any]:
        query = select(table).where(col(table.conversation_id) == self.id).order_by(text("created_at"))
        async with self.installation.database.tenant(self.company.tenant_id) as session:
            return list((await session.execute(query)).scalars())

    async def open_messages(self) -> list[MessageLog]:
        rows = await self.rows(MessageLog)
        return [row for row in rows if row.direction == "inbound" and row.answered_by is None]


@pytest_asyncio.fixture
async def talk(installation: Installation, acme: Company) -> Talk:
    channel = await make_channel(installation.database, acme.owner)
    talk = Talk(installation, acme, channel, new_id())
    talk.id = await talk.hear("Where is my order?")
    return talk


async def published(redis: Redis) -> list[OutboundResponse]:
    entries = await redis.xrange(streams.OUTBOUND)
    return [msgspec.json.decode(fields[b"d"], type=OutboundResponse) for _, fields in entries]


class TestList:
    async def test_shows_who_wrote_what_last(self, acme: Company, talk: Talk) -> None:
        await acme.agent.post(f"{talk.path}/notes", json={"text": "for colleagues"})
        item = (await acme.viewer.get("/v1/conversations")).json()["items"][0]
        assert (item["id"], item["brand_id"], item["channel"]) == (str(talk.id), str(acme.brand_id), "whatsapp")
        assert (item["status"], item["owner"], item["assignee_id"]) == ("open", "bot", None)
        assert (item["customer"]["name"], item["customer"]["address"]) == ("Robin", "15550001")
        assert (item["last_message"]["author"], item["last_message"]["text"]) == ("customer", "Where is my order?")

    async def test_newest_message_first_over_pages(self, acme: Company, talk: Talk) -> None:
        others = [await talk.hear("Hello", sender=f"1555001{number}") for number in range(3)]
        await talk.hear("Still waiting")
        seen: list[str] = []
        cursor = None
        for _ in range(2):
            params = {"limit": 2} | ({"cursor": cursor} if cursor else {})
            page = (await acme.viewer.get("/v1/conversations", params=params)).json()
            seen += [item["id"] for item in page["items"]]
            cursor = page["next_cursor"]
        assert seen == [str(talk.id), *(str(other) for other in reversed(others))]
        assert cursor is None

    @pytest.mark.parametrize(
        ("params", "found"),
        [
            ({"status": "open"}, 1),
            ({"status": "resolved"}, 0),
            ({"owner": "bot"}, 1),
            ({"owner": "human"}, 0),
            ({"q": "my ORDER"}, 1),
            ({"q": "robin"}, 1),
            ({"q": "5550001"}, 1),
            ({"q": "elephant"}, 0),
            ({"q": "%"}, 0),
            ({"q": "_"}, 0),
            ({"brand_id": str(new_id())}, 0),
        ],
    )
    async def test_filters(self, acme: Company, talk: Talk, params: dict[str, str], found: int) -> None:
        assert len((await acme.viewer.get("/v1/conversations", params=params)).json()["items"]) == found

    @pytest.mark.parametrize("params", [{"status": "closed"}, {"owner": "nobody"}, {"brand_id": "x"}])
    async def test_malformed(self, acme: Company, params: dict[str, str]) -> None:
        assert (await acme.viewer.get("/v1/conversations", params=params)).status_code == 422


class TestRead:
    async def test_shows_context_citations_and_delivery(self, acme: Company, talk: Talk) -> None:
        snippet = {"chunk_id": "c1", "title": "Orders", "text": "Orders ship on Monday.", "score": 1.0}
        bot = await talk.say("On Monday. [1]", epoch=1, context=[snippet])
        async with talk.installation.database.tenant(acme.tenant_id) as session:
            message = await get(session, MessageLog, bot)
            message.status, message.error = "failed", {"code": "131026", "message": "not on WhatsApp"}
        shown = (await acme.viewer.get(talk.path)).json()
        assert [(m["author"], m["direction"], m["status"]) for m in shown["messages"]] == [
            ("customer", "inbound", "received"),
            ("bot", "outbound", "failed"),
        ]
        assert shown["messages"][0]["external_id"].startswith("wamid.")
        assert shown["messages"][1]["context"] == [snippet]
        assert shown["messages"][1]["citations"] == [{"chunk_id": "c1", "quote": "q"}]
        assert shown["messages"][1]["error"]["code"] == "131026"
        assert shown["before"] is None

    async def test_pages_back(self, acme: Company, talk: Talk) -> None:
        async with talk.installation.database.tenant(acme.tenant_id) as session:
            session.add_all(
                MessageLog(
                    tenant_id=acme.tenant_id,
                    conversation_id=talk.id,
                    direction="inbound",
                    author="customer",
                    text=str(number),
                )
                for number in range(250)
            )
        latest = (await acme.viewer.get(talk.path)).json()
        older = (await acme.viewer.get(talk.path, params={"before": latest["before"]})).json()
        assert (len(latest["messages"]), len(older["messages"])) == (200, 51)
        texts = [message["text"] for message in older["messages"] + latest["messages"]]
        assert texts == ["Where is my order?", *map(str, range(250))]
        assert older["before"] is None


class TestReply:
    async def test_reaches_the_stream_and_takes_over(self, acme: Company, talk: Talk, redis: Redis) -> None:
        epoch = (await talk.row()).epoch
        answer = await acme.agent.post(f"{talk.path}/messages", json={"text": "It ships today."})
        assert answer.status_code == 201
        assert (answer.json()["author"], answer.json()["status"]) == ("agent", "queued")
        assert answer.json()["author_id"] == str(acme.agent_id)
        row = await talk.row()
        assert (row.owner, row.assignee_id, row.epoch) == ("human", acme.agent_id, epoch + 1)
        sent = await published(redis)
        assert [(message.author, message.text) for message in sent] == [
            ("system", "agent has joined and answers you from here."),
            ("agent", "It ships today."),
        ]
        assert {message.recipient for message in sent} == {"15550001"}
        delivered = await talk.rows(Delivery)
        assert [(item.state, item.epoch) for item in delivered] == [("published", None)] * 2

    async def test_answers_what_was_open(self, acme: Company, talk: Talk) -> None:
        await acme.agent.post(f"{talk.path}/messages", json={"text": "It ships today."})
        assert await talk.open_messages() == []
        assert await talk.rows(PendingTurn) == []
        ledger = (await acme.agent.get("/v1/ledger")).json()["items"]
        assert [item["state"] for item in ledger] == ["answered"]

    async def test_voids_a_bot_reply_on_its_way(self, acme: Company, talk: Talk) -> None:
        bot = await talk.say("From the bot", epoch=(await talk.row()).epoch)
        await acme.agent.post(f"{talk.path}/messages", json={"text": "From a person"})
        async with talk.installation.database.across_tenants() as session:
            claims = await deliveries.claim(session, {bot: 1.0}, new_id())
        assert [message.text for message in claims.voided] == ["From the bot"]
        assert claims.claimed == []

    async def test_second_one_tells_nothing_twice(self, acme: Company, talk: Talk, redis: Redis) -> None:
        for words in ("One", "Two"):
            await acme.agent.post(f"{talk.path}/messages", json={"text": words})
        assert [message.author for message in await published(redis)] == ["system", "agent", "agent"]

    async def test_brand_may_leave_notices_out(self, acme: Company, talk: Talk, redis: Redis) -> None:
        async with talk.installation.database.tenant(acme.tenant_id) as session:
            (await get(session, Brand, acme.brand_id)).settings = {"handover_notices": False}
        await acme.agent.post(f"{talk.path}/messages", json={"text": "One"})
        assert [message.author for message in await published(redis)] == ["agent"]

    @pytest.mark.parametrize("body", [{"text": ""}, {}, {"text": "x", "surprise": []}])
    async def test_malformed(self, acme: Company, talk: Talk, body: dict[str, Any]) -> None:
        assert (await acme.agent.post(f"{talk.path}/messages", json=body)).status_code == 422

    async def test_viewers_do_not_answer(self, acme: Company, talk: Talk) -> None:
        assert (await acme.viewer.post(f"{talk.path}/messages", json={"text": "x"})).status_code == 403


class TestNote:
    @pytest.mark.parametrize(
        ("path", "body"), [("notes", {"text": "VIP"}), ("messages", {"text": "VIP", "private": True})]
    )
    async def test_stays_inside(self, acme: Company, talk: Talk, redis: Redis, path: str, body: dict[str, Any]) -> None:
        answer = await acme.agent.post(f"{talk.path}/{path}", json=body)
        assert (answer.status_code, answer.json()["direction"], answer.json()["kind"]) == (201, "internal", "note")
        assert await published(redis) == []
        assert (await talk.row()).owner == "bot"
        assert len((await acme.viewer.get(talk.path)).json()["messages"]) == 2


class TestOwnership:
    async def act(self, company: Company, talk: Talk, action: str, **body: Any) -> Any:
        return await company.agent.post(f"{talk.path}/{action}", json=body or None)

    async def test_takeover_is_repeatable(self, acme: Company, talk: Talk, redis: Redis) -> None:
        epoch = (await talk.row()).epoch
        for _ in range(2):
            answer = await self.act(acme, talk, "takeover")
            assert (answer.status_code, answer.json()["owner"]) == (200, "human")
        row = await talk.row()
        assert (row.epoch, row.assignee_id, row.owner_reason) == (epoch + 1, acme.agent_id, "taken by agent")
        assert [message.author for message in await published(redis)] == ["system"]

    async def test_takeover_of_an_offer_ends_its_deadline(self, acme: Company, talk: Talk) -> None:
        async with talk.installation.database.tenant(acme.tenant_id) as session:
            row = await get(session, Conversation, talk.id)
            row.owner, row.offered_until = "offered", datetime.now(UTC) + timedelta(minutes=5)
        assert (await self.act(acme, talk, "takeover")).json()["offered_until"] is None

    async def test_handback_has_the_bot_answer_what_is_open(self, acme: Company, talk: Talk, redis: Redis) -> None:
        await self.act(acme, talk, "takeover")
        assert await talk.rows(PendingTurn) == []
        await talk.hear("Anyone?")
        epoch = (await talk.row()).epoch
        answer = await self.act(acme, talk, "handback")
        row = await talk.row()
        assert (answer.json()["owner"], row.assignee_id, row.epoch) == ("bot", None, epoch + 1)
        assert [message.text for message in await published(redis)][-1] == "Our assistant answers you again from here."
        assert len(await talk.rows(PendingTurn)) == 1

    async def test_handback_with_nothing_open_waits(self, acme: Company, talk: Talk) -> None:
        await self.act(acme, talk, "messages", text="Done.")
        await self.act(acme, talk, "handback")
        assert await talk.rows(PendingTurn) == []

    async def test_handback_of_what_the_bot_has_changes_nothing(self, acme: Company, talk: Talk) -> None:
        before = await talk.row()
        assert (await self.act(acme, talk, "handback")).status_code == 200
        assert (await talk.row()).epoch == before.epoch

    async def test_assign(self, acme: Company, talk: Talk) -> None:
        admin_id = (await acme.admin.get("/v1/me")).json()["id"]
        assert (await self.act(acme, talk, "assign", assignee_id=admin_id)).json()["assignee_id"] == admin_id
        assert (await self.act(acme, talk, "assign", assignee_id=str(acme.agent_id))).status_code == 200
        assert (await talk.row()).assignee_id == acme.agent_id

    async def test_assign_to_someone_who_cannot_answer(self, acme: Company, talk: Talk) -> None:
        assert (await self.act(acme, talk, "assign", assignee_id=str(acme.viewer_id))).status_code == 409
        await acme.admin.patch(f"/v1/users/{acme.agent_id}", json={"is_active": False})
        answer = await acme.admin.post(f"{talk.path}/assign", json={"assignee_id": str(acme.agent_id)})
        assert answer.status_code == 409

    async def test_resolved_is_closed(self, acme: Company, talk: Talk) -> None:
        for _ in range(2):
            assert (await self.act(acme, talk, "resolve")).json()["status"] == "resolved"
        assert await talk.rows(PendingTurn) == []
        for action, body in [("messages", {"text": "x"}), ("takeover", {}), ("handback", {})]:
            answer = await self.act(acme, talk, action, **body)
            assert (answer.status_code, answer.json()["error"]["code"]) == (409, "conflict")
        assert await talk.hear("One more thing") != talk.id
