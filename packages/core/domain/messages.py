"""Messages as they travel between the gateway and the orchestrator, and what became of them.

These dataclasses are the payloads of the streams `inbound` and `outbound`, encoded as JSON by msgspec.
"""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any


class DeliveryStatus(StrEnum):
    """How far a message to the customer has come. `rank` only ever grows."""

    QUEUED = "queued"
    SENT = "sent"
    DELIVERED = "delivered"
    READ = "read"
    FAILED = "failed"
    VOID = "void"

    @property
    def rank(self) -> int:
        """Statuses come late, early and doubled: only a higher rank replaces a lower one."""
        return _RANKS[self]


_RANKS = {
    DeliveryStatus.QUEUED: 0,
    DeliveryStatus.SENT: 1,
    DeliveryStatus.FAILED: 2,
    DeliveryStatus.VOID: 2,
    DeliveryStatus.DELIVERED: 3,
    DeliveryStatus.READ: 4,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Sender:
    """The person who wrote. `alternative_ids` are further ids of the same person on the same channel."""

    external_id: str
    name: str | None = None
    username: str | None = None
    alternative_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Attachment:
    """A file, picture or recording. `external_id` is the platform's media id, `url` where it can be fetched."""

    kind: str
    external_id: str | None = None
    url: str | None = None
    media_type: str | None = None
    filename: str | None = None
    size: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class InboundMessage:
    """What a customer sent, in the same words for every channel.

    `kind` is text, image, audio, video, document, sticker, location, contacts, interactive, postback, reaction,
    edit, delete, referral, system or unsupported. `text` is what to show: body, caption or button title; `payload`
    the machine value behind a button. `conversation_id` is the platform's conversation where it is not the sender
    (groups). `extra` keeps what has no field of its own (location, contacts, referral …).
    """

    channel_config_id: str
    external_id: str
    sender: Sender
    kind: str = "text"
    text: str | None = None
    payload: str | None = None
    attachments: tuple[Attachment, ...] = ()
    reply_to: str | None = None
    target: str | None = None
    conversation_id: str | None = None
    sent_at: datetime | None = None
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusUpdate:
    """What the platform says of a message we sent. `correlation_id` is our own message id, where it comes back."""

    external_id: str
    status: DeliveryStatus
    recipient: str | None = None
    correlation_id: str | None = None
    at: datetime | None = None
    error_code: str | None = None
    error_message: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class InboundEvent:
    """One item of a webhook, authenticated and routed to its channel config: an entry of the stream `inbound`.

    `external_id` is unique per channel config and tells repeats apart. Exactly one of `message`, `status` and
    `ignored` (the reason why the item needs no action) is set. `raw` is the platform's own item, kept in the ledger.
    """

    tenant_id: str
    channel_config_id: str
    external_id: str
    kind: str
    message: InboundMessage | None = None
    status: StatusUpdate | None = None
    ignored: str | None = None
    raw: dict[str, Any] = field(default_factory=dict)
    received_at: datetime | None = None
    traceparent: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboundResponse:
    """One message to a customer: an entry of the stream `outbound`.

    `message_id` identifies it on every repeat. The sender asks the database, not this payload, whether it may go.
    """

    message_id: str
    tenant_id: str
    brand_id: str
    conversation_id: str
    channel_config_id: str
    recipient: str
    author: str
    text: str
    attachments: tuple[Attachment, ...] = ()
    quick_replies: tuple[str, ...] = ()
    citations: tuple[dict[str, Any], ...] = ()
    reply_to: str | None = None
    traceparent: str | None = None
