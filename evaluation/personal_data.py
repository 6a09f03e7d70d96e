"""Personal data: how much of what annotators marked is redacted, and how much of what is redacted they marked."""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from evaluation.datasets import answerable, samples
from evaluation.report import Cell, Goal, Report, Table
from services.orchestrator.engine.policies import personal_data
from services.orchestrator.engine.policies.people import ADDRESS, PERSON
from services.orchestrator.engine.policies.personal_data import IDENTIFIERS, Span

KINDS = {
    "EMAIL_ADDRESS": "email", "PHONE_NUMBER": "phone", "CREDIT_CARD": "card", "US_SSN": "ssn", "IBAN_CODE": "iban",
    "IP_ADDRESS": "ip", "US_DRIVER_LICENSE": "licence", "PERSON": PERSON, "STREET_ADDRESS": ADDRESS,
}  # fmt: skip
"""Labels that are personal by themselves. Not asked for: places, organisations, titles, dates, ages, nationalities."""
WANTED = 0.95
COVERED = {PERSON: 0.5, ADDRESS: 0.5}
"""The share of a marked span that must be redacted; all of an identifier, which is useless in part."""


async def evaluate() -> Report:
    """By kind, then over identifiers and over everything."""
    counts: Counter[tuple[str, str]] = Counter()
    for row in samples("pii"):
        counts.update(judged(row))
    found = Report("Personal data")
    rows: list[list[Cell]] = [[kind, *_figures(counts, {kind})] for kind in KINDS.values()]
    found.tables.append(
        Table(
            "Spans marked in Presidio's research set",
            ["kind", "marked", "recall", "found", "precision"],
            rows,
        )
    )
    for name, kinds in (
        ("identifiers", set(KINDS.values()) & IDENTIFIERS),
        ("with names and addresses", set(KINDS.values())),
    ):
        _, recall, _, precision = _figures(counts, kinds)
        found.goals += [
            Goal(f"{name}: recall", recall, at_least=WANTED),
            Goal(f"{name}: precision", precision, at_least=WANTED),
        ]
    touched = [bool(personal_data.spans_of(question.text)) for question in answerable()]
    found.goals.append(
        Goal("questions without personal data that are touched", sum(touched) / len(touched), at_most=0.01)
    )
    return found


def judged(row: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """(kind, hit or missed) of each marked span, (kind, right or wrong) of each one found."""
    found = personal_data.spans_of(row["text"])
    for span in row["spans"]:
        kind = KINDS.get(span["type"])
        if kind:
            share = _covered(span, kind, found) / (span["end"] - span["start"])
            yield kind, "hit" if share >= COVERED.get(kind, 1.0) else "missed"
    for start, end, kind in found:
        labels = {span["type"] for span in row["spans"] if span["start"] < end and start < span["end"]}
        right = kind in {KINDS.get(label) for label in labels} or (kind == ADDRESS and "GPE" in labels)
        yield kind, "right" if right else "wrong"


def _covered(span: Mapping[str, Any], kind: str, found: list[Span]) -> int:
    return sum(max(0, min(end, span["end"]) - max(start, span["start"])) for start, end, own in found if own == kind)


def _figures(counts: Counter[tuple[str, str]], kinds: set[str]) -> tuple[int, float, int, float]:
    hit, missed, right, wrong = (
        sum(counts[kind, name] for kind in kinds) for name in ("hit", "missed", "right", "wrong")
    )
    return hit + missed, hit / max(1, hit + missed), right + wrong, right / max(1, right + wrong)
