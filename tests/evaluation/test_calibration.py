"""Weights that tell made-up answerable questions from others."""

import numpy as np

from evaluation.calibration import fit
from services.orchestrator.engine.confidence import Signals


def _made(number: int, shift: float) -> list[Signals]:
    values = np.random.default_rng(number).normal(0.4, 0.1, (200, 4))
    return [Signals(dense=a + shift, passage=b + shift / 2, coverage=c, overlap=-d) for a, b, c, d in values.tolist()]


def test_the_weights_follow_what_tells_the_groups_apart() -> None:
    signals = [*_made(1, 0.2), *_made(2, 0.0)]
    answerable = [True] * 200 + [False] * 200
    model = fit(signals, answerable, ["one"] * 400)
    scores = model.scores(signals)
    assert model.weights[0] > model.weights[1] > 0
    assert scores[:200].mean() > 0 > scores[200:].mean()


def test_a_small_group_weighs_as_much_as_a_large_one() -> None:
    many, few = [*_made(3, 0.2), *_made(4, 0.0)], [*_made(5, 0.5)[:5], *_made(6, 0.3)[:5]]
    answerable = [True] * 200 + [False] * 200 + [True] * 5 + [False] * 5
    with_few = fit([*many, *few], answerable, ["many"] * 400 + ["few"] * 10)
    alone = fit(many, answerable[:400], ["many"] * 400)
    assert with_few.bias < alone.bias or with_few.weights != alone.weights


def test_no_weight_is_negative() -> None:
    signals = [*_made(7, 0.2), *_made(8, 0.0)]
    against = [Signals(item.dense, item.passage, 1 - item.dense, 0.0) for item in signals]
    model = fit(against, [True] * 200 + [False] * 200, ["one"] * 400)
    assert min(model.weights) >= 0
