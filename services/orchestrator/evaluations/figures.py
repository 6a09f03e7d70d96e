"""The figures of a run, the comparison of two, and the gate."""

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

from packages.core.db.tables.evaluations import EvaluationItem, EvaluationResult
from services.orchestrator.evaluations.schemas import Change, GateRequest


def metrics(pairs: Sequence[tuple[EvaluationItem, EvaluationResult]]) -> dict[str, Any]:
    """The figures of a run: shares in 0..1 (null where nothing was expected), latencies in milliseconds."""
    results = [result for _, result in pairs]
    expecting_none = [result for item, result in pairs if item.abstain]
    expecting_some = [result for item, result in pairs if not item.abstain]
    times = sorted(result.latency_ms for result in results)
    costs = [result.cost for result in results if result.cost is not None]
    return {
        "items": len(results),
        "passed": sum(result.passed for result in results),
        "pass_rate": _share([result.passed for result in results]),
        "answers_right": _share(_checked(results, "answer")),
        "right_source_cited": _share(_checked(results, "source")),
        "withheld_rightly": _share([result.abstained for result in expecting_none]),
        "withheld_wrongly": _share([result.abstained for result in expecting_some]),
        "mean_confidence": round(sum(result.confidence for result in results) / len(results), 4) if results else None,
        "latency_p50_ms": round(median(times), 1) if times else None,
        "latency_p95_ms": round(times[min(len(times) - 1, int(0.95 * len(times)))], 1) if times else None,
        "tokens_in": sum(result.tokens_in for result in results),
        "tokens_out": sum(result.tokens_out for result in results),
        "cost": round(sum(costs), 6) if costs else None,
        "errors": sum(result.error is not None for result in results),
    }


def change(before: EvaluationResult | None, after: EvaluationResult | None) -> Change:
    """What became of an item from one run to another."""
    if before is None:
        return "new"
    if after is None:
        return "gone"
    if before.passed != after.passed:
        return "fixed" if after.passed else "regressed"
    return "same" if _shown(before) == _shown(after) else "changed"


def decide(wanted: GateRequest, figures: Mapping[str, Any], regressions: int | None) -> tuple[bool, list[str]]:
    """Whether a run passes, and why, or why not. `regressions` is None where there is nothing to compare with."""
    rate = float(figures.get("pass_rate") or 0.0)
    reasons = []
    if rate < wanted.min_pass_rate:
        reasons.append(f"{rate:.1%} of the answers are right; {wanted.min_pass_rate:.1%} are wanted.")
    if regressions is not None and regressions > wanted.max_regressions:
        reasons.append(f"{regressions} answers that were right are wrong now; {wanted.max_regressions} may be.")
    if reasons:
        return False, reasons
    compared = "there is no earlier run to compare with" if regressions is None else f"{regressions} got worse"
    return True, [f"{rate:.1%} of the answers are right, and {compared}."]


def _shown(result: EvaluationResult) -> tuple[object, ...]:
    """What a customer would notice."""
    quotes = [item.get("quote") for item in result.citations if isinstance(item, dict)]
    return result.abstained, result.answer, quotes


def _checked(results: Sequence[EvaluationResult], name: str) -> list[bool]:
    return [bool(result.checks[name]) for result in results if result.checks.get(name) is not None]


def _share(values: Sequence[bool]) -> float | None:
    return round(sum(values) / len(values), 4) if values else None
