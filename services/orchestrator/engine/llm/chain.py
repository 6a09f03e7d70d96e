"""Models in order: the first that answers wins, and the trace says why the others did not."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import structlog

from services.orchestrator.engine import metrics
from services.orchestrator.engine.llm import Completion, Model, ModelFailed, Prompt
from services.orchestrator.engine.llm.breaker import Breaker

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Attempt:
    """One call of a model: what came of it (`ok`, or the reason of its failure) and how long it took."""

    model: str
    outcome: str
    ms: float

    def as_dict(self) -> dict[str, object]:
        """For the trace."""
        return {"model": self.model, "outcome": self.outcome, "ms": round(self.ms, 1)}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the chain gave: a completion, or None where every model failed."""

    completion: Completion | None
    attempts: tuple[Attempt, ...]


class Chain:
    """Models with a circuit breaker each.

    Args:
        models: in the order they are tried.
        breakers: one per model; made if left out.
        budget: seconds for the whole chain, so that a turn ends before its lease does.
    """

    def __init__(
        self, models: Sequence[Model], *, breakers: Sequence[Breaker] | None = None, budget: float = 40.0
    ) -> None:
        self._links = list(zip(models, breakers or [Breaker() for _ in models], strict=True))
        self._budget = budget

    @property
    def is_empty(self) -> bool:
        """Whether no model is configured."""
        return not self._links

    async def complete(self, prompt: Prompt, tools: Sequence[Mapping[str, Any]] = ()) -> Outcome:
        """Ask one model after the other, with tools to ask for. Never raises `ModelFailed`."""
        deadline = time.monotonic() + self._budget
        attempts: list[Attempt] = []
        for model, breaker in self._links:
            left = deadline - time.monotonic()
            if left <= 0:
                attempts.append(Attempt(model.name, "no_time_left", 0.0))
                continue
            completion, attempt = await _attempt(model, breaker, prompt, left, tools)
            attempts.append(attempt)
            if completion is not None:
                return Outcome(completion, tuple(attempts))
        return Outcome(None, tuple(attempts))

    async def close(self) -> None:
        """Close every model's connections."""
        for model, _ in self._links:
            await model.close()


async def _attempt(
    model: Model, breaker: Breaker, prompt: Prompt, seconds: float, tools: Sequence[Mapping[str, Any]]
) -> tuple[Completion | None, Attempt]:
    started = time.perf_counter()
    completion: Completion | None = None
    outcome = "ok"
    try:
        with breaker.call():
            completion = await model.complete(prompt, seconds=seconds, tools=tools)
    except ModelFailed as failure:
        outcome = failure.reason
        log.warning("model_failed", model=model.name, reason=failure.reason, detail=failure.detail[:300])
    elapsed = time.perf_counter() - started
    metrics.record_call(model.name, outcome, elapsed, completion)
    metrics.BREAKER.labels(model.name).set(list(type(breaker.state)).index(breaker.state))
    return completion, Attempt(model.name, outcome, elapsed * 1000)
