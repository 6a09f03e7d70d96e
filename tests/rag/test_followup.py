"""What is searched for."""

import pytest

from packages.rag.followup import search_text

EARLIER = ["Hello there", "How long do refunds take?"]


@pytest.mark.parametrize("question", ["And for business accounts?", "What about gift cards?", "How much is it?"])
def test_a_leaning_question_takes_the_one_before_it_along(question: str) -> None:
    assert search_text(question, EARLIER) == f"How long do refunds take? {question}"


def test_a_chain_of_leaning_questions_goes_back_to_what_it_is_about() -> None:
    said = [*EARLIER, "And for business accounts?"]
    assert search_text("And abroad?", said) == "How long do refunds take? And for business accounts? And abroad?"


@pytest.mark.parametrize(
    "question", ["Where are you located?", "Refund?", "Do you sell gift cards to business customers in Spain?"]
)
def test_a_question_of_its_own_stands_alone(question: str) -> None:
    assert search_text(question, EARLIER) == question


@pytest.mark.parametrize("earlier", [[], ["  "]])
def test_without_history_there_is_nothing_to_lean_on(earlier: list[str]) -> None:
    assert search_text("And it?", earlier) == "And it?"
