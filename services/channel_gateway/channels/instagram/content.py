"""What a message says: our kind of it, and the fields of InboundMessage that it fills."""

from collections.abc import Sequence
from typing import Any

from packages.core.domain import messages
from services.channel_gateway.channels.instagram.payloads import JSON, Attachment, Message

_FILES = {"image": "image", "video": "video", "audio": "audio", "file": "document"}
_HEART = "like_heart"
_IDS = ("ig_post_media_id", "reel_video_id", "id")


def content(message: Message) -> tuple[str, JSON]:
    """Our kind of a message, and its text, payload, attachments, reply_to and extra."""
    extra = _surroundings(message)
    fields: JSON = {"text": message.text or None, "extra": extra}
    if message.reply_to and message.reply_to.mid:
        fields["reply_to"] = message.reply_to.mid
    if message.is_unsupported:
        return "unsupported", fields
    found = message.attachments or []
    if found:
        fields["attachments"] = tuple(_attachment(one) for one in found)
        if shared := [_shared(one) for one in found if one.type not in _FILES]:
            extra["shared"] = shared
    if message.quick_reply:
        return "interactive", fields | {"payload": message.quick_reply.payload}
    return _kind(message, found, fields)


def _kind(message: Message, found: Sequence[Attachment], fields: JSON) -> tuple[str, JSON]:
    """Files say more of a message than its words, and words more than what was shared with them."""
    for attachment in found:
        if attachment.type in _FILES:
            return _FILES[attachment.type], fields
    if message.text:
        return "text", fields
    if found and all(attachment.type == _HEART for attachment in found):
        return "sticker", fields | {"text": "❤️"}
    return ("share" if found else "unsupported"), fields


def _attachment(attachment: Attachment) -> messages.Attachment:
    """A file that may be fetched, or a `share`: what belongs to others, or vanishes, is shown and never stored."""
    kind = "sticker" if attachment.type == _HEART else _FILES.get(attachment.type, "share")
    payload = attachment.payload or {}
    return messages.Attachment(
        kind=kind,
        external_id=_own_id(payload),
        url=text(payload.get("url")) or attachment.url,
        caption=_title(attachment),
    )


def _shared(attachment: Attachment) -> JSON:
    payload = attachment.payload or {}
    known = {
        "type": attachment.type,
        "id": _own_id(payload),
        "title": _title(attachment),
        "url": text(payload.get("url")) or attachment.url,
    }
    return {key: value for key, value in known.items() if value}


def _own_id(payload: JSON) -> str | None:
    return next((found for key in _IDS if (found := text(payload.get(key)))), None)


def _title(attachment: Attachment) -> str | None:
    """The title of something shared; of a template (in an echo), that of its first card."""
    payload = attachment.payload or {}
    if title := text(payload.get("title")) or attachment.title:
        return title
    generic = payload.get("generic")
    elements = (generic if isinstance(generic, dict) else payload).get("elements")
    first = elements[0] if isinstance(elements, list) and elements else None
    return text(first.get("title")) if isinstance(first, dict) else text(payload.get("text"))


def _surroundings(message: Message) -> JSON:
    """What comes with a message of any kind."""
    extra: JSON = {}
    if message.referral:
        extra["referral"] = message.referral
    if message.reply_to and message.reply_to.story:
        story = message.reply_to.story
        extra["story"] = {key: value for key in ("id", "url") if (value := text(story.get(key)))}
    if app_id := text(message.app_id):
        extra["app_id"] = app_id
    return extra


def text(value: Any) -> str | None:
    """A string or whole number as text, None for anything else and for what is empty."""
    if isinstance(value, bool) or not isinstance(value, str | int):
        return None
    return str(value) or None
