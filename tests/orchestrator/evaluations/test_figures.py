"""The figures of a run, changes from one to another, and the gate."""

from typing import Any

import pytest

from packages.core.db.base import new_id
from packages.core.db.tables.evaluations import EvaluationItem, EvaluationResult
from services.orchestrator.evaluations.figures import change, decide, metrics
from services.orchestrator.evaluations.schemas import GateRequest


def result(**values: Any) -> EvaluationResult:
    return EvaluationResult(tenant_id=new_id(), run_id=new_id(), item_id=new_id(), **values)


def item(*, abstain: bool = False) -> EvaluationItem:
    return EvaluationItem(tenant_id=new_id(), set_id=new_id(), question="x", digest="x", abstain=abstain)


def test_metrics() -> None:
    checks = {"answer": True, "source": None, "abstention": True}
    found = metrics(
        [
            (item(), result(passed=True, checks=checks, confidence=0.8, latency_ms=10, tokens_in=5, cost=0.5)),
            (item(), result(abstained=True, checks=checks | {"answer": False}, confidence=0.2, latency_ms=30)),
            (item(abstain=True), result(abstained=True, passed=True, checks=checks | {"answer": None}, latency_ms=20)),
        ]
    )
    assert (found["items"], found["passed"], found["pass_rate"]) == (3, 2, 0.6667)
    assert (found["answers_right"], found["right_source_cited"]) == (0.5, None)
    assert (found["withheld_rightly"], found["withheld_wrongly"]) == (1.0, 0.5)
    assert (found["latency_p50_ms"], found["latency_p95_ms"]) == (20.0, 30.0)
    assert (found["tokens_in"], found["cost"]) == (5, 0.5)


def test_metrics_of_nothing() -> None:
    found = metrics([])
    assert (found["items"], found["pass_rate"], found["latency_p95_ms"], found["cost"]) == (0, None, None, None)


@pytest.mark.parametrize(
    ("before", "after", "found"),
    [
        (None, {}, "new"),
        ({}, None, "gone"),
        ({"passed": True}, {"passed": False}, "regressed"),
        ({"passed": False}, {"passed": True}, "fixed"),
        ({"answer": "a"}, {"answer": "b"}, "changed"),
        ({"citations": [{"quote": "a"}]}, {"citations": [{"quote": "b"}]}, "changed"),
        ({"answer": "a", "latency_ms": 1}, {"answer": "a", "latency_ms": 9}, "same"),
    ],
)
def test_changes(before: dict[str, Any] | None, after: dict[str, Any] | None, found: str) -> None:
    assert change(None if before is None else result(**before), None if after is None else result(**after)) == found


@pytest.mark.parametrize(
    ("rate", "regressions", "passed", "words"),
    [
        (0.95, 0, True, "95.0%"),
        (0.95, None, True, "no earlier run"),
        (0.85, 0, False, "90.0% are wanted"),
        (0.95, 2, False, "2 answers"),
        (None, None, False, "0.0%"),
    ],
)
def test_the_gate(rate: float | None, regressions: int | None, passed: bool, words: str) -> None:
    verdict, reasons = decide(GateRequest(max_regressions=1), {"pass_rate": rate}, regressions)
    assert verdict is passed
    assert words in " ".join(reasons)
