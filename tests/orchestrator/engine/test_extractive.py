"""Passages chosen by the real embedder."""

import pytest

from packages.rag.embeddings import Embedder
from services.orchestrator.engine.confidence import THRESHOLD
from services.orchestrator.engine.extractive import MAX_SPANS, ExtractiveAnswerer
from tests.factories.hits import make_hit

HOURS = make_hit("We are a small shop. Our doors open at nine in the morning. We love coffee.", title="Shop", dense=0.5)
PETS = make_hit("Can I bring my dog?\nPets are welcome in all rooms.", kind="faq", dense=0.2, coverage=0.0)
STEPS = make_hit(
    "Do this:\n\n1. Open the menu.\n\n2. Choose “Delete”.\n\nYour data is gone at once. Nobody can bring it back.",
    headings=("How to delete your account",),
    dense=0.6,
    coverage=0.9,
)


@pytest.fixture
def answerer(embedder: Embedder) -> ExtractiveAnswerer:
    return ExtractiveAnswerer(embedder)


@pytest.mark.parametrize(
    ("question", "text"),
    [
        ("When do you open in the morning?", "Our doors open at nine in the morning."),
        ("Are animals welcome?", "Pets are welcome in all rooms."),
    ],
)
async def test_the_shortest_passage_that_answers(answerer: ExtractiveAnswerer, question: str, text: str) -> None:
    extract = await answerer.answer(question, [HOURS, PETS])
    assert extract is not None
    assert extract.passages[0].text == text


async def test_a_heading_that_asks_the_question_is_answered_by_its_section(answerer: ExtractiveAnswerer) -> None:
    extract = await answerer.answer("How do I delete my account?", [HOURS, STEPS])
    assert extract is not None
    assert [passage.text for passage in extract.passages] == [STEPS.text]
    assert extract.confidence > THRESHOLD


async def test_nothing_to_the_point_is_not_trusted(answerer: ExtractiveAnswerer) -> None:
    hit = make_hit("We are a small shop. We love coffee.", dense=0.05, coverage=0.0)
    extract = await answerer.answer("What is the capital of Mongolia?", [hit])
    assert extract is not None
    assert extract.confidence < THRESHOLD


async def test_no_hits_no_answer(answerer: ExtractiveAnswerer) -> None:
    assert await answerer.answer("Why?", []) is None


async def test_never_more_than_three_passages(answerer: ExtractiveAnswerer) -> None:
    hits = [make_hit(f"Our {thing} opens at nine.") for thing in ("shop", "bar", "pool", "gym", "spa")]
    extract = await answerer.answer("When do the shop, the bar, the pool, the gym and the spa open?", hits)
    assert extract is not None
    assert 1 <= len(extract.passages) <= MAX_SPANS
