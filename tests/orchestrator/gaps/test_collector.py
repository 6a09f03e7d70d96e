"""From the message log to gaps and drafts, on real engines."""

import asyncio
from datetime import timedelta

import pytest
import pytest_asyncio
from redis.asyncio import Redis
from sqlalchemy import select
from sqlmodel import col

from packages.core.db.base import now
from packages.core.db.session import Database
from packages.core.db.tables.conversations import Conversation
from packages.core.db.tables.gaps import GapQuestion, KnowledgeGap
from packages.rag.embeddings.hashing import HashingEmbedder
from packages.rag.retrieval import Knowledge
from packages.rag.vector_store.pgvector import PgVectorStore
from services.orchestrator.engine.llm.chain import Chain
from services.orchestrator.engine.turn import Engine
from services.orchestrator.gaps.collector import GapCollector
from services.orchestrator.gaps.regression import Regression
from tests.factories.accounts import TenantWithBrand, make_tenant
from tests.factories.talks import make_talk

NORWAY = "Do you ship parcels to Norway?"


def make_collector(database: Database, redis: Redis) -> GapCollector:
    knowledge = Knowledge(database=database, store=PgVectorStore(database), embedder=HashingEmbedder())
    regression = Regression(database, redis, Engine(knowledge, Chain([])))
    return GapCollector(database, redis, knowledge.embedder, regression, pause_seconds=0.05, settle_seconds=0)


@pytest.fixture
def collector(database: Database, redis: Redis) -> GapCollector:
    return make_collector(database, redis)


@pytest_asyncio.fixture
async def owner(database: Database) -> TenantWithBrand:
    return await make_tenant(database)


async def gaps_of(database: Database, owner: TenantWithBrand) -> list[KnowledgeGap]:
    async with database.tenant(owner.tenant_id) as session:
        return list((await session.scalars(select(KnowledgeGap).order_by(col(KnowledgeGap.id)))).all())


async def questions_of(database: Database, owner: TenantWithBrand) -> list[GapQuestion]:
    async with database.tenant(owner.tenant_id) as session:
        return list((await session.scalars(select(GapQuestion).order_by(col(GapQuestion.replied_at)))).all())


class TestCollect:
    async def test_alike_questions_become_one_gap(
        self, database: Database, collector: GapCollector, owner: TenantWithBrand
    ) -> None:
        talk = await make_talk(database, owner)
        await talk.withheld(NORWAY)
        await talk.withheld("Can you ship parcels to Norway?")
        await talk.withheld("Which coffee grinder is the quietest?")
        assert await collector.collect() == 3
        gaps = await gaps_of(database, owner)
        assert [(gap.question, gap.count, gap.status) for gap in gaps] == [
            (NORWAY, 2, "open"),
            ("Which coffee grinder is the quietest?", 1, "open"),
        ]
        assert gaps[0].first_seen_at < gaps[0].last_seen_at

    async def test_a_reply_is_recorded_once(
        self, database: Database, collector: GapCollector, owner: TenantWithBrand
    ) -> None:
        await (await make_talk(database, owner)).withheld(NORWAY)
        assert [await collector.collect(), await collector.collect()] == [1, 0]
        assert (await gaps_of(database, owner))[0].count == 1

    async def test_two_processes_do_not_count_twice(
        self, database: Database, redis: Redis, owner: TenantWithBrand
    ) -> None:
        talk = await make_talk(database, owner)
        for _ in range(5):
            await talk.withheld(NORWAY)
        await asyncio.gather(*(make_collector(database, redis).collect() for _ in range(3)))
        assert [gap.count for gap in await gaps_of(database, owner)] == [5]
        assert len(await questions_of(database, owner)) == 5

    async def test_the_id_stays_when_more_questions_come(
        self, database: Database, collector: GapCollector, owner: TenantWithBrand
    ) -> None:
        talk = await make_talk(database, owner)
        await talk.withheld(NORWAY)
        await collector.collect()
        first = (await gaps_of(database, owner))[0].id
        await talk.withheld(NORWAY)
        await collector.collect()
        assert [(gap.id, gap.count) for gap in await gaps_of(database, owner)] == [(first, 2)]

    async def test_answers_and_unread_files_are_no_gaps(
        self, database: Database, collector: GapCollector, owner: TenantWithBrand
    ) -> None:
        talk = await make_talk(database, owner)
        await talk.exchange("How much is shipping?", reply="Five euros.", abstained=False, wants_person=False)
        await talk.exchange("", abstained=True, unread=["audio"])
        assert [await collector.collect(), await collector.collect()] == [1, 0]
        assert await gaps_of(database, owner) == []

    async def test_tenants_have_gaps_of_their_own(
        self, database: Database, collector: GapCollector, owner: TenantWithBrand
    ) -> None:
        rival = await make_tenant(database, "rival")
        for company in (owner, rival):
            await (await make_talk(database, company)).withheld(NORWAY)
        await collector.collect()
        ours, theirs = await gaps_of(database, owner), await gaps_of(database, rival)
        assert [gap.count for gap in (*ours, *theirs)] == [1, 1]
        assert ours[0].id != theirs[0].id

    async def test_questions_go_with_their_conversation(
        self, database: Database, collector: GapCollector, owner: TenantWithBrand
    ) -> None:
        talk = await make_talk(database, owner)
        await talk.withheld(NORWAY)
        await collector.collect()
        async with database.tenant(owner.tenant_id) as session:
            await session.delete(await session.get(Conversation, talk.conversation_id))
        assert await questions_of(database, owner) == []

    async def test_an_answered_gap_that_is_asked_again_is_open(
        self, database: Database, collector: GapCollector, owner: TenantWithBrand
    ) -> None:
        talk = await make_talk(database, owner)
        await talk.withheld(NORWAY)
        await collector.collect()
        await self._settle(database, owner, status="answered", answered_at=talk.at)
        await talk.withheld(NORWAY)
        await collector.collect()
        assert (await gaps_of(database, owner))[0].status == "open"

    async def test_a_dismissed_gap_stays_dismissed_and_is_counted(
        self, database: Database, collector: GapCollector, owner: TenantWithBrand
    ) -> None:
        talk = await make_talk(database, owner)
        await talk.withheld(NORWAY)
        await collector.collect()
        await self._settle(database, owner, status="dismissed")
        await talk.withheld(NORWAY)
        await collector.collect()
        assert [(gap.status, gap.count) for gap in await gaps_of(database, owner)] == [("dismissed", 2)]

    async def test_another_embedder_groups_anew(
        self, database: Database, collector: GapCollector, owner: TenantWithBrand
    ) -> None:
        talk = await make_talk(database, owner)
        await talk.withheld(NORWAY)
        await collector.collect()
        await self._settle(database, owner, embedder="a model of old", centroid=bytes(8))
        await talk.withheld(NORWAY)
        await collector.collect()
        gap = (await gaps_of(database, owner))[0]
        assert (gap.count, gap.embedder) == (2, HashingEmbedder().name)

    async def _settle(self, database: Database, owner: TenantWithBrand, **values: object) -> None:
        gap = (await gaps_of(database, owner))[0]
        async with database.tenant(owner.tenant_id) as session:
            row = await session.get(KnowledgeGap, gap.id)
            for name, value in values.items():
                setattr(row, name, value)


