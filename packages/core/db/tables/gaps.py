"""Gaps: what customers asked and the bot could not answer, alike questions together.

A `GapQuestion` is written once for every reply that withheld an answer or handed over (`message_id` is unique), so that
a reply is never counted twice; without `gap_id` nothing had been asked. Texts are kept without personal data, and go
with their conversation.
"""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ARRAY, Index, Text, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field

from packages.core.db.base import TenantRow, json_field, time_field


class KnowledgeGap(TenantRow, table=True):
    """A group of questions that ask for the same. Its id stays, however many questions join.

    `centroid` is the mean vector of its questions by the model `embedder` (float32, little-endian). `draft_*` is the
    FAQ entry that an admin may approve; `source_id` the source that came of it, and `check_state` (waiting, checking,
    passed, failed) and `outcome` what the questions were answered with once that was indexed. `answered_at`: questions
    after it open the gap again.
    """

    __tablename__ = "knowledge_gap"
    __table_args__ = (
        Index("ix_knowledge_gap_brand_id_last_seen_at", "brand_id", text("last_seen_at DESC")),
        Index(
            "ix_knowledge_gap_waiting", "updated_at", postgresql_where=text("check_state IN ('waiting', 'checking')")
        ),
        Index("ix_knowledge_gap_source_id", "source_id", postgresql_where=text("source_id IS NOT NULL")),
    )

    brand_id: UUID = Field(foreign_key="brand.id", ondelete="CASCADE")
    question: str
    language: str | None = Field(default=None, max_length=20)
    status: str = Field(default="open", max_length=12)
    count: int = 0
    embedder: str = Field(max_length=100)
    centroid: bytes
    terms: list[str] = Field(default_factory=list, sa_type=ARRAY(Text), nullable=False)
    first_seen_at: datetime = time_field()
    last_seen_at: datetime = time_field()
    draft_question: str | None = None
    draft_answer: str | None = None
    draft_likeness: float | None = None
    source_id: UUID | None = Field(default=None, foreign_key="knowledge_source.id", ondelete="SET NULL")
    check_state: str | None = Field(default=None, max_length=12)
    outcome: dict[str, object] | None = Field(default=None, sa_type=JSONB)
    answered_at: datetime | None = time_field(nullable=True)
    updated_at: datetime = time_field()


class GapQuestion(TenantRow, table=True):
    """One question that was withheld or handed over. `query` is how it was searched for, on its own.

    `reason` is withheld, handed_over or failed. `history` is what was said before, as [author, text], oldest first.
    `agent_answer` is
    what an agent then wrote. `outcome` is its regression after the last approval.
    """

    __tablename__ = "gap_question"
    __table_args__ = (
        Index("uq_gap_question_message_id", "message_id", unique=True),
        Index("ix_gap_question_gap_id_asked_at", "gap_id", text("asked_at DESC")),
        Index("ix_gap_question_conversation_id", "conversation_id"),
        Index("ix_gap_question_replied_at", "replied_at"),
    )

    brand_id: UUID = Field(foreign_key="brand.id", ondelete="CASCADE")
    gap_id: UUID | None = Field(default=None, foreign_key="knowledge_gap.id", ondelete="CASCADE")
    conversation_id: UUID = Field(foreign_key="conversation.id", ondelete="CASCADE")
    message_id: UUID = Field(foreign_key="message_log.id", ondelete="CASCADE")
    reason: str = Field(max_length=12)
    question: str = ""
    query: str = ""
    history: list[list[str]] = json_field(list)
    confidence: float | None = None
    trace_id: str | None = Field(default=None, max_length=64)
    asked_at: datetime = time_field()
    replied_at: datetime = time_field()
    agent_answer: str | None = None
    outcome: dict[str, object] | None = Field(default=None, sa_type=JSONB)
