"""Bodies of the ledger."""

from datetime import datetime
from typing import Any
from uuid import UUID

from services.orchestrator.auth.schemas import Output


class LedgerRead(Output):
    """A provider item and what became of it: received, ignored, answered or failed, with the reason.

    `repeats` counts how often the provider sent it again; `event` is what it sent, as we understood it.
    """

    id: UUID
    channel_config_id: UUID
    external_id: str
    kind: str
    state: str
    reason: str | None
    repeats: int
    message_id: UUID | None
    event: dict[str, Any]
    received_at: datetime


class Replayed(Output):
    """The item after it was taken in once more."""

    id: UUID
    state: str
    reason: str | None
    message_id: UUID | None
    conversation_id: UUID | None
