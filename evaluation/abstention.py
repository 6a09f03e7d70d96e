"""Abstention: how many questions without an answer are withheld, when most of those with one are answered?"""

from collections.abc import Sequence

import numpy as np

from evaluation.asked import Asked, ask, ask_across_languages
from evaluation.calibration import IN_USE, NAMES, Matrix, Model, fit
from evaluation.laboratory import laboratory
from evaluation.report import Cell, Goal, Report, Table
from services.orchestrator.engine.confidence import THRESHOLD, Signals

SHARES = (0.98, 0.95, 0.9, 0.85, 0.8, 0.7)
ANSWERED = 0.9
WANTED = 0.6
FITTED = ("whole", "body")
"""Settings whose questions the weights are fitted on; a question in a language the model cannot read tells nothing."""
NOTHING = Signals(dense=0.0, passage=0.0, coverage=0.0, overlap=0.0)


async def evaluate() -> Report:
    """Everything, with the built-in embedder."""
    async with laboratory() as lab:
        asked = [*await ask(lab, "whole"), *await ask(lab, "body"), *await ask_across_languages(lab)]
    return report(asked)


def report(asked: Sequence[Asked]) -> Report:
    """The curve, the state at the default threshold, and what weights fitted without a collection give on it."""
    found = Report("Abstention")
    settings = list(dict.fromkeys(item.setting for item in asked))
    groups = _groups(asked)
    found.tables.append(
        Table(
            "Unanswerable questions withheld, at shares of the answerable ones answered",
            ["", "with", "without", *(f"{share:.0%}" for share in SHARES)],
            [_curve(name, group) for name, group in groups.items()],
        )
    )
    found.tables.append(
        Table(
            f"At the default threshold ({THRESHOLD})",
            ["", "answered", "withheld"],
            [_at_threshold(name, group) for name, group in groups.items()],
        )
    )
    found.tables.append(_cross_validation(asked))
    for setting in settings:
        value = withheld_at(_scores(groups[f"{setting}: all"]), groups[f"{setting}: all"], ANSWERED)
        found.goals.append(Goal(f"{setting}: withheld at {ANSWERED:.0%} answered", value, at_least=WANTED))
    return found


def withheld_at(scores: Matrix, asked: Sequence[Asked], share: float) -> float:
    """Of the unanswerable questions, those below the threshold that lets this share of the answerable ones pass."""
    with_answer = np.array([item.is_answerable for item in asked])
    threshold = np.quantile(scores[with_answer], 1 - share)
    return float((scores[~with_answer] < threshold).mean())


def _groups(asked: Sequence[Asked]) -> dict[str, list[Asked]]:
    """By setting and collection, and each setting as a whole; only where both kinds of question are."""
    found: dict[str, list[Asked]] = {}
    for setting in dict.fromkeys(item.setting for item in asked):
        own = [item for item in asked if item.setting == setting]
        for collection in sorted({_of(item) for item in own}):
            found[f"{setting}: {collection}"] = [item for item in own if _of(item) == collection]
        found[f"{setting}: all"] = own
    return {name: group for name, group in found.items() if len({item.is_answerable for item in group}) > 1}


def _of(item: Asked) -> str:
    return item.question.collection


def _scores(asked: Sequence[Asked]) -> Matrix:
    return np.array([item.confidence for item in asked])


def _curve(name: str, group: Sequence[Asked]) -> list[Cell]:
    scores = _scores(group)
    return [name, *_sizes(group), *(_percent(withheld_at(scores, group, share)) for share in SHARES)]


def _at_threshold(name: str, group: Sequence[Asked]) -> list[Cell]:
    answered = [item.confidence >= THRESHOLD for item in group if item.is_answerable]
    withheld = [item.confidence < THRESHOLD for item in group if not item.is_answerable]
    return [name, _percent(float(np.mean(answered))), _percent(float(np.mean(withheld)))]


def _cross_validation(asked: Sequence[Asked]) -> Table:
    """Weights fitted on the other collections alone; the last row has all, and is what `confidence` rounds."""
    rows: list[list[Cell]] = []
    collections = sorted({_of(item) for item in asked})
    for left_out in collections:
        model = fitted([item for item in asked if _of(item) != left_out])
        rows.append([f"without {left_out}", *_weights(model), *_held_out(model, asked, left_out)])
    rows.append(["all", *_weights(fitted(asked)), "", ""])
    rows.append(["in use", *_weights(IN_USE), "", ""])
    return Table(
        f"Weights fitted without a collection, and what they withhold of it at {ANSWERED:.0%} answered",
        ["fitted", *NAMES, "bias", "whole", "body"],
        rows,
    )


def fitted(asked: Sequence[Asked]) -> Model:
    """Weights from the questions over whole articles and bodies, each (collection, setting) weighing the same."""
    own = [item for item in asked if item.setting in FITTED]
    return fit(
        [_signals(item) for item in own],
        [item.is_answerable for item in own],
        [(_of(item), item.setting) for item in own],
    )


def _held_out(model: Model, asked: Sequence[Asked], collection: str) -> list[Cell]:
    cells: list[Cell] = []
    for setting in FITTED:
        group = [item for item in asked if (_of(item), item.setting) == (collection, setting)]
        both = len({item.is_answerable for item in group}) > 1
        scores = model.scores([_signals(item) for item in group])
        cells.append(_percent(withheld_at(scores, group, ANSWERED)) if both else "")
    return cells


def _signals(item: Asked) -> Signals:
    return item.extract.signals if item.extract else NOTHING


def _weights(model: Model) -> list[Cell]:
    return [f"{weight:.1f}" for weight in (*model.weights, model.bias)]


def _sizes(group: Sequence[Asked]) -> list[Cell]:
    answerable = sum(item.is_answerable for item in group)
    return [answerable, len(group) - answerable]


def _percent(share: float) -> str:
    return f"{share:.0%}"
