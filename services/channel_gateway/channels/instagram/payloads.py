"""The parts of Instagram's webhook items that we read. Everything else stays in the raw item.

Written after Meta's Instagram Platform and Messenger Platform documentation. As little as possible is required: keys
are missing in standby, on removal and for people with private accounts, and new ones appear several times a year.
"""

from typing import Any

import msgspec

Id = str | int | None
JSON = dict[str, Any]


class Party(msgspec.Struct):
    """One side of a conversation: a person's Instagram-scoped id, or our account's id."""

    id: Id = None


class Attachment(msgspec.Struct):
    """A file, or something of Instagram's own. What vanishes after one view has no payload."""

    type: str = "unknown"
    payload: JSON | None = None
    title: str | None = None
    url: str | None = None


class QuickReply(msgspec.Struct):
    """A quick reply that was tapped."""

    payload: str | None = None


class ReplyTo(msgspec.Struct):
    """What a message answers: an earlier one, or a story."""

    mid: str | None = None
    story: JSON | None = None


class Message(msgspec.Struct):
    """A message, of the person or (an echo) of our side."""

    mid: str | None = None
    text: str | None = None
    attachments: list[Attachment] | None = None
    quick_reply: QuickReply | None = None
    reply_to: ReplyTo | None = None
    referral: JSON | None = None
    is_echo: bool | None = None
    is_deleted: bool | None = None
    is_unsupported: bool | None = None
    app_id: Id = None
    metadata: str | None = None


class Edit(msgspec.Struct):
    """New words for an earlier message."""

    mid: str
    text: str | None = None
    num_edit: Id = None


class Reaction(msgspec.Struct):
    """An emoji on a message, or its removal, which names none."""

    mid: str
    action: str = "react"
    reaction: str | None = None
    emoji: str | None = None


class Postback(msgspec.Struct):
    """A tap on an ice breaker, a menu entry or a template's button. In standby, id and payload are withheld."""

    mid: str | None = None
    title: str | None = None
    payload: str | None = None
    referral: JSON | None = None


class Read(msgspec.Struct):
    """The person has seen this message and all before it."""

    mid: str


class Event(msgspec.Struct):
    """One item of `messaging` or `standby`. One of the keys after `timestamp` says what happened."""

    sender: Party | None = None
    recipient: Party | None = None
    timestamp: Any = None
    message: Message | None = None
    message_edit: Edit | None = None
    reaction: Reaction | None = None
    postback: Postback | None = None
    read: Read | None = None
    referral: JSON | None = None
    optin: JSON | None = None
    pass_thread_control: JSON | None = None
    take_thread_control: JSON | None = None
    request_thread_control: JSON | None = None
    app_roles: JSON | None = None
    policy_enforcement: JSON | None = None


class Author(msgspec.Struct):
    """Who wrote a comment."""

    id: Id = None
    username: str | None = None


class Comment(msgspec.Struct):
    """A comment beneath a post, a reel or a live broadcast. A mention may name nobody and have no text."""

    id: Id = None
    comment_id: Id = None
    media_id: Id = None
    parent_id: Id = None
    author: Author | None = msgspec.field(name="from", default=None)
    text: str | None = None
    media: JSON | None = None
