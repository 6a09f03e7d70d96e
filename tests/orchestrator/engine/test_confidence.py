"""From signals to one number."""

import pytest

from services.orchestrator.engine.confidence import THRESHOLD, Signals, confidence
from tests.factories.hits import make_hit

NOTHING = Signals(dense=0.1, passage=0.1, coverage=0.0, overlap=0.0)
EVERYTHING = Signals(dense=0.8, passage=0.8, coverage=1.0, overlap=1.0)


def test_the_threshold_lies_between_nothing_and_everything() -> None:
    assert confidence(NOTHING) < 0.05 < THRESHOLD < 0.95 < confidence(EVERYTHING)


@pytest.mark.parametrize("name", ["dense", "passage", "coverage", "overlap"])
def test_every_signal_counts_for_an_answer(name: str) -> None:
    more = Signals(**(NOTHING.as_dict() | {name: 0.6}))
    assert confidence(more) > confidence(NOTHING)


def test_the_best_of_the_hits_counts() -> None:
    hits = [make_hit("a", dense=0.2, coverage=0.9), make_hit("b", dense=0.7, coverage=0.1), make_hit("c", dense=None)]
    assert Signals.of(hits, [0.3, 0.6], 0.5) == Signals(dense=0.7, passage=0.6, coverage=0.9, overlap=0.5)
