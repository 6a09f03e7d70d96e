"""Bodies of deliveries."""

from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import Field

from services.orchestrator.auth.schemas import Input, Output


class DeliveryRead(Output):
    """The sending of one message, and how it stands; `text` is its beginning.

    `error` says in plain words why it failed, is held, or has to be tried again. `in_doubt` counts attempts that nobody
    knows the end of.
    """

    id: UUID
    conversation_id: UUID
    channel_config_id: UUID
    state: str
    status: str
    author: str
    kind: str
    text: str | None
    error: dict[str, Any] | None
    attempts: int
    in_doubt: int
    parts_sent: int
    created_at: datetime
    next_attempt_at: datetime
    settled_at: datetime | None


class RequeueMany(Input):
    """Which failed messages are to be sent after all: those of one account, of one cause, or all."""

    channel_config_id: UUID | None = None
    code: str | None = Field(None, max_length=100, description="`error.code` of the messages, such as needs_attention")


class Requeued(Output):
    """How many messages are on their way again."""

    count: int
