"""Knowledge made shorter, by the real embedder."""

import pytest

from packages.rag.embeddings import Embedder
from services.orchestrator.engine.compression import GAP, compress
from services.orchestrator.engine.extractive import ExtractiveAnswerer
from tests.factories.hits import make_hit

SHOP = make_hit(
    "We are a small shop in the old town. Our doors open at nine in the morning. We love coffee and music. "
    "The owner collects stamps. On Mondays we are closed."
)
PARKING = make_hit("The car park behind the house has forty places. Bicycles stand in the yard.")
FAQ = make_hit("Can I bring my dog?\nPets are welcome in all rooms.", kind="faq")
HITS = [SHOP, PARKING, FAQ]
QUESTION = "When do you open in the morning?"


@pytest.fixture
def scorer(embedder: Embedder) -> ExtractiveAnswerer:
    return ExtractiveAnswerer(embedder)


async def test_what_answers_is_kept_under_a_small_budget(scorer: ExtractiveAnswerer, embedder: Embedder) -> None:
    found = await compress(QUESTION, HITS, 12, scorer, embedder)
    assert found.hits[0].text == f"{GAP}\nOur doors open at nine in the morning.\n{GAP}"
    assert found.originals == (SHOP,)
    assert found.tokens_after < found.tokens_before


async def test_every_kept_line_is_verbatim(scorer: ExtractiveAnswerer, embedder: Embedder) -> None:
    found = await compress(QUESTION, HITS, 40, scorer, embedder)
    for short, whole in zip(found.hits, found.originals, strict=True):
        assert short.chunk_id == whole.chunk_id
        assert all(line in whole.text for line in short.text.splitlines() if line != GAP)


async def test_a_larger_budget_keeps_more(scorer: ExtractiveAnswerer, embedder: Embedder) -> None:
    sizes = [(await compress(QUESTION, HITS, budget, scorer, embedder)).tokens_after for budget in (12, 30, 50)]
    assert sizes == sorted(set(sizes))


async def test_within_the_budget_nothing_changes(scorer: ExtractiveAnswerer, embedder: Embedder) -> None:
    found = await compress(QUESTION, HITS, 1000, scorer, embedder)
    assert found.hits == tuple(HITS)
    assert found.tokens_after == found.tokens_before


async def test_an_answer_keeps_its_question(scorer: ExtractiveAnswerer, embedder: Embedder) -> None:
    found = await compress("May I bring my dog?", HITS, 10, scorer, embedder)
    assert found.hits[0].text == FAQ.text


async def test_something_is_left_of_a_budget_too_small(scorer: ExtractiveAnswerer, embedder: Embedder) -> None:
    assert (await compress(QUESTION, HITS, 1, scorer, embedder)).hits


async def test_nothing_stays_nothing(scorer: ExtractiveAnswerer, embedder: Embedder) -> None:
    assert (await compress(QUESTION, [], 10, scorer, embedder)).hits == ()
