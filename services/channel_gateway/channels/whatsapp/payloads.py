"""The parts of WhatsApp's webhook items that we read. Everything else stays in the raw item.

Written after Meta's WhatsApp Business Platform documentation. As little as possible is required: people without a phone
number have no `from`, and new keys and types appear several times a year.
"""

from typing import Any

import msgspec

Id = str | int | None


class Profile(msgspec.Struct):
    """What a person shows of themselves."""

    name: str | None = None
    username: str | None = None


class Contact(msgspec.Struct):
    """A person who occurs in a change; not in step with its messages."""

    profile: Profile | None = None
    wa_id: Id = None
    user_id: Id = None
    parent_user_id: Id = None


class Text(msgspec.Struct):
    """A plain message."""

    body: str


class Media(msgspec.Struct):
    """A picture, recording, document or sticker."""

    id: Id = None
    mime_type: str | None = None
    url: str | None = None
    caption: str | None = None
    filename: str | None = None
    voice: bool | None = None
    animated: bool | None = None


class Context(msgspec.Struct):
    """What a message answers, or that it was passed on. `from` is a phone number or a phone number id."""

    id: str | None = None
    sender: Id = msgspec.field(name="from", default=None)
    forwarded: bool = False
    frequently_forwarded: bool = False
    referred_product: dict[str, Any] | None = None


class Reaction(msgspec.Struct):
    """An emoji on a message; none means that it was taken back."""

    message_id: str
    emoji: str | None = None


class Button(msgspec.Struct):
    """The quick reply of a template."""

    text: str | None = None
    payload: str | None = None


class System(msgspec.Struct):
    """A change of the person's number, id or identity."""

    type: str | None = None
    body: str | None = None
    wa_id: Id = None
    user_id: Id = None
    new_wa_id: Id = None


class Revoke(msgspec.Struct):
    """A message taken back."""

    original_message_id: str


class Edit(msgspec.Struct):
    """A message changed; `message` is its new content."""

    original_message_id: str
    message: dict[str, Any] = {}


class Message(msgspec.Struct):
    """One message of a person, whatever its type."""

    id: str
    type: str = "unknown"
    sender: Id = msgspec.field(name="from", default=None)
    from_user_id: Id = None
    from_parent_user_id: Id = None
    to: Id = None
    to_user_id: Id = None
    to_parent_user_id: Id = None
    timestamp: Id = None
    group_id: str | None = None
    context: Context | None = None
    text: Text | None = None
    image: Media | None = None
    video: Media | None = None
    audio: Media | None = None
    document: Media | None = None
    sticker: Media | None = None
    location: dict[str, Any] | None = None
    contacts: list[dict[str, Any]] | None = None
    interactive: dict[str, Any] | None = None
    button: Button | None = None
    reaction: Reaction | None = None
    order: dict[str, Any] | None = None
    system: System | None = None
    identity: dict[str, Any] | None = None
    edit: Edit | None = None
    revoke: Revoke | None = None
    referral: dict[str, Any] | None = None
    unsupported: dict[str, Any] | None = None
    origin: str | None = None
    history_context: dict[str, Any] | None = None
    errors: list[dict[str, Any]] | None = None


class Call(msgspec.Struct):
    """One step of a call."""

    id: str
    event: str = "unknown"
    sender: Id = msgspec.field(name="from", default=None)
    from_user_id: Id = None
    to: Id = None
    to_user_id: Id = None
    timestamp: Id = None
    direction: str | None = None
    status: str | None = None
    duration: int | None = None
    errors: list[dict[str, Any]] | None = None


class CallStatus(msgspec.Struct):
    """How far a call of ours has come."""

    id: str
    status: str
    timestamp: Id = None
    recipient_id: Id = None
    recipient_user_id: Id = None


class Preference(msgspec.Struct):
    """What a person wants to hear of."""

    value: str
    category: str = "unknown"
    wa_id: Id = None
    user_id: Id = None
    detail: str | None = None
    signup_id: str | None = None
    timestamp: Id = None


class Group(msgspec.Struct):
    """Something that happened to a group."""

    group_id: str
    type: str = "unknown"
    timestamp: Id = None
    request_id: str | None = None
    subject: str | None = None
    reason: str | None = None
    wa_id: Id = None
    user_id: Id = None
    added_participants: list[dict[str, Any]] | None = None
    removed_participants: list[dict[str, Any]] | None = None
    failed_participants: list[dict[str, Any]] | None = None
    errors: list[dict[str, Any]] | None = None


class Status(msgspec.Struct):
    """What became of a message we sent."""

    id: str
    status: str
    timestamp: Id = None
    recipient_id: Id = None
    recipient_user_id: Id = None
    recipient_participant_id: Id = None
    participant_recipient_id: Id = None
    recipient_participant_user_id: Id = None
    biz_opaque_callback_data: str | None = None
    errors: list[dict[str, Any]] | None = None
