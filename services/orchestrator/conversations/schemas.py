"""Bodies of conversations and messages."""

from datetime import datetime
from typing import Annotated, Any, Literal, Self
from uuid import UUID

from pydantic import AwareDatetime, Field, StringConstraints, model_validator

from services.orchestrator.auth.schemas import Input, Output

Words = Annotated[str, StringConstraints(min_length=1, max_length=16_000)]


class CustomerRead(Output):
    """Who writes. `address` is where replies go, in the platform's words."""

    id: UUID
    name: str | None
    address: str


class Preview(Output):
    """The last message of a conversation, for lists."""

    author: str
    text: str | None
    kind: str
    sent_at: datetime


class AttachmentRead(Output):
    """A file of a message. `url` is good for minutes, and there once the file is `ready`; a `failed` one says why.

    `gone` files were deleted, or are not kept because the platform forbids it. `text` begins what was read in it.
    """

    kind: str
    status: Literal["pending", "ready", "failed", "gone"]
    media_id: UUID | None = None
    external_id: str | None = None
    filename: str | None = None
    media_type: str | None = None
    size: int | None = None
    url: str | None = None
    error: dict[str, Any] | None = None
    text: str | None = None


class MessageRead(Output):
    """One message. `status` is the delivery status of outbound ones; `context` holds what a bot reply was built on."""

    id: UUID
    seq: int
    direction: Literal["inbound", "outbound", "internal"]
    author: Literal["customer", "bot", "agent", "system"]
    author_id: UUID | None
    kind: str
    text: str | None
    attachments: list[AttachmentRead]
    buttons: list[dict[str, Any]] = []
    template: dict[str, Any] | None = None
    external_id: str | None
    status: str
    error: dict[str, Any] | None
    citations: list[dict[str, Any]]
    context: list[dict[str, Any]]
    sent_at: datetime


class ConversationSummary(Output):
    """A conversation in a list."""

    id: UUID
    brand_id: UUID
    channel_config_id: UUID
    channel: str
    status: str
    owner: str
    owner_reason: str | None
    offered_until: datetime | None
    assignee_id: UUID | None
    customer: CustomerRead
    last_message: Preview | None
    last_message_at: datetime
    last_customer_message_at: datetime | None
    created_at: datetime


class ReplyWindow(Output):
    """Whether the platform lets an agent's answer through now, and `until` when; null where it has no such rule."""

    open: bool
    until: datetime | None
    note: str | None


class ConversationRead(ConversationSummary):
    """A conversation with its latest messages, oldest first. `before` pages back; null at the beginning.

    `reply_window` is null while the channel's rules are not known here.
    """

    messages: list[MessageRead]
    before: int | None
    reply_window: ReplyWindow | None = None


class AttachmentSend(Input):
    """An upload of this conversation (`media_id`) or a file at a public address (`url`), and the words beneath it."""

    media_id: UUID | None = None
    url: Annotated[str, StringConstraints(pattern=r"^https?://\S+$", max_length=2_000)] | None = None
    kind: Literal["image", "video", "audio", "document", "sticker"] | None = None
    filename: Annotated[str, StringConstraints(max_length=200)] | None = None
    caption: Annotated[str, StringConstraints(max_length=4_000)] | None = None

    @model_validator(mode="after")
    def _is_somewhere(self) -> Self:
        if (self.media_id is None) == (self.url is None):
            raise ValueError("an attachment is named by media_id or by url")
        if self.url and not self.kind:
            raise ValueError("an attachment at a url needs its kind")
        return self


class ButtonSend(Input):
    """Something to tap: `payload` comes back (default: the title), or a `url` opens."""

    title: Annotated[str, StringConstraints(min_length=1, max_length=200)]
    payload: Annotated[str, StringConstraints(max_length=200)] | None = None
    url: Annotated[str, StringConstraints(pattern=r"^https?://\S+$", max_length=2_000)] | None = None
    description: Annotated[str, StringConstraints(max_length=200)] | None = None


Parameter = Annotated[str, StringConstraints(max_length=1_024)]


