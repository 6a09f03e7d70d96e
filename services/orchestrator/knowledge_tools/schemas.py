"""Bodies of explained answers."""

from typing import Any, Literal
from uuid import UUID

from pydantic import Field

from services.orchestrator.auth.schemas import Output
from services.orchestrator.knowledge.schemas import AnswerRead, CitationRead, LocationRead

Outcome = Literal["answered", "withheld", "small_talk", "wants_person"]


class ExplainedHit(Output):
    """A chunk that was found, and what spoke for it.

    `score` is the fused one, `dense` the cosine (null where it is not known), `coverage` the share in 0..1 of the
    question's weight in rare words that the chunk holds, `matched_terms` the terms that both have (as stems).
    """

    chunk_id: UUID
    source_id: UUID
    source_version: int
    title: str
    text: str
    kind: str
    location: LocationRead
    score: float
    dense: float | None
    bm25: float
    coverage: float
    matched_terms: list[str]
    cited: bool = Field(description="whether the candidate rests on it")


class Candidate(Output):
    """The answer that was on the table, whether or not it went out."""

    text: str
    citations: list[CitationRead]
    confidence: float


class Decision(Output):
    """What became of the question, and why. `reason` is for machines, `explanation` for people."""

    outcome: Outcome
    reason: Literal[
        "confident", "below_threshold", "nothing_found", "nothing_usable", "model_found_no_answer", "no_question"
    ]
    explanation: str
    threshold: float
    confidence: float


class Explanation(Output):
    """An answer with everything it was decided from."""

    question: str
    rewritten_question: str | None = Field(description="what was searched for; null where nothing was")
    language: str
    terms: list[str] = Field(description="the search terms of the rewritten question")
    hits: list[ExplainedHit]
    candidate: Candidate | None
    decision: Decision
    answer: AnswerRead
    signals: dict[str, float] = Field(description="what the confidence was made of")
    timings_ms: dict[str, float]
    trace: dict[str, Any]
