"""What Instagram's send API takes, as its documentation describes it: written apart from the code that sends.

After "Send messages", "Quick replies" and "Button template" of Meta's Instagram Platform documentation. Unknown keys
are refused, as the platform does. Lengths of texts in bytes cannot be said in a type; the tests check them beside it.
"""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

Title = Annotated[str, Meta(min_length=1, max_length=20)]
Payload = Annotated[str, Meta(min_length=1, max_length=1000)]
Url = Annotated[str, Meta(pattern="^https?://")]


class Strict(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """No key but those named."""


class Recipient(Strict):
    id: Annotated[str, Meta(pattern="^[0-9]+$")]


class WebUrl(Strict, tag_field="type", tag="web_url"):
    url: Url
    title: Title


class PostbackButton(Strict, tag_field="type", tag="postback"):
    title: Title
    payload: Payload


class ButtonTemplate(Strict):
    template_type: Literal["button"]
    text: Annotated[str, Meta(min_length=1, max_length=640)]
    buttons: Annotated[list[WebUrl | PostbackButton], Meta(min_length=1, max_length=3)]


class Link(Strict):
    url: Url


class Image(Strict, tag_field="type", tag="image"):
    payload: Link


class Video(Strict, tag_field="type", tag="video"):
    payload: Link


class Audio(Strict, tag_field="type", tag="audio"):
    payload: Link


class Document(Strict, tag_field="type", tag="file"):
    payload: Link


class Template(Strict, tag_field="type", tag="template"):
    payload: ButtonTemplate


class QuickReply(Strict):
    content_type: Literal["text"]
    title: Title
    payload: Payload


class Message(Strict):
    text: Annotated[str, Meta(min_length=1)] | None = None
    attachment: Image | Video | Audio | Document | Template | None = None
    quick_replies: Annotated[list[QuickReply], Meta(min_length=1, max_length=13)] | None = None
    metadata: Annotated[str, Meta(max_length=999)] | None = None

    def __post_init__(self) -> None:
        if (self.text is None) == (self.attachment is None):
            raise ValueError("either a text or an attachment")
        if self.quick_replies and self.text is None:
            raise ValueError("quick replies go with a text here")


class Target(Strict):
    message_id: str
    reaction: Literal["love", "like", "laugh", "wow", "sad", "angry"] | None = None


class ReplyTo(Strict):
    mid: str


class Request(Strict):
    recipient: Recipient
    message: Message | None = None
    reply_to: ReplyTo | None = None
    messaging_type: Literal["MESSAGE_TAG"] | None = None
    tag: Literal["HUMAN_AGENT"] | None = None
    sender_action: Literal["typing_on", "typing_off", "mark_seen", "react", "unreact"] | None = None
    payload: Target | None = None

    def __post_init__(self) -> None:
        if (self.message is None) == (self.sender_action is None):
            raise ValueError("a sender action stands alone")
        if self.sender_action and (self.reply_to or self.tag):
            raise ValueError("a sender action stands alone")
        if (self.messaging_type is None) != (self.tag is None):
            raise ValueError("a tag and its messaging type go together")
        if (self.payload is None) != (self.sender_action not in {"react", "unreact"}):
            raise ValueError("a payload belongs to a reaction")
        if self.payload and (self.payload.reaction is None) != (self.sender_action == "unreact"):
            raise ValueError("react names a reaction, unreact none")


def validate(body: Any) -> Request:
    """The body, read by the documented rules.

    Raises:
        msgspec.ValidationError: it breaks one.
    """
    return msgspec.convert(body, Request)
