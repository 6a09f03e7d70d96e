"""Files that customers and agents send."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, Index, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field

from packages.core.db.base import TenantRow, time_field


class Media(TenantRow, table=True):
    """One file of a message. `place` is its position among the message's attachments.

    pending (to be fetched from the platform) → ready (kept under `storage_key`), or failed (`error` says why), or gone
    (deleted because the customer took the message back). While pending it is tried again at `next_attempt_at`; until
    then it belongs to whoever claimed it. An agent's upload is ready from the start; its message comes when it is sent.

    `url` is where the platform said that it can be fetched; it never holds a token that opens more than this file.
    `reading` tells of the text in it: none (nothing to read), wanted, done (`text`), failed.
    """

    __table_args__ = (
        Index("ix_media_message_id", "message_id"),
        Index("ix_media_due", "next_attempt_at", postgresql_where=text("state = 'pending'")),
        Index("ix_media_unsent", "created_at", postgresql_where=text("message_id IS NULL")),
    )

    conversation_id: UUID = Field(foreign_key="conversation.id", ondelete="CASCADE")
    channel_config_id: UUID = Field(foreign_key="channel_config.id", ondelete="CASCADE")
    message_id: UUID | None = Field(default=None, foreign_key="message_log.id", ondelete="CASCADE")
    place: int = 0
    direction: str = Field(default="inbound", max_length=10)
    kind: str = Field(max_length=32)
    external_id: str | None = Field(default=None, max_length=600)
    url: str | None = Field(default=None, max_length=4000)
    media_type: str | None = Field(default=None, max_length=200)
    filename: str | None = Field(default=None, max_length=500)
    size: int | None = Field(default=None, sa_type=BigInteger)
    sha256: str | None = Field(default=None, max_length=64)
    storage_key: str | None = Field(default=None, max_length=500)
    state: str = Field(default="pending", max_length=12)
    attempts: int = 0
    next_attempt_at: datetime = time_field()
    error: dict[str, object] | None = Field(default=None, sa_type=JSONB)
    reading: str = Field(default="none", max_length=12)
    text: str | None = None
