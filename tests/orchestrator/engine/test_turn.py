"""Answers over a real index, without any language model."""

import pytest

from packages.core.domain.tenants import BrandProfile
from packages.rag.retrieval import Knowledge
from services.orchestrator.engine.llm.chain import Chain
from services.orchestrator.engine.turn import Engine


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
