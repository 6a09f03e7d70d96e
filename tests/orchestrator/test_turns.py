"""Turns against real engines: burst, order, epoch, lease, ownership and handover."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import pytest_asyncio
from redis.asyncio import Redis
from sqlalchemy import text

from packages.core.config import DeliverySettings, Settings, TurnSettings
from packages.core.db.base import new_id
from packages.core.db.session import Database
from packages.core.domain.messages import Attachment
from packages.rag.documents import Scope
from packages.rag.embeddings.hashing import HashingEmbedder
from packages.rag.ingest import Upload, ingest_document
from packages.rag.retrieval import Knowledge
from packages.rag.vector_store.pgvector import PgVectorStore
from services.orchestrator import turns_sql
from services.orchestrator.engine.llm.chain import Chain
from services.orchestrator.engine.turn import Engine
from services.orchestrator.intake import Intake
from services.orchestrator.relay import Relay
from services.orchestrator.turns import Turns
from services.orchestrator.turns_sql import DueTurn, LostLease, Reply
from tests.factories.accounts import TenantWithBrand, make_tenant
from tests.factories.knowledge import document, make_source
from tests.factories.pipeline import make_channel, message_event

ARTICLE = "forgot-your-password.md"


class Talk:
    """A tenant with one indexed article and a channel; intake and turns as in the orchestrator."""

    def __init__(self, database: Database, redis: Redis, owner: TenantWithBrand, channel: UUID, **turn: float) -> None:
        self.database, self.redis, self.owner, self.channel = database, redis, owner, channel
        self.settings = Settings(
            _env_file=None,
            turn=TurnSettings.model_validate({"debounce_seconds": 0.2, "lease_seconds": 3} | turn),
            delivery=DeliverySettings(),
        )
        self.knowledge = Knowledge(database=database, store=PgVectorStore(database), embedder=HashingEmbedder())
        self.relay = Relay(database, redis, self.settings.delivery)
        self.turns = Turns(database, redis, Engine(self.knowledge, Chain([])), self.relay, self.settings)
        self.intake = Intake(database, redis, self.settings.turn, self.turns.wake)

    async def learn(self) -> None:
        scope = Scope(tenant_id=self.owner.tenant_id, brand_id=self.owner.brand_id)
        source_id = await make_source(self.database, scope, "Forgot your password")
        upload = Upload(
            data=document(ARTICLE), media_type="text/markdown", title="Forgot your password", filename=ARTICLE
        )
        await ingest_document(self.knowledge, scope, source_id, upload)

    async def hear(self, *texts: str, sender: str = "15550001", **more: object) -> None:
        events = [message_event(self.owner, self.channel, words, sender=sender, **more) for words in texts]
        await self.intake.take(events)

    async def claim(self, slots: int = 10) -> list[DueTurn]:
        async with self.database.across_tenants() as session:
            return await turns_sql.claim(session, slots=slots, lease_seconds=30, busy=[])

    async def claim_soon(self) -> list[DueTurn]:
        async with self.database.across_tenants() as session:
            await session.execute(text("UPDATE pending_turn SET due_at = now()"))
        return await self.claim()

    async def commit(self, turn: DueTurn, words: str = "an answer", *, max_voids: int = 3) -> str | None:
        async with self.database.tenant(turn.tenant_id) as session:
            response = await turns_sql.commit(
                session, turn, Reply(text=words), max_voids=max_voids, offer_seconds=60, republish_seconds=15
            )
        return response.message_id if response else None

    async def sql(self, query: str) -> list[dict[str, object]]:
        async with self.database.across_tenants() as session:
            return [dict(row) for row in (await session.execute(text(query))).mappings()]

    async def replies(self) -> list[dict[str, object]]:
        return await self.sql("SELECT * FROM message_log WHERE direction = 'outbound' ORDER BY seq")

    async def until_quiet(self) -> None:
        async with asyncio.timeout(30):
            while await self.sql("SELECT id FROM pending_turn"):
                await asyncio.sleep(0.02)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self.turns.run())
        yield
        self.turns.stop()
        await task


@pytest_asyncio.fixture
async def talk(database: Database, redis: Redis) -> Talk:
    owner = await make_tenant(database)
    return Talk(database, redis, owner, await make_channel(database, owner))


class TestRun:
    async def test_answers_from_knowledge_with_citation_context_and_trace(self, talk: Talk) -> None:
        await talk.learn()
        await talk.hear("I forgot my password, how do I reset it?")
        async with talk.running():
            await talk.until_quiet()
        (reply,) = await talk.replies()
        assert "password" in str(reply["text"]).lower()
        citations: Any = reply["citations"]
        citation = citations[0]
        (chunk,) = await talk.sql(f"SELECT text FROM knowledge_chunk WHERE id = '{citation['chunk_id']}'")
        assert citation["quote"] in str(chunk["text"])
        assert reply["context"]
        assert reply["trace"]["hits"]  # type: ignore[index]
        (ledger,) = await talk.sql("SELECT state FROM inbound_ledger")
        assert ledger["state"] == "answered"

    async def test_does_not_know_what_is_not_there_and_offers_a_person(self, talk: Talk) -> None:
        await talk.hear("What is the capital of Mongolia?")
        async with talk.running():
            await talk.until_quiet()
        (reply,) = await talk.replies()
        assert reply["trace"]["abstained"]  # type: ignore[index]
        assert reply["trace"]["offer_person"]  # type: ignore[index]

    async def test_three_messages_within_a_second_get_one_answer(self, talk: Talk) -> None:
        async with talk.running():
            for words in ("Hi, I have", "a question about my", "password reset"):
                await talk.hear(words)
                await asyncio.sleep(0.05)
            await talk.until_quiet()
        (reply,) = await talk.replies()
        answered = await talk.sql("SELECT answered_by FROM message_log WHERE direction = 'inbound'")
        assert {row["answered_by"] for row in answered} == {reply["id"]}

    async def test_conversations_are_answered_side_by_side_each_once(self, talk: Talk) -> None:
        async with talk.running():
            await asyncio.gather(*(talk.hear(f"question {n}", sender=f"1555{n}") for n in range(30)))
            await talk.until_quiet()
        rows = await talk.sql(
            "SELECT conversation_id, count(*) AS n FROM message_log WHERE direction = 'outbound' GROUP BY 1"
        )
        assert len(rows) == 30
        assert {row["n"] for row in rows} == {1}

    async def test_the_text_in_a_picture_is_part_of_the_question(self, talk: Talk) -> None:
        await talk.learn()
        photo = Attachment(kind="image", external_id="media-1", media_type="image/png")
        await talk.hear("", kind="image", attachments=(photo,))
        async with talk.database.across_tenants() as session:
            await session.execute(text("UPDATE media SET text = 'I forgot my password, how do I reset it?'"))
            await session.execute(text("UPDATE pending_turn SET due_at = now()"))
        async with talk.running():
            await talk.until_quiet()
        (reply,) = await talk.replies()
        assert "password" in str(reply["text"]).lower()
        assert reply["citations"]

    async def test_a_reaction_is_no_question(self, talk: Talk) -> None:
        await talk.hear("👍", kind="reaction", target="wamid.unknown")
        await talk.hear("hello")
        (turn,) = await talk.claim_soon()
        assert [(message.kind, message.is_open) for message in turn.messages] == [("reaction", False), ("text", True)]

    async def test_the_reply_goes_onto_the_stream(self, talk: Talk) -> None:
        await talk.hear("hello there")
        async with talk.running():
            await talk.until_quiet()
        assert await talk.redis.xlen("parley:outbound") == 1

    async def test_a_wish_for_a_person_offers_the_conversation(self, talk: Talk) -> None:
        await talk.hear("I want to talk to a human")
        async with talk.running():
            await talk.until_quiet()
        (conversation,) = await talk.sql("SELECT owner, owner_reason, offered_until > now() AS open FROM conversation")
        assert conversation == {"owner": "offered", "owner_reason": "asked for", "open": True}
        assert len(await talk.replies()) == 1

    async def test_an_offer_that_nobody_takes_ends_and_the_customer_is_told(self, talk: Talk) -> None:
        await talk.hear("I want to talk to a human")
        async with talk.running():
            await talk.until_quiet()
            await talk.sql("UPDATE conversation SET offered_until = now() RETURNING id")
            async with asyncio.timeout(10):
                while len(await talk.replies()) < 2:
                    await asyncio.sleep(0.05)
        (conversation,) = await talk.sql("SELECT owner FROM conversation")
        assert conversation["owner"] == "bot"
        assert "nobody is free" in str((await talk.replies())[1]["text"])

    async def test_a_picture_without_words_gets_an_honest_answer(self, talk: Talk) -> None:
        await talk.hear("", kind="image")
        async with talk.running():
            await talk.until_quiet()
        (reply,) = await talk.replies()
        assert "only read text" in str(reply["text"])

    async def test_a_turn_whose_process_died_is_taken_over(self, talk: Talk) -> None:
        await talk.hear("hello")
        await asyncio.sleep(0.25)
        (dead,) = await talk.claim()
        await talk.sql("UPDATE pending_turn SET lease_until = now() RETURNING id")
        async with talk.running():
            await talk.until_quiet()
        assert len(await talk.replies()) == 1
        try:
            await talk.commit(dead)
            raise AssertionError("a lost lease must not commit")
        except LostLease:
            assert len(await talk.replies()) == 1


class TestCommit:
    async def _claimed(self, talk: Talk) -> DueTurn:
        await talk.hear("hello")
        await asyncio.sleep(0.25)
        (turn,) = await talk.claim()
        return turn

    async def test_a_newer_message_voids_the_reply_and_both_get_one(self, talk: Talk) -> None:
        turn = await self._claimed(talk)
        await talk.hear("wait, one more thing")
        assert await talk.commit(turn) is None
        async with talk.running():
            await talk.until_quiet()
        (reply,) = await talk.replies()
        answered = await talk.sql("SELECT answered_by FROM message_log WHERE direction = 'inbound'")
        assert [row["answered_by"] for row in answered] == [reply["id"], reply["id"]]

    async def test_a_customer_who_never_stops_is_answered_all_the_same(self, talk: Talk) -> None:
        turn = await self._claimed(talk)
        await talk.hear("and another thing")
        assert await talk.commit(turn, max_voids=0)
        waiting = await talk.sql("SELECT id FROM message_log WHERE direction = 'inbound' AND answered_by IS NULL")
        assert len(waiting) == 1
        assert len(await talk.sql("SELECT id FROM pending_turn")) == 1

    async def test_a_person_in_charge_silences_the_bot(self, talk: Talk) -> None:
        turn = await self._claimed(talk)
        await talk.sql("UPDATE conversation SET owner = 'human' RETURNING id")
        assert await talk.commit(turn) is None
        assert not await talk.replies()
        assert not await talk.sql("SELECT id FROM pending_turn")


class TestClaim:
    async def test_a_busy_tenant_does_not_go_before_the_others(self, talk: Talk, database: Database) -> None:
        await talk.hear(*[f"n {n}" for n in range(1)])
        for n in range(20):
            await talk.hear("busy", sender=f"1666{n}")
        quiet = await make_tenant(database, "quiet")
        channel = await make_channel(database, quiet)
        await talk.intake.take([message_event(quiet, channel, "hello")])
        await asyncio.sleep(0.25)
        claimed = await talk.claim(slots=2)
        assert {turn.tenant_id for turn in claimed} == {talk.owner.tenant_id, quiet.tenant_id}

    async def test_each_turn_is_claimed_once(self, talk: Talk) -> None:
        for n in range(10):
            await talk.hear("hello", sender=f"1777{n}")
        await asyncio.sleep(0.25)
        ids: list[UUID] = []
        for _ in range(5):  # claims at the same moment may see the same candidates, and then get fewer
            batches = await asyncio.gather(*(talk.claim(slots=4) for _ in range(5)))
            ids += [turn.conversation_id for batch in batches for turn in batch]
        assert len(ids) == len(set(ids)) == 10

    async def test_a_burst_is_not_due_before_its_quiet_time(self, talk: Talk) -> None:
        await talk.hear("hello")
        assert await talk.claim() == []

    async def test_a_reply_that_was_not_sent_is_no_part_of_history(self, talk: Talk) -> None:
        await talk.hear("hello")
        await talk.sql(
            "INSERT INTO message_log (id, tenant_id, conversation_id, direction, author, kind, text, content, status,"
            f" citations, context, sent_at, created_at) SELECT '{new_id()}', tenant_id, id, 'outbound', 'bot', 'text',"
            " 'void words', '{}', 'void', '[]', '[]', now(), now() FROM conversation RETURNING id"
        )
        await asyncio.sleep(0.25)
        (turn,) = await talk.claim()
        assert [message.text for message in turn.messages] == ["hello"]
