"""The content of a WhatsApp message: our kind for each of its types, and the fields of InboundMessage that it fills."""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from packages.core.domain.messages import Attachment
from services.channel_gateway.channels.whatsapp.payloads import Media, Message

Content = tuple[str, dict[str, Any]]
_Reader = Callable[[Message], Content | None]

MEDIA = ("image", "video", "audio", "document", "sticker")
_MOVES = frozenset({"user_changed_number", "customer_changed_number", "user_changed_user_id"})
_CARD = ("emails", "addresses", "urls", "org", "birthday", "vcard")


def content(message: Message) -> Content:
    """Our kind of message, and the fields of InboundMessage that this kind fills; `unsupported` for unknown types."""
    kind = message.type
    if kind == "text" and message.text:
        return "text", {"text": message.text.body}
    if kind in MEDIA and (media := getattr(message, kind)):
        return kind, _media(kind, media)
    reader = _READERS.get(kind)
    return (reader(message) if reader else None) or _unsupported(message)


def text(value: Any) -> str | None:
    """An id or a word as text: the platform writes some ids as numbers."""
    return str(value) if isinstance(value, str | int) and not isinstance(value, bool) else None


def objects(value: Any) -> list[dict[str, Any]]:
    """The objects of a list, none where it is no list."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _unsupported(message: Message) -> Content:
    extra: dict[str, Any] = {"type": message.type}
    if message.unsupported and (what := text(message.unsupported.get("type"))):
        extra["unsupported_type"] = what
    return "unsupported", {"extra": extra}


def _media(kind: str, media: Media) -> dict[str, Any]:
    extra = {name: True for name in ("voice", "animated") if getattr(media, name)}
    attachment = Attachment(
        kind=kind, external_id=text(media.id), url=media.url, media_type=media.mime_type, filename=media.filename
    )
    return {"text": media.caption, "attachments": (attachment,), "extra": extra}


def _location(message: Message) -> Content | None:
    return ("location", {"extra": {"location": message.location}}) if message.location else None


def _contacts(message: Message) -> Content | None:
    if not message.contacts:
        return None
    extra: dict[str, Any] = {"contacts": [_card(card) for card in message.contacts]}
    if message.origin:
        extra["origin"] = message.origin  # contact_request: the card is the sender's own
    return "contacts", {"extra": extra}


def _card(card: Mapping[str, Any]) -> dict[str, Any]:
    name = card.get("name")
    shown = {
        "name": name.get("formatted_name") if isinstance(name, dict) else None,
        "phones": [phone.get("phone") or phone.get("wa_id") for phone in objects(card.get("phones"))],
        **{key: card.get(key) for key in _CARD},
    }
    return {key: value for key, value in shown.items() if value}


def _interactive(message: Message) -> Content | None:
    interactive = message.interactive or {}
    reply = interactive.get(str(interactive.get("type")))
    if not isinstance(reply, dict):
        return None
    extra: dict[str, Any] = {"type": interactive["type"]}
    if "response_json" in reply:
        extra["form"] = _form(str(reply["response_json"]))
    if description := reply.get("description"):
        extra["description"] = description
    shown = reply.get("title") or reply.get("body")
    payload = reply.get("id") or reply.get("response")
    return "interactive", {"text": text(shown), "payload": text(payload), "extra": extra}


def _form(written: str) -> Any:
    """The answers of a Flow, which come as JSON within JSON."""
    try:
        return msgspec.json.decode(written)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return {"unreadable": written}


def _button(message: Message) -> Content | None:
    button = message.button
    return ("postback", {"text": button.text, "payload": button.payload}) if button else None


def _order(message: Message) -> Content | None:
    if not message.order:
        return None
    words = text(message.order.get("text")) or None
    return "interactive", {"text": words, "extra": {"type": "order", "order": message.order}}


def _reaction(message: Message) -> Content | None:
    reaction = message.reaction
    if not reaction:
        return None
    extra = {} if reaction.emoji else {"removed": True}
    return "reaction", {"text": reaction.emoji or None, "target": reaction.message_id, "extra": extra}


def _system(message: Message) -> Content | None:
    """A new number, a new business-scoped id (both move the conversation), or a new identity key."""
    system = message.system
    if not system:
        return None
    number, user_id = text(system.wa_id) or text(system.new_wa_id), text(system.user_id)
    known = {"type": system.type, "new_sender": number, "new_sender_user_id": user_id, "identity": message.identity}
    extra = {key: value for key, value in known.items() if value}
    moved_to = (number or user_id) if system.type in _MOVES else None
    return "system", {"text": system.body, "moved_to": moved_to, "extra": extra}


def _edit(message: Message) -> Content | None:
    if not message.edit:
        return None
    try:
        kind, new = content(msgspec.convert({"id": message.id, **message.edit.message}, Message))
    except (msgspec.ValidationError, RecursionError):
        kind, new = "unsupported", {}
    fields: dict[str, Any] = {key: new[key] for key in ("text", "attachments") if key in new}
    return "edit", {**fields, "target": message.edit.original_message_id, "extra": {"kind": kind}}


def _revoke(message: Message) -> Content | None:
    return ("delete", {"target": message.revoke.original_message_id}) if message.revoke else None


_READERS: Mapping[str, _Reader] = {
    "location": _location,
    "contacts": _contacts,
    "interactive": _interactive,
    "button": _button,
    "order": _order,
    "reaction": _reaction,
    "system": _system,
    "edit": _edit,
    "revoke": _revoke,
}
