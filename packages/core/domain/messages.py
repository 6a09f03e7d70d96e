"""Messages as they travel between the gateway and the orchestrator, and what became of them.

These dataclasses are the payloads of the streams `inbound` and `outbound`, encoded as JSON by msgspec.
"""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any


class DeliveryStatus(StrEnum):
    """How far a message to the customer has come. `rank` only ever grows.

    HELD: it may not go before the customer writes again; the platform's window is closed.
    """

    QUEUED = "queued"
    HELD = "held"
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
    DeliveryStatus.HELD: 0,
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
    """A file, picture or recording.

    `kind` is image, video, audio, document, sticker or share (something of the platform's own, such as a story).
    Inbound, `external_id` is the platform's media id and `url` where it can be fetched; neither ever holds a token that
    opens more than this file. `media_id` is our own row of it, `size` in bytes. `caption` goes beneath it outbound.
    """

    kind: str
    external_id: str | None = None
    url: str | None = None
    media_type: str | None = None
    filename: str | None = None
    size: int | None = None
    media_id: str | None = None
    caption: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class InboundMessage:
    """What a customer sent, or what happened to them, in the same words for every channel.

    `kind` is one of MESSAGE_KINDS (words of the customer, which the bot answers) or EVENT_KINDS (shown to agents and
    to the model, never answered by themselves). `text` is what to show: body, caption, button title, emoji; `payload`
    the machine value behind a button. `target` is the external id of the message that a reaction, edit or deletion is
    about. `conversation_id` is the platform's conversation where it is not the sender (groups); in a group the bot
    answers only what is `addressed` to it. `moved_to` is the conversation's new address, where it has changed.
    `historic` and `standby` messages (old ones; ones that another app takes care of) are never answered. An `echo` was
    written by the brand itself, elsewhere; its `sender` is the customer it was written to. `extra` keeps what has no
    field of its own (location, contacts, referral …).
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
    addressed: bool = False
    moved_to: str | None = None
    historic: bool = False
    standby: bool = False
    echo: bool = False
    sent_at: datetime | None = None
    extra: dict[str, Any] = field(default_factory=dict)


MESSAGE_KINDS = frozenset(
    {
        "text",
        "image",
        "audio",
        "video",
        "document",
        "sticker",
        "location",
        "contacts",
        "interactive",
        "postback",
        "share",
    }
)
"""Kinds of InboundMessage that are a customer's own words, in the widest sense."""

EVENT_KINDS = frozenset(
    {
        "reaction",
        "edit",
        "delete",
        "referral",
        "optin",
        "preference",
        "system",
        "member",
        "comment",
        "call",
        "group",
        "thread_control",
        "unsupported",
    }
)
"""Kinds of InboundMessage that tell of something that happened."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusUpdate:
    """What the platform says of a message we sent. `correlation_id` is what we gave it when sending, if it comes back.

    `status` HELD means that the platform refused it because its window is closed. With `covers_earlier` all earlier
    messages of the conversation have come as far. `error_message` is a plain explanation.
    """

    external_id: str
    status: DeliveryStatus
    recipient: str | None = None
    correlation_id: str | None = None
    covers_earlier: bool = False
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
class Button:
    """Something to tap. `payload` comes back when it is tapped (default: the title); a `url` opens instead."""

    title: str
    payload: str | None = None
    url: str | None = None
    description: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """A message that the platform has approved beforehand. `parameters` fill its variables, in order or by name.

    `body`, `header` and `buttons` each take their own; a header that is a file takes its URL.
    """

    name: str
    language: str = "en"
    body: tuple[str, ...] = ()
    named: dict[str, str] = field(default_factory=dict)
    header: tuple[str, ...] = ()
    buttons: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Reaction:
    """An emoji on the customer's message `target` (its external id); None takes it back."""

    target: str
    emoji: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboundResponse:
    """One message to a customer: an entry of the stream `outbound`.

    `message_id` identifies it on every repeat. `text` is in our markdown subset; `reply_to` is an external id. A
    template or a reaction stands alone. The sender asks the database, not this payload, whether it may go.
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
    buttons: tuple[Button, ...] = ()
    template: Template | None = None
    reaction: Reaction | None = None
    citations: tuple[dict[str, Any], ...] = ()
    reply_to: str | None = None
    traceparent: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Signal:
    """Something to show the customer that need not arrive: an entry of the stream `signals`.

    `kind` is typing or read; `external_id` is the customer's message that it is about, which some platforms ask for.
    """

    kind: str
    channel_config_id: str
    recipient: str
    external_id: str | None = None
