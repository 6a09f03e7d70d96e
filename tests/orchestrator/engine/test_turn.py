"""Answers over a real index, without any language model."""

from dataclasses import replace

import pytest
from sqlalchemy.exc import SQLAlchemyError

from packages.core.config import PostgresSettings
from packages.core.db.session import Database
from packages.core.domain.tenants import BrandProfile
from packages.rag.retrieval import Knowledge
from packages.rag.vector_store.pgvector import PgVectorStore
from services.orchestrator.engine.llm.chain import Chain
from services.orchestrator.engine.turn import Engine, HistoryMessage
from services.orchestrator.settings import OrchestratorSettings
from tests.conftest import Engines
from tests.factories.accounts import make_tenant


@pytest.fixture
def engine(knowledge: Knowledge) -> Engine:
    return Engine(knowledge, Chain([]))


@pytest.mark.parametrize(
    ("question", "says"),
    [
        ("How do I delete my account?", "delete"),
        ("I can't remember my password, what now?", "password"),
        ("Why am I locked out?", "lock"),
    ],
)
async def test_a_question_is_answered_with_a_verbatim_citation(
    engine: Engine, brand: BrandProfile, question: str, says: str
) -> None:
    answer = await engine.answer(brand, question)
    assert not answer.abstained
    assert says in answer.text.lower()
    assert "[1]" in answer.text
    snippets = {snippet["chunk_id"]: snippet["text"] for snippet in answer.context}
    for citation in answer.citations:
        assert citation.quote in snippets[citation.chunk_id]


@pytest.mark.parametrize(
    "question",
    ["How do I cook a risotto?", "What is the exchange rate of the euro today?", "Which ATMs accept my card?"],
)
async def test_a_question_off_the_topic_is_withheld_and_a_person_offered(
    engine: Engine, brand: BrandProfile, question: str
) -> None:
    answer = await engine.answer(brand, question)
    assert answer.abstained
    assert answer.offer_person
    assert answer.citations == ()
    assert "I don't know" in answer.text


@pytest.mark.parametrize(
    ("reaction", "abstained", "wants_person"),
    [("withhold", True, False), ("handover", False, True), ("pass", False, False)],
)
async def test_brands_decide_what_follows_a_topic_of_theirs(
    engine: Engine, brand: BrandProfile, reaction: str, abstained: bool, wants_person: bool
) -> None:
    rules = {"off_topic": ["delete my account"], "off_topic_reaction": reaction}
    answer = await engine.answer(replace(brand, settings={"guardrails": rules}), "How do I delete my account?")
    assert (answer.abstained, answer.trace["wants_person"]) == (abstained, wants_person)
    assert bool(answer.citations) is (reaction == "pass")


async def test_a_reply_that_the_guardrails_stop_does_not_go_out(engine: Engine, brand: BrandProfile) -> None:
    rules = {"competitors": ["account"], "competitor_reaction": "withhold"}
    answer = await engine.answer(replace(brand, settings={"guardrails": rules}), "How do I delete my account?")
    assert answer.abstained
    assert {"check": "competitors", "verdict": "withhold", "details": ["account"], "where": "reply"} in answer.trace[
        "guardrails"
    ]


async def test_a_brand_may_ask_for_more_certainty(engine: Engine, brand: BrandProfile) -> None:
    strict = replace(brand, settings={"answer_threshold": 0.999})
    answer = await engine.answer(strict, "Why am I locked out?")
    assert answer.abstained
    assert 0 < answer.confidence < 0.999


async def test_a_follow_up_is_understood_from_the_question_before_it(engine: Engine, brand: BrandProfile) -> None:
    history = [HistoryMessage("customer", "How do I delete my account?"), HistoryMessage("bot", "Like this.")]
    answer = await engine.answer(brand, "And how long does it take?", history)
    assert answer.trace["query"] == "How do I delete my account? And how long does it take?"


async def test_another_tenants_knowledge_is_out_of_reach(engine: Engine, brand: BrandProfile) -> None:
    other = await make_tenant(engine.knowledge.database, "other")
    stranger = replace(brand, id=str(other.brand_id), tenant_id=str(other.tenant_id))
    answer = await engine.answer(stranger, "How do I delete my account?")
    assert answer.abstained
    assert answer.context == ()


async def test_a_lost_database_is_the_callers_to_retry(engine: Engine, brand: BrandProfile) -> None:
    lost = Database("postgresql://nobody:wrong@127.0.0.1:9/none", pool_size=1)
    away = Engine(replace(engine.knowledge, database=lost, store=PgVectorStore(lost)), Chain([]))
    with pytest.raises((OSError, SQLAlchemyError)):
        await away.answer(brand, "How do I delete my account?")
    await lost.close()


class TestCreate:
    async def test_it_is_built_from_the_settings(
        self, engines: Engines, database: Database, brand: BrandProfile
    ) -> None:
        settings = OrchestratorSettings(postgres=PostgresSettings(url=engines.postgres_url), _env_file=None)
        engine = await Engine.create(settings, database)
        answer = await engine.answer(brand, "Why am I locked out?")
        assert answer.trace["drafted_by"] == "extractive"
        await engine.close()

    async def test_replies_pass_through_guardrails_ai_once_it_is_loaded(
        self, engine: Engine, brand: BrandProfile
    ) -> None:
        before = await engine.answer(brand, "Why am I locked out?")
        await engine.load_reply_guard()
        assert (await engine.answer(brand, "Why am I locked out?")).text == before.text
