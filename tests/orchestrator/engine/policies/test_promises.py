"""Commitments that no source makes."""

import pytest

from services.orchestrator.engine.policies import Verdict
from services.orchestrator.engine.policies.promises import check

SOURCE = "Items can be returned within 30 days for a full refund. Members get a 10% discount."


@pytest.mark.parametrize(
    ("text", "fixed"),
    [
        ("Return it to us. We guarantee delivery by tomorrow.", "Return it to us."),
        ("You get a 25% discount.", ""),
        ("We will compensate you. Members get a 10% discount.", "Members get a 10% discount."),
        ("Wir erstatten alles kostenlos.", ""),
        ("Le garantizamos la entrega.", ""),
    ],
)
def test_an_unsaid_promise_goes_with_its_sentence(text: str, fixed: str) -> None:
    finding = check(text, [SOURCE])
    assert finding.verdict is Verdict.FIX
    assert finding.text == fixed


@pytest.mark.parametrize("text", ["You can return it within 30 days for a full refund.", "We open at nine.", ""])
def test_what_a_source_promises_stays(text: str) -> None:
    assert check(text, [SOURCE]).verdict is Verdict.PASS
