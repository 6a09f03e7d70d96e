"""Profanity: strong language and hate found, and the same words left alone where they are innocent or quoted."""

from collections import defaultdict

from evaluation.datasets import answerable, samples
from evaluation.report import Cell, Goal, Report, Table
from services.orchestrator.engine.policies import Verdict, profanity

WANTED = 0.95


async def evaluate() -> Report:
    """By kind of sentence, then recall and precision over all."""
    by_kind: defaultdict[tuple[str, str], list[bool]] = defaultdict(list)
    for row in samples("profanity"):
        by_kind[row["label"], row["kind"]].append(is_found(row["text"]))
    found = Report("Profanity")
    rows: list[list[Cell]] = [
        [kind, label, len(hits), sum(hits), sum(hits) / len(hits)] for (label, kind), hits in sorted(by_kind.items())
    ]
    found.tables.append(
        Table("Sentences found (HateCheck and customers' messages)", ["kind", "label", "of", "found", "share"], rows)
    )
    wanted = [hit for (label, _), hits in by_kind.items() if label != "clean" for hit in hits]
    alarms = sum(hit for (label, _), hits in by_kind.items() if label == "clean" for hit in hits)
    questions = [is_found(question.text) for question in answerable()]
    found.goals += [
        Goal("recall", sum(wanted) / len(wanted), at_least=WANTED),
        Goal("precision", sum(wanted) / (sum(wanted) + alarms), at_least=WANTED),
        Goal("customers' questions that are taken for it", sum(questions) / len(questions), at_most=0.005),
    ]
    return found


def is_found(text: str) -> bool:
    """Whether the policy sees anything in it."""
    return profanity.check(text).verdict is not Verdict.PASS
