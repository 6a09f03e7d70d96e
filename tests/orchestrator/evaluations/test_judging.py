"""Whether an answer is right."""

import pytest

from packages.core.config import EmbeddingSettings
from packages.rag import embeddings
from packages.rag.embeddings import Embedder
from services.orchestrator.evaluations.judging import Expected, Given, judge


@pytest.fixture(scope="module")
def embedder() -> Embedder:
    return embeddings.create(EmbeddingSettings())


def given(text: str = "", *cited: str, abstained: bool = False) -> Given:
    return Given(text=text, abstained=abstained, cited=frozenset(cited))


@pytest.mark.parametrize(
    ("expected", "said", "right"),
    [
        ("Returns are free within 30 days.", "You can return items for free within 30 days. [1]", True),
        ("Returns are free within 30 days.", "Returns are free within 14 days.", False),
        ("You may bring your dog to the office.", "Dogs are allowed in our office.", True),
        ("Returns are free within 30 days.", "Our shop opens at nine on Mondays.", False),
        ("Yes.", "Our shop opens at nine on Mondays.", False),
    ],
)
async def test_the_answer(embedder: Embedder, expected: str, said: str, right: bool) -> None:
    judged = await judge(embedder, Expected(answer=expected), given(said))
    assert judged.answer is right
    assert judged.passed is right


@pytest.mark.parametrize(("cited", "right"), [(("a",), True), (("c", "b"), True), (("c",), False), ((), False)])
async def test_the_source(embedder: Embedder, cited: tuple[str, ...], right: bool) -> None:
    judged = await judge(embedder, Expected(source_ids=frozenset({"a", "b"})), given("Yes.", *cited))
    assert (judged.source, judged.answer, judged.passed) == (right, None, right)


@pytest.mark.parametrize(("abstain", "abstained"), [(True, True), (True, False), (False, True), (False, False)])
async def test_abstention(embedder: Embedder, abstain: bool, abstained: bool) -> None:
    expected = Expected(abstain=True) if abstain else Expected(source_ids=frozenset({"a"}))
    judged = await judge(embedder, expected, given("x", "a", abstained=abstained))
    assert judged.passed is (abstain == abstained)


async def test_a_withheld_answer_fails_every_check(embedder: Embedder) -> None:
    expected = Expected(answer="Returns are free.", source_ids=frozenset({"a"}))
    judged = await judge(embedder, expected, given("I do not know.", abstained=True))
    assert judged.checks() == {"abstention": False, "answer": False, "source": False}
