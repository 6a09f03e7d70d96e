"""What is searched for."""

import pytest

from services.orchestrator.engine.followup import search_text
from services.orchestrator.engine.prompt import HistoryMessage

HISTORY = [HistoryMessage("customer", "How long do refunds take?"), HistoryMessage("bot", "Five days.")]


@pytest.mark.parametrize("question", ["And for business accounts?", "What about gift cards?", "How much is it?"])
def test_a_leaning_question_takes_the_one_before_it_along(question: str) -> None:
    assert search_text(question, HISTORY) == f"How long do refunds take? {question}"


@pytest.mark.parametrize(
    "question", ["Where are you located?", "Refund?", "Do you sell gift cards to business customers in Spain?"]
)
def test_a_question_of_its_own_stands_alone(question: str) -> None:
    assert search_text(question, HISTORY) == question


def test_without_history_there_is_nothing_to_lean_on() -> None:
    assert search_text("And it?", []) == "And it?"
