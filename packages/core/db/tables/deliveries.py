"""The outbox: each message to a customer, from its commit until the platform took it or never will."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, Index, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field

from packages.core.db.base import TenantRow, json_field, time_field


class Delivery(TenantRow, table=True):
    """The sending of one message. `id` is the message's id; `seq` its place in the conversation.

    published (to be claimed by a sender) → sending → sent, or failed, or void (no longer true: a newer customer message
    or a person came first), or retry, or held (until the customer writes again; then retry). Whatever is unsettled at
    `next_attempt_at` goes onto the stream again: a claim that was lost, a retry that is due, a sender that died in the
    middle (`in_doubt` counts those). `parts_sent` of the requests that the message takes have been accepted.
    """

    __table_args__ = (
        Index(
            "ix_delivery_due",
            "next_attempt_at",
            postgresql_where=text("state IN ('published', 'sending', 'retry')"),
        ),
        Index(
            "ix_delivery_unsettled",
            "conversation_id",
            "seq",
            postgresql_where=text("state IN ('published', 'sending', 'retry')"),
        ),
        Index(
            "ix_delivery_channel_config_id_external_id",
            "channel_config_id",
            "external_id",
            postgresql_where=text("external_id IS NOT NULL"),
        ),
        Index("ix_delivery_failed", "tenant_id", "created_at", postgresql_where=text("state IN ('failed', 'held')")),
        Index("ix_delivery_held", "conversation_id", postgresql_where=text("state = 'held'")),
    )

    conversation_id: UUID = Field(foreign_key="conversation.id", ondelete="CASCADE")
    channel_config_id: UUID = Field(foreign_key="channel_config.id", ondelete="CASCADE")
    seq: int = Field(sa_type=BigInteger)
    epoch: int | None = Field(default=None, sa_type=BigInteger)
    payload: dict[str, object] = json_field()
    state: str = Field(default="published", max_length=12)
    publishes: int = 1
    attempts: int = 0
    in_doubt: int = 0
    parts_sent: int = Field(default=0, sa_column_kwargs={"server_default": "0"})
    next_attempt_at: datetime = time_field()
    claim_token: UUID | None = None
    external_id: str | None = Field(default=None, max_length=600)
    error: dict[str, object] | None = Field(default=None, sa_type=JSONB)
    settled_at: datetime | None = time_field(nullable=True)


class DeliveryPart(TenantRow, table=True):
    """A later part of a message that took several requests: the platform's id of it, under which statuses come."""

    __tablename__ = "delivery_part"
    __table_args__ = (
        Index("uq_delivery_part_channel_config_id_external_id", "channel_config_id", "external_id", unique=True),
        Index("ix_delivery_part_delivery_id", "delivery_id"),
    )

    delivery_id: UUID = Field(foreign_key="delivery.id", ondelete="CASCADE")
    channel_config_id: UUID = Field(foreign_key="channel_config.id", ondelete="CASCADE")
    number: int
    external_id: str = Field(max_length=600)


class EarlyStatus(TenantRow, table=True):
    """A status that came before its send was settled: kept for a while, the highest of each message."""

    __tablename__ = "early_status"
    __table_args__ = (
        Index("uq_early_status_channel_config_id_external_id", "channel_config_id", "external_id", unique=True),
        Index("ix_early_status_created_at", "created_at"),
    )

    channel_config_id: UUID = Field(foreign_key="channel_config.id", ondelete="CASCADE")
    external_id: str = Field(max_length=600)
    status: str = Field(max_length=20)
    error: dict[str, object] | None = Field(default=None, sa_type=JSONB)
