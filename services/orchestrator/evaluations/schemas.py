"""Bodies of evaluation sets, their items, runs and gates."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import Field, StringConstraints, model_validator

from services.orchestrator.auth.schemas import Input, Name, Output
from services.orchestrator.brands.schemas import Locale, Prose
from services.orchestrator.knowledge.schemas import CitationRead, Question, Said

MOST_ITEMS = 5_000
EXTRACTIVE = "extractive"
"""The name of the answerer that needs no language model."""
RunStatus = Literal["queued", "running", "done", "failed", "cancelled"]
Origin = Literal["gaps", "answers"]
Change = Literal["fixed", "regressed", "changed", "same", "new", "gone"]


class SetCreate(Input):
    """An evaluation set."""

    name: Name
    description: Annotated[str, StringConstraints(max_length=2_000)] = ""


class SetRead(Output):
    """An evaluation set."""

    id: UUID
    name: str
    description: str
    items: int = 0
    created_at: datetime


class ItemCreate(Input):
    """A question and what is expected: an answer like `answer`, one of the sources cited, or none (`abstain`)."""

    question: Question
    history: list[Said] = Field(default_factory=list, max_length=50)
    answer: Annotated[str, StringConstraints(max_length=20_000)] | None = None
    source_ids: list[UUID] = Field(default_factory=list, max_length=50)
    abstain: bool = False

    @model_validator(mode="after")
    def _expects_something(self) -> "ItemCreate":
        if self.abstain and (self.answer or self.source_ids):
            raise ValueError("an item that expects no answer expects no source either")
        if not (self.abstain or self.answer or self.source_ids):
            raise ValueError("say what is expected: answer, source_ids or abstain")
        return self


class ItemRead(Output):
    """An item. `conversation_id` names the conversation that it grew from."""

    id: UUID
    question: str
    history: list[list[str]]
    answer: str | None
    source_ids: list[UUID]
    abstain: bool
    conversation_id: UUID | None


class Added(Output):
    """What an upload brought: items whose question the set has already, with the same history, are left out."""

    added: int
    known: int
    items: int


class Grow(Input):
    """Which conversations a set grows from.

    `gaps`: what agents answered and admins approved or dismissed. `answers`: what the bot answered with citations,
    where nobody had to take over.
    """

    origins: list[Origin] = Field(["gaps", "answers"], min_length=1)
    days: int = Field(30, ge=1, le=365)
    limit: int = Field(200, ge=1, le=1_000)


class DraftPersona(Input):
    """What of the persona differs."""

    display_name: Name | None = None
    tone: Prose | None = None
    instructions: Annotated[str, StringConstraints(max_length=10_000)] | None = None
    languages: list[Locale] | None = None
    greeting: Prose | None = None
    fallback_message: Prose | None = None
    handover_message: Prose | None = None


class Prices(Input):
    """What a million tokens cost, in whatever currency."""

    input_per_million: float = Field(ge=0)
    output_per_million: float = Field(ge=0)


class Draft(Input):
    """How the state to be tested differs from what is live. Nothing given: what is live.

    `model` is one of the configured ones, or `extractive`. `without_sources` tests what deleting sources would do, or,
    for sources that were just added, what was before them; `only_sources` leaves all others out.
    """

    persona: DraftPersona | None = None
    settings: dict[str, Any] = Field(default_factory=dict, description="laid over the brand's settings")
    model: Annotated[str, StringConstraints(max_length=200)] | None = None
    without_sources: list[UUID] = Field(default_factory=list, max_length=1_000)
    only_sources: list[UUID] | None = Field(None, max_length=1_000)

    @model_validator(mode="after")
    def _threshold_is_a_share(self) -> "Draft":
        threshold = self.settings.get("answer_threshold", 0)
        if isinstance(threshold, bool) or not isinstance(threshold, int | float) or not 0 <= threshold <= 1:
            raise ValueError("settings.answer_threshold is a number from 0 to 1")
        return self


class RunCreate(Input):
    """A run of a set."""

    name: Annotated[str, StringConstraints(max_length=200)] = ""
    draft: Draft = Field(default_factory=Draft)
    prices: Prices | None = None


class RunRead(Output):
    """A run: how far it is, what was tested, and the figures once it is done."""

    id: UUID
    set_id: UUID
    name: str
    status: RunStatus
    total: int
    done: int
    draft: dict[str, Any]
    state: dict[str, Any] = Field(description="what was live: knowledge and persona version, models")
    metrics: dict[str, Any]
    gate: dict[str, Any] | None
    error: dict[str, Any] | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None


class ResultRead(Output):
    """What an item was answered with. `checks`: answer, source, abstention; null where nothing was expected."""

    id: UUID
    item_id: UUID
    answer: str
    citations: list[CitationRead]
    abstained: bool
    confidence: float
    passed: bool
    checks: dict[str, bool | None]
    likeness: float | None
    latency_ms: float
    tokens_in: int
    tokens_out: int
    cost: float | None
    drafted_by: str | None
    error: dict[str, Any] | None


class ResultWithItem(ResultRead):
    """A result, with the question and what was expected."""

    item: ItemRead


class Side(Output):
    """One item in two runs. `before` is null for what is new, `after` for what is gone."""

    item: ItemRead
    change: Change
    before: ResultRead | None
    after: ResultRead | None


class Comparison(Output):
    """Two runs side by side: how many items changed how, the figures of both, and the items."""

    run_id: UUID
    against: UUID
    counts: dict[Change, int]
    metrics_before: dict[str, Any]
    metrics_after: dict[str, Any]
    items: list[Side]
    next_cursor: str | None = None


class GateRequest(Input):
    """What a run must reach. Regressions count against `against`, or else the latest run of what was live before."""

    min_pass_rate: float = Field(0.9, ge=0, le=1)
    max_regressions: int = Field(0, ge=0)
    against: UUID | None = None


class GateRead(Output):
    """Whether the run may go live; each reason is a sentence."""

    passed: bool
    reasons: list[str]
    pass_rate: float
    regressions: int | None
    against: UUID | None
    min_pass_rate: float
    max_regressions: int