class TemplateSend(Input):
    """A message that the platform has approved beforehand, with what fills its variables, in order or by name."""

    name: Annotated[str, StringConstraints(min_length=1, max_length=512)]
    language: Annotated[str, StringConstraints(min_length=1, max_length=20)] = "en"
    body: list[Parameter] = Field(default_factory=list, max_length=50)
    named: dict[str, Parameter] = Field(default_factory=dict, max_length=50)
    header: list[Parameter] = Field(default_factory=list, max_length=5)
    buttons: list[Parameter] = Field(default_factory=list, max_length=10)


class MessageCreate(Input):
    """An agent's message to the customer, or (`private`, words alone) to colleagues only. A template stands alone."""

    text: Annotated[str, StringConstraints(max_length=16_000)] = ""
    attachments: list[AttachmentSend] = Field(default_factory=list, max_length=10)
    buttons: list[ButtonSend] = Field(default_factory=list, max_length=25)
    template: TemplateSend | None = None
    private: bool = False

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if not (self.text or self.attachments or self.buttons or self.template):
            raise ValueError("a message has a text, attachments, buttons or a template")
        if self.private and (self.attachments or self.buttons or self.template):
            raise ValueError("a note for colleagues is words alone, without attachments")
        if self.template and (self.attachments or self.buttons):
            raise ValueError("a template stands alone; its variables take files and buttons")
        uploads = [item.media_id for item in self.attachments if item.media_id]
        if len(set(uploads)) < len(uploads):
            raise ValueError("an upload is sent once")
        return self


class NoteCreate(Input):
    """A note that colleagues see, and the customer does not."""

    text: Words


class Assignment(Input):
    """Who is to answer."""

    assignee_id: UUID


class SenderIn(Input):
    """Who wrote."""

    external_id: Annotated[str, StringConstraints(min_length=1, max_length=300)]
    name: Annotated[str, StringConstraints(max_length=300)] | None = None
    username: Annotated[str, StringConstraints(max_length=300)] | None = None


class AttachmentIn(Input):
    """A file, picture or recording."""

    kind: Annotated[str, StringConstraints(min_length=1, max_length=32)]
    external_id: Annotated[str, StringConstraints(max_length=600)] | None = None
    url: Annotated[str, StringConstraints(max_length=2_000)] | None = None
    media_type: Annotated[str, StringConstraints(max_length=200)] | None = None
    filename: Annotated[str, StringConstraints(max_length=500)] | None = None
    size: int | None = Field(None, ge=0)


class InboundMessageIn(Input):
    """What a customer sent. A repeat of the same `external_id` on the same channel config changes nothing."""

    channel_config_id: UUID
    external_id: Annotated[str, StringConstraints(min_length=1, max_length=600)]
    sender: SenderIn
    kind: Annotated[str, StringConstraints(pattern=r"^[a-z_]{1,32}$")] = "text"
    text: Annotated[str, StringConstraints(max_length=16_000)] | None = None
    payload: Annotated[str, StringConstraints(max_length=2_000)] | None = None
    attachments: list[AttachmentIn] = Field(default_factory=list, max_length=30)
    reply_to: Annotated[str, StringConstraints(max_length=600)] | None = None
    conversation_id: Annotated[str, StringConstraints(min_length=1, max_length=300)] | None = Field(
        None, description="the platform's conversation where it is not the sender's own, such as a group"
    )
    sent_at: AwareDatetime | None = None
    extra: dict[str, Any] = Field(default_factory=dict)


class InboundAccepted(Output):
    """The message is durable. `reply` is there only if the caller preferred to wait, and the bot was in time."""

    message_id: UUID | None
    conversation_id: UUID | None
    duplicate: bool


class InboundAnswered(InboundAccepted):
    """The message and the reply to it."""

    reply: MessageRead


class EventTaken(Output):
    """What became of one event of a batch."""

    external_id: str
    state: str
    duplicate: bool
    reason: str | None
    message_id: UUID | None
    conversation_id: UUID | None


class EventsTaken(Output):
    """One answer per event, in their order."""

    items: list[EventTaken]
