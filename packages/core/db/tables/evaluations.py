"""Evaluation sets, their questions, and runs of them against a state of the product."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import Index, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field

from packages.core.db.base import TenantRow, json_field, time_field


class EvaluationSet(TenantRow, table=True):
    """Questions with what is expected of the answers."""

    __tablename__ = "evaluation_set"
    __table_args__ = (Index("ix_evaluation_set_brand_id_created_at", "brand_id", text("created_at DESC")),)

    brand_id: UUID = Field(foreign_key="brand.id", ondelete="CASCADE")
    name: str = Field(max_length=200)
    description: str = Field(default="", max_length=2000)


class EvaluationItem(TenantRow, table=True):
    """One question. `history` is what was said before, as [author, text], oldest first.

    An answer that is right is like `answer` (if given), cites one of `source_ids` (if any), or is none (`abstain`).
    `digest` tells questions apart, so that the same one is not taken twice. Items grown from a conversation go with it.
    """

    __tablename__ = "evaluation_item"
    __table_args__ = (
        UniqueConstraint("set_id", "digest"),
        Index("ix_evaluation_item_conversation_id", "conversation_id"),
    )

    set_id: UUID = Field(foreign_key="evaluation_set.id", ondelete="CASCADE")
    question: str
    history: list[list[str]] = json_field(list)
    answer: str | None = None
    source_ids: list[str] = json_field(list)
    abstain: bool = False
    digest: str = Field(max_length=64)
    conversation_id: UUID | None = Field(default=None, foreign_key="conversation.id", ondelete="CASCADE")


class EvaluationRun(TenantRow, table=True):
    """A set put to the present state, or to a draft of another. Taken up by a loop under a lease.

    `draft` holds what differs from what is live, `state` what was live at the time, `metrics` the figures so far.
    """

    __tablename__ = "evaluation_run"
    __table_args__ = (
        Index("ix_evaluation_run_set_id_created_at", "set_id", text("created_at DESC")),
        Index("ix_evaluation_run_unfinished", "created_at", postgresql_where=text("status IN ('queued', 'running')")),
    )

    brand_id: UUID = Field(foreign_key="brand.id", ondelete="CASCADE")
    set_id: UUID = Field(foreign_key="evaluation_set.id", ondelete="CASCADE")
    name: str = Field(default="", max_length=200)
    status: str = Field(default="queued", max_length=12)
    total: int = 0
    done: int = 0
    draft: dict[str, object] = json_field()
    state: dict[str, object] = json_field()
    metrics: dict[str, object] = json_field()
    gate: dict[str, object] | None = Field(default=None, sa_type=JSONB)
    error: dict[str, object] | None = Field(default=None, sa_type=JSONB)
    attempts: int = 0
    lease_token: UUID | None = None
    lease_until: datetime | None = time_field(nullable=True)
    started_at: datetime | None = time_field(nullable=True)
    finished_at: datetime | None = time_field(nullable=True)


class EvaluationResult(TenantRow, table=True):
    """What one question was answered with in a run, and whether that was right.

    `checks` holds answer, source and abstention, each true, false, or null where nothing was expected.
    """

    __tablename__ = "evaluation_result"
    __table_args__ = (
        UniqueConstraint("run_id", "item_id"),
        Index("ix_evaluation_result_item_id", "item_id"),
    )

    run_id: UUID = Field(foreign_key="evaluation_run.id", ondelete="CASCADE")
    item_id: UUID = Field(foreign_key="evaluation_item.id", ondelete="CASCADE")
    answer: str = ""
    citations: list[object] = json_field(list)
    abstained: bool = False
    confidence: float = 0.0
    passed: bool = False
    checks: dict[str, object] = json_field()
    likeness: float | None = None
    latency_ms: float = 0.0
    tokens_in: int = 0
    tokens_out: int = 0
    cost: float | None = None
    drafted_by: str | None = Field(default=None, max_length=200)
    error: dict[str, object] | None = Field(default=None, sa_type=JSONB)
