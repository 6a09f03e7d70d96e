"""When calls are let through; the clock is the test's."""

import asyncio

import pytest

from services.orchestrator.engine.llm import ModelFailed
from services.orchestrator.engine.llm.breaker import Breaker, State


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def breaker(clock: Clock) -> Breaker:
    return Breaker(clock=clock)


def call(breaker: Breaker, outcome: str) -> None:
    """One call that ends as its letter says: `o`k, `f`ailure, `r`ejected request."""
    try:
        with breaker.call():
            if outcome != "o":
                raise ModelFailed("server_error", blames_endpoint=outcome == "f")
    except ModelFailed as failure:
        if failure.reason == "circuit_open":
            raise


@pytest.mark.parametrize(
    ("outcomes", "state"),
    [
        ("ffff", State.CLOSED),
        ("fffff", State.OPEN),
        ("fofofofof", State.CLOSED),
        ("fofofofofo" + "f", State.OPEN),
        ("oooooofff", State.CLOSED),
        ("ooooooooofff", State.CLOSED),
        ("rrrrrrrrrrrr", State.CLOSED),
    ],
)
def test_it_opens_at_half_of_ten_or_five_in_a_row(breaker: Breaker, outcomes: str, state: State) -> None:
    for outcome in outcomes:
        call(breaker, outcome)
    assert breaker.state is state


def test_an_open_circuit_refuses_at_once(breaker: Breaker) -> None:
    for _ in range(5):
        call(breaker, "f")
    with pytest.raises(ModelFailed, match="circuit_open"):
        call(breaker, "o")


@pytest.mark.parametrize(("outcome", "state"), [("o", State.CLOSED), ("f", State.OPEN)])
def test_after_the_pause_one_probe_decides(breaker: Breaker, clock: Clock, outcome: str, state: State) -> None:
    for _ in range(5):
        call(breaker, "f")
    clock.now = 30.0
    assert breaker.state is State.HALF_OPEN
    call(breaker, outcome)
    assert breaker.state is state


def test_a_second_call_waits_for_the_probe(breaker: Breaker, clock: Clock) -> None:
    for _ in range(5):
        call(breaker, "f")
    clock.now = 30.0
    with breaker.call(), pytest.raises(ModelFailed, match="circuit_open"):
        call(breaker, "o")
    call(breaker, "o")
    with breaker.call():
        assert breaker.state == State.CLOSED


def test_a_cancelled_probe_leaves_the_place_to_another(breaker: Breaker, clock: Clock) -> None:
    for _ in range(5):
        call(breaker, "f")
    clock.now = 30.0
    with pytest.raises(asyncio.CancelledError), breaker.call():
        raise asyncio.CancelledError
    call(breaker, "o")
    assert breaker.state is State.CLOSED
