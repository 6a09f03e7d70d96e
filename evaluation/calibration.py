"""Logistic regression with balanced groups: how the weights of `confidence` are found, and how they hold elsewhere."""

from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from services.orchestrator.engine.confidence import BIAS, WEIGHTS, Signals

STEPS = 100
RIDGE = 1.0
"""Keeps weights finite where a group is told apart perfectly; against 1,000 examples' worth of weight per group."""
GROUP_WEIGHT = 1000.0
NAMES = tuple(asdict(WEIGHTS))

Matrix = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Model:
    """Weights of the signals, in the order of `NAMES`, and the bias."""

    weights: tuple[float, ...]
    bias: float

    def scores(self, signals: Sequence[Signals]) -> Matrix:
        """Log odds of each, shape (signals,)."""
        result: Matrix = _matrix(signals) @ np.array(self.weights) + self.bias
        return result


IN_USE = Model(tuple(asdict(WEIGHTS).values()), BIAS)


def fit(signals: Sequence[Signals], answerable: Sequence[bool], groups: Sequence[Hashable]) -> Model:
    """Fit by Newton's method; every (group, answerable) weighs the same, and no weight is negative."""
    features, wanted = _matrix(signals), np.array(answerable, dtype=np.float64)
    sizes = Counter(zip(groups, answerable, strict=True))
    importance = np.array([GROUP_WEIGHT / sizes[key] for key in zip(groups, answerable, strict=True)])
    used = list(range(features.shape[1]))
    while True:
        found = _newton(features[:, used], wanted, importance)
        worst = int(np.argmin(found[:-1]))
        if found[worst] >= 0 or len(used) == 1:
            break
        del used[worst]
    weights = dict(zip(used, found[:-1].tolist(), strict=True))
    return Model(tuple(weights.get(index, 0.0) for index in range(features.shape[1])), float(found[-1]))


def _newton(features: Matrix, wanted: Matrix, importance: Matrix) -> Matrix:
    mean, spread = features.mean(axis=0), features.std(axis=0) + 1e-9
    design = np.hstack([(features - mean) / spread, np.ones((len(features), 1))])
    penalty = RIDGE * np.diag([*np.ones(features.shape[1]), 0.0])
    beta = np.zeros(design.shape[1])
    for _ in range(STEPS):
        chance = 1 / (1 + np.exp(-design @ beta))
        slope = design.T @ (importance * (wanted - chance)) - penalty @ beta
        curve = (design * (importance * chance * (1 - chance))[:, None]).T @ design + penalty
        step = np.linalg.solve(curve + 1e-9 * np.eye(len(beta)), slope)
        beta += step
        if np.abs(step).max() < 1e-8:
            break
    plain = beta[:-1] / spread
    return np.append(plain, beta[-1] - plain @ mean)


def _matrix(signals: Sequence[Signals]) -> Matrix:
    return np.array([list(asdict(item).values()) for item in signals], dtype=np.float64).reshape(-1, len(NAMES))
