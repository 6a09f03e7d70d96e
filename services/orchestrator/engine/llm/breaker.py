"""A circuit breaker: stop calling what keeps failing, and ask again now and then (Nygard, "Release It!", 2007)."""

import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum

from services.orchestrator.engine.llm import ModelFailed


class State(StrEnum):
    """Closed lets calls through, open refuses them, half-open lets a single probe through."""

    CLOSED = "closed"
    HALF_OPEN = "half_open"
    OPEN = "open"


class Breaker:
    """Opens when half of the last calls failed, or several in a row did.

    Args:
        window: how many of the last calls are looked at.
        least: so many calls are needed before a share of failures means anything.
        share: the share of failures that opens the circuit.
        in_row: this many failures in a row open it as well.
        cool_down: seconds until a probe is let through.
        clock: seconds that only grow.
    """

    def __init__(
        self,
        *,
        window: int = 20,
        least: int = 10,
        share: float = 0.5,
        in_row: int = 5,
        cool_down: float = 30.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._outcomes: deque[bool] = deque(maxlen=window)
        self._least, self._share, self._in_row, self._cool_down = least, share, in_row, cool_down
        self._clock = clock
        self._opened_at: float | None = None
        self._probing = False

    @property
    def state(self) -> State:
        """As of now."""
        if self._opened_at is None:
            return State.CLOSED
        return State.HALF_OPEN if self._clock() - self._opened_at >= self._cool_down else State.OPEN

    @contextmanager
    def call(self) -> Iterator[None]:
        """Guard one call: its `ModelFailed` counts as a failure, its end as a success, anything else as neither.

        Raises:
            ModelFailed: with reason `circuit_open`, at once, while calls are refused.
        """
        state = self.state
        if state is State.OPEN or (state is State.HALF_OPEN and self._probing):
            raise ModelFailed("circuit_open")
        is_probe = self._probing = state is State.HALF_OPEN
        try:
            yield
        except ModelFailed as failure:
            if failure.blames_endpoint:
                self._failed(is_probe)
            raise
        else:
            self._succeeded(is_probe)
        finally:
            if is_probe:
                self._probing = False

    def _failed(self, is_probe: bool) -> None:
        self._outcomes.append(False)
        if is_probe or self._is_bad():
            self._opened_at = self._clock()
            self._outcomes.clear()

    def _succeeded(self, is_probe: bool) -> None:
        self._outcomes.append(True)
        if is_probe:
            self._opened_at = None
            self._outcomes.clear()

    def _is_bad(self) -> bool:
        calls = list(self._outcomes)
        failures = calls.count(False)
        enough = len(calls) >= self._least and failures / len(calls) >= self._share
        return enough or (len(calls) >= self._in_row and not any(calls[-self._in_row :]))