class TestDraft:
    async def test_an_agents_answer_becomes_the_draft(
        self, database: Database, collector: GapCollector, owner: TenantWithBrand
    ) -> None:
        talk = await make_talk(database, owner)
        await talk.withheld(NORWAY)
        await talk.agent("Hello!")
        await talk.agent("Yes, we ship parcels to Norway within five days.")
        await collector.collect()
        assert await collector.draft() == 1
        gap = (await gaps_of(database, owner))[0]
        assert (gap.status, gap.draft_question) == ("drafted", NORWAY)
        assert gap.draft_answer == "Yes, we ship parcels to Norway within five days."
        assert await collector.draft() == 0

    async def test_the_answer_that_is_most_like_the_questions_wins(
        self, database: Database, collector: GapCollector, owner: TenantWithBrand
    ) -> None:
        for answer in ("Yes, we ship parcels to Norway.", "Please look at our terms of business."):
            talk = await make_talk(database, owner)
            await talk.withheld(NORWAY)
            await talk.agent(answer)
        await collector.collect()
        await collector.draft()
        assert (await gaps_of(database, owner))[0].draft_answer == "Yes, we ship parcels to Norway."

    async def test_an_admins_own_draft_is_left_alone(
        self, database: Database, collector: GapCollector, owner: TenantWithBrand
    ) -> None:
        talk = await make_talk(database, owner)
        await talk.withheld(NORWAY)
        await collector.collect()
        async with database.tenant(owner.tenant_id) as session:
            gap = (await session.scalars(select(KnowledgeGap))).one()
            gap.draft_answer, gap.status = "We do.", "drafted"
        await talk.agent("Yes, we ship parcels to Norway.")
        await collector.draft()
        assert (await gaps_of(database, owner))[0].draft_answer == "We do."
        assert (await questions_of(database, owner))[0].agent_answer == "Yes, we ship parcels to Norway."

    async def test_an_agent_who_still_writes_is_waited_for(
        self, database: Database, redis: Redis, owner: TenantWithBrand
    ) -> None:
        collector = make_collector(database, redis)
        patient = GapCollector(database, redis, HashingEmbedder(), collector._regression, settle_seconds=60)
        talk = await make_talk(database, owner)
        await talk.withheld(NORWAY)
        await collector.collect()
        talk.at = now() - timedelta(seconds=30)
        await talk.agent("Yes, we ship parcels to Norway.")
        assert [await patient.draft(), await collector.draft()] == [0, 1]


async def test_the_loop_collects_and_stops(database: Database, collector: GapCollector, owner: TenantWithBrand) -> None:
    running = asyncio.create_task(collector.run())
    await (await make_talk(database, owner)).withheld(NORWAY)
    async with asyncio.timeout(10):
        while not await gaps_of(database, owner):
            await asyncio.sleep(0.02)
        collector.stop()
        await running
