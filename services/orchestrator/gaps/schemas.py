"""Bodies of gaps."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import Field, StringConstraints

from services.orchestrator.auth.schemas import Input, Output

Status = Literal["open", "drafted", "answered", "dismissed"]
QuestionText = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=2_000)]
AnswerText = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=20_000)]


class GapChange(Input):
    """What an admin decides about a gap: leave it alone, take it up again, or another draft."""

    status: Literal["open", "dismissed"] | None = None
    draft_question: QuestionText | None = None
    draft_answer: AnswerText | None = None


class Approval(Input):
    """The FAQ entry that answers the gap from now on."""

    question: QuestionText
    answer: AnswerText


class GapRead(Output):
    """Questions that ask for the same and were withheld or handed over.

    `check_state`: after an approval `waiting` until the answer is indexed, then `checking`; `passed` or `failed` once
    the questions have been asked again, with the figures in `outcome`.
    """

    id: UUID
    question: str
    language: str | None
    status: Status
    count: int = Field(description="how often it was asked")
    examples: list[str] = Field(default_factory=list, description="the latest wordings")
    first_seen_at: datetime
    last_seen_at: datetime
    draft_question: str | None
    draft_answer: str | None
    source_id: UUID | None
    check_state: Literal["waiting", "checking", "passed", "failed"] | None
    outcome: dict[str, Any] | None
    answered_at: datetime | None


class GapQuestionRead(Output):
    """One question of a gap. `outcome` is what it was answered with after the last approval."""

    id: UUID
    question: str
    query: str
    reason: Literal["withheld", "handed_over", "failed"]
    conversation_id: UUID
    message_id: UUID
    confidence: float | None
    trace_id: str | None
    asked_at: datetime
    agent_answer: str | None
    outcome: dict[str, Any] | None
