"""What the engine counts, for Prometheus."""

from prometheus_client import Counter, Gauge, Histogram

from services.orchestrator.engine.llm import Completion

_SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2, 4, 8, 15, 30)

CALLS = Counter("parley_llm_calls_total", "Calls of language models", ["endpoint", "outcome"])
SECONDS = Histogram("parley_llm_seconds", "Time to the whole answer of a model", ["endpoint"], buckets=_SECONDS)
FIRST_TOKEN = Histogram(
    "parley_llm_first_token_seconds", "Time to a model's first token", ["endpoint"], buckets=_SECONDS
)
TOKENS = Counter("parley_llm_tokens_total", "Tokens read (in) and written (out) by models", ["endpoint", "direction"])
BREAKER = Gauge("parley_llm_breaker_state", "Circuit of an endpoint: 0 closed, 1 half open, 2 open", ["endpoint"])
ANSWERS = Counter("parley_answers_total", "Answers by what they were and who drafted them", ["outcome", "drafted_by"])
VERDICTS = Counter("parley_guardrail_verdicts_total", "What the guardrails said", ["check", "verdict"])
ANSWER_SECONDS = Histogram(
    "parley_answer_seconds",
    "Time of an answer without the language model",
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5),
)


def record_call(endpoint: str, outcome: str, seconds: float, completion: Completion | None) -> None:
    """Count one call of a model; times and tokens only where it answered."""
    CALLS.labels(endpoint, outcome).inc()
    if completion is None:
        return
    SECONDS.labels(endpoint).observe(seconds)
    FIRST_TOKEN.labels(endpoint).observe(completion.first_token_ms / 1000)
    for direction, tokens in (("in", completion.tokens_in), ("out", completion.tokens_out)):
        if tokens is not None:
            TOKENS.labels(endpoint, direction).inc(tokens)
