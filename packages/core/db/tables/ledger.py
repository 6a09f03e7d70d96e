"""The ledger: every item that a platform sent us, and what became of it."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import Index, UniqueConstraint, text
from sqlmodel import Field

from packages.core.db.base import TenantRow, json_field, time_field


class InboundLedger(TenantRow, table=True):
    """One provider item. The unique key decides what is a repeat; `repeats` counts them.

    `state` is received, ignored, answered or failed; `reason` says why it was ignored or failed.
    """

    __tablename__ = "inbound_ledger"
    __table_args__ = (
        UniqueConstraint("channel_config_id", "external_id"),
        Index("ix_inbound_ledger_tenant_id_received_at", "tenant_id", text("received_at DESC")),
        Index("ix_inbound_ledger_message_id", "message_id", postgresql_where=text("message_id IS NOT NULL")),
        Index(
            "ix_inbound_ledger_account_events",
            "channel_config_id",
            text("received_at DESC"),
            postgresql_where=text("kind IN ('account', 'template', 'channel_error')"),
        ),
        Index("ix_inbound_ledger_failed", "tenant_id", "received_at", postgresql_where=text("state IN ('failed')")),
    )

    channel_config_id: UUID = Field(foreign_key="channel_config.id", ondelete="CASCADE")
    external_id: str = Field(max_length=900)
    kind: str = Field(max_length=32)
    state: str = Field(default="received", max_length=12)
    reason: str | None = None
    event: dict[str, object] = json_field()
    repeats: int = 0
    message_id: UUID | None = None
    received_at: datetime = time_field()
