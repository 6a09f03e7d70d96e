"""How spans are judged."""

from collections import Counter

import pytest

from evaluation.personal_data import KINDS, evaluate, judged


@pytest.mark.parametrize(
    ("text", "spans", "found"),
    [
        ("Mail a@b.example", [("EMAIL_ADDRESS", 5, 16)], {("email", "hit"): 1, ("email", "right"): 1}),
        ("Mail a@b.example", [], {("email", "wrong"): 1}),
        ("Ask for Zebediah", [("PERSON", 8, 16)], {("person", "missed"): 1}),
        ("In Paris", [("GPE", 3, 8)], {}),
    ],
)
def test_a_span_is_hit_or_missed(
    text: str, spans: list[tuple[str, int, int]], found: dict[tuple[str, str], int]
) -> None:
    row = {"text": text, "spans": [{"type": kind, "start": start, "end": end} for kind, start, end in spans]}
    assert Counter(judged(row)) == Counter(found)


async def test_the_goals_are_reached() -> None:
    report = await evaluate()
    assert len(report.tables[0].rows) == len(KINDS)
    assert all(goal.is_reached for goal in report.goals)
