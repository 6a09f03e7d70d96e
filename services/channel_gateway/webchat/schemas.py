"""What browsers send to the web chat, and what they get."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

ClientId = Annotated[str, StringConstraints(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9_.:-]+$")]


class SessionCreate(BaseModel):
    """Open a session, or go on with the one of an earlier token. The name is a claim, shown to agents as such."""

    session_token: str | None = Field(None, max_length=4000)
    name: Annotated[str, StringConstraints(strip_whitespace=True, max_length=100)] | None = None


class SessionRead(BaseModel):
    """A session. Keep the token; it is all that tells visitors apart."""

    session_token: str
    customer_id: str


class MessageCreate(BaseModel):
    """A message of the visitor. Sending the same `client_id` again changes nothing."""

    client_id: ClientId
    text: str = Field(max_length=100_000)


class MessageAccepted(BaseModel):
    """The message is durable; it shows in the conversation in a moment."""

    client_id: str
    status: str = "accepted"


class MessageRead(BaseModel):
    """One message of the conversation. `seq` grows with every message."""

    model_config = ConfigDict(from_attributes=True)

    id: UUID
    seq: int
    author: str
    kind: str
    text: str | None
    citations: Sequence[Mapping[str, Any]]
    status: str
    sent_at: datetime
    client_id: str | None = None
    attachments: Sequence[Mapping[str, Any]] = ()


class MessageList(BaseModel):
    """Messages in order; ask again with `after` set to the last `seq`."""

    items: list[MessageRead]
    next_cursor: str | None = None
