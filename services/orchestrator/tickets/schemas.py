"""Bodies of tickets."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import AwareDatetime, Field

from services.orchestrator.auth.schemas import Input, Output

Kind = Literal["ticket", "callback"]
Priority = Literal["low", "normal", "high", "urgent"]
Status = Literal["open", "closed"]


class TicketCreate(Input):
    """A ticket that a person opens."""

    brand_id: UUID
    kind: Kind = "ticket"
    subject: str = Field(min_length=1, max_length=200)
    body: str = Field("", max_length=20_000)
    category: str | None = Field(None, max_length=64)
    priority: Priority = "normal"
    contact: str | None = Field(None, max_length=320)
    due_at: AwareDatetime | None = None
    conversation_id: UUID | None = None


class TicketUpdate(Input):
    """What is given is changed."""

    subject: str | None = Field(None, min_length=1, max_length=200)
    body: str | None = Field(None, max_length=20_000)
    category: str | None = Field(None, max_length=64)
    priority: Priority | None = None
    status: Status | None = None
    due_at: AwareDatetime | None = None


class TicketRead(Output):
    """A ticket. `hook_state` says whether the brand's own system was told: pending, delivered or failed."""

    id: UUID
    number: int
    brand_id: UUID
    conversation_id: UUID | None
    customer_id: UUID | None
    call_id: UUID | None
    kind: str
    subject: str
    body: str
    category: str | None
    priority: str
    status: str
    contact: str | None
    due_at: datetime | None
    hook_state: str | None
    hook_error: str | None
    created_at: datetime
    updated_at: datetime
    closed_at: datetime | None
