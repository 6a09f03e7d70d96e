"""The curve, from confidences that are known."""

from collections.abc import Sequence

import numpy as np
import pytest

from evaluation.abstention import report, withheld_at
from evaluation.asked import Asked
from evaluation.datasets import Question
from services.orchestrator.engine.confidence import Signals
from services.orchestrator.engine.extractive import Extract


def _asked(confidence: float, answerable: bool, collection: str = "one", setting: str = "whole") -> Asked:
    question = Question(
        id="q",
        collection=collection,
        tenant="t",
        language="en",
        kind="faq",
        text="Why?",
        answer=None,
        relevant={"a": 1} if answerable else {},
    )
    signals = Signals(dense=confidence, passage=confidence, coverage=confidence, overlap=confidence)
    return Asked(question, setting, (), Extract((), confidence, signals))


WITH = [_asked(value / 10, True) for value in range(1, 11)]
WITHOUT = [_asked(value, False) for value in (0.05, 0.15, 0.25, 0.95)]


@pytest.mark.parametrize(("share", "withheld"), [(1.0, 0.25), (0.9, 0.5), (0.8, 0.75), (0.0, 1.0)])
def test_the_threshold_lets_the_wanted_share_pass(share: float, withheld: float) -> None:
    asked = [*WITH, *WITHOUT]
    assert withheld_at(np.array([item.confidence for item in asked]), asked, share) == withheld


def _both(collection: str) -> Sequence[Asked]:
    return [
        _asked(item.confidence, item.is_answerable, collection, setting)
        for item in (*WITH, *WITHOUT)
        for setting in ("whole", "body")
    ]


def test_the_report_has_each_collection_and_its_goal() -> None:
    found = report([*_both("one"), *_both("two")])
    assert [row[0] for row in found.tables[0].rows] == [
        "whole: one", "whole: two", "whole: all", "body: one", "body: two", "body: all",
    ]  # fmt: skip
    assert [row[0] for row in found.tables[2].rows] == ["without one", "without two", "all", "in use"]
    assert [goal.is_reached for goal in found.goals] == [False, False]
