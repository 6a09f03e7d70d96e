"""The report on answers, from answers that are known."""

import pytest

from evaluation.answers import Said, report, say
from evaluation.asked import Asked
from evaluation.datasets import Question
from evaluation.drafts import TRUE, Draft
from evaluation.report import Table
from services.orchestrator.engine.confidence import Signals
from services.orchestrator.engine.extractive import Extract
from services.orchestrator.engine.passages import passages
from tests.factories.hits import make_hit

HIT = make_hit("Refunds arrive within five business days. We love coffee.")
SHORTENED = Table("Shortened", ["budget"], [["whole"]])


def _said(answer: str, order: int = 0, confidence: float = 0.9) -> Said:
    question = Question(
        id="q",
        collection="shop",
        tenant="t",
        language="en",
        kind="faq",
        text="How long do refunds take?",
        answer=answer,
        relevant={"a": 1},
    )
    signals = Signals(dense=0.5, passage=0.5, coverage=0.5, overlap=0.5)
    return say(Asked(question, "whole", (HIT,), Extract((passages(HIT)[order],), confidence, signals)))


@pytest.mark.parametrize(
    ("answer", "order", "right"),
    [
        ("Refunds arrive within five business days.", 0, True),
        (
            "Refunds arrive in five business days, more or less, if banks are open and nobody sleeps on the way.",
            0,
            True,
        ),
        ("Refunds arrive within five business days.", 1, False),
    ],
)
def test_an_answer_is_right_if_it_says_what_the_reference_says(answer: str, order: int, right: bool) -> None:
    assert _said(answer, order).is_right is right


def test_what_is_withheld_is_not_judged() -> None:
    found = report([_said("Coffee.", 0), _said("Coffee.", 0, confidence=0.1)], [], SHORTENED)
    assert found.tables[0].rows == [["shop, faq", 1, "0%", 41]]


def test_goals_are_quotes_and_both_kinds_of_drafts() -> None:
    checked = [(Draft(TRUE, "x", ()), True), (Draft("negated", "x", ()), False), (Draft("negated", "x", ()), True)]
    found = report([_said("Refunds.")], checked, SHORTENED)
    assert [goal.value for goal in found.goals] == [1.0, 0.5, 1.0]
    assert [goal.is_reached for goal in found.goals] == [True, False, True]
