"""Conversations, their messages, and the turns that are due."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, Column, Identity, Index, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field

from packages.core.db.base import TenantRow, json_field, time_field


class Conversation(TenantRow, table=True):
    """One customer on one channel config, from the first message until it is resolved.

    `epoch` grows with each customer message, change of owner and erasure; a bot reply is valid only in the epoch in
    which it was decided. `recipient` is where replies go in the platform's words.
    """

    __table_args__ = (
        Index(
            "uq_conversation_channel_config_id_recipient_open",
            "channel_config_id",
            "recipient",
            unique=True,
            postgresql_where=text("status = 'open'"),
        ),
        Index("ix_conversation_tenant_id_last_message_at", "tenant_id", text("last_message_at DESC")),
        Index("ix_conversation_brand_id_last_message_at", "brand_id", text("last_message_at DESC")),
        Index("ix_conversation_customer_id", "customer_id"),
        Index("ix_conversation_offered", "offered_until", postgresql_where=text("owner = 'offered'")),
    )

    brand_id: UUID = Field(foreign_key="brand.id", ondelete="CASCADE")
    channel_config_id: UUID = Field(foreign_key="channel_config.id", ondelete="CASCADE")
    customer_id: UUID = Field(foreign_key="customer.id", ondelete="CASCADE")
    recipient: str = Field(max_length=300)
    status: str = Field(default="open", max_length=20)
    owner: str = Field(default="bot", max_length=20)
    owner_reason: str | None = None
    offered_until: datetime | None = time_field(nullable=True)
    assignee_id: UUID | None = Field(default=None, foreign_key="user_account.id", ondelete="SET NULL")
    epoch: int = Field(default=0, sa_type=BigInteger)
    last_message_at: datetime = time_field()
    last_customer_message_at: datetime | None = time_field(nullable=True)


class MessageLog(TenantRow, table=True):
    """One message of a conversation, in the order of `seq`.

    `direction` is inbound, outbound or internal (notes); `author` customer, bot, agent or system. For inbound messages
    `answered_by` names the reply whose turn took them in. `context` holds the snippets that a bot reply was built on.
    """

    __tablename__ = "message_log"
    __table_args__ = (
        Index("ix_message_log_conversation_id_seq", "conversation_id", "seq"),
        Index(
            "ix_message_log_unanswered",
            "conversation_id",
            postgresql_where=text("direction = 'inbound' AND answered_by IS NULL"),
        ),
        Index("ix_message_log_answered_by", "answered_by", postgresql_where=text("answered_by IS NOT NULL")),
        Index(
            "ix_message_log_target",
            text("(content->>'target')"),
            postgresql_where=text("kind IN ('edit', 'delete', 'reaction')"),
        ),
        # Replies that show what the knowledge lacks; rare, and read in the order in which they came.
        Index(
            "ix_message_log_gaps",
            "created_at",
            postgresql_where=text(
                "author = 'bot' AND (trace->>'abstained' = 'true' OR trace->>'wants_person' = 'true' "
                "OR trace->>'failed' = 'true')"
            ),
        ),
        Index("ix_message_log_external_id", "external_id", postgresql_where=text("external_id IS NOT NULL")),
    )

    conversation_id: UUID = Field(foreign_key="conversation.id", ondelete="CASCADE")
    seq: int | None = Field(
        default=None, sa_column=Column(BigInteger, Identity(always=True), nullable=False, unique=True)
    )
    direction: str = Field(max_length=10)
    author: str = Field(max_length=10)
    author_id: UUID | None = Field(default=None, foreign_key="user_account.id", ondelete="SET NULL")
    kind: str = Field(default="text", max_length=32)
    text: str | None = None
    content: dict[str, object] = json_field()
    external_id: str | None = Field(default=None, max_length=600)
    status: str = Field(default="received", max_length=20)
    error: dict[str, object] | None = Field(default=None, sa_type=JSONB)
    citations: list[object] = json_field(list)
    context: list[object] = json_field(list)
    trace: dict[str, object] | None = Field(default=None, sa_type=JSONB)
    answered_by: UUID | None = None
    sent_at: datetime = time_field()


class PendingTurn(TenantRow, table=True):
    """A conversation that waits for the bot, or is being answered. The row goes when the turn commits.

    `due_at` moves with each message of a burst, but never past `first_at` plus the longest wait. `lease_token` is set
    anew by each claim, so that a process that was thought dead cannot commit.
    """

    __tablename__ = "pending_turn"
    __table_args__ = (
        Index("uq_pending_turn_conversation_id", "conversation_id", unique=True),
        Index("ix_pending_turn_tenant_id_due_at", "tenant_id", "due_at"),
    )

    conversation_id: UUID = Field(foreign_key="conversation.id", ondelete="CASCADE")
    due_at: datetime = time_field()
    first_at: datetime = time_field()
    lease_token: UUID | None = None
    lease_until: datetime | None = time_field(nullable=True)
    attempts: int = 0
    voided: int = 0
    last_error: str | None = None
    traceparent: str | None = Field(default=None, max_length=64)
