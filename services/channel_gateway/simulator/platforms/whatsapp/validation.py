"""What the Cloud API demands of a message before it accepts it: kinds, required parts, limits."""

from collections.abc import Callable
from typing import Any

from services.channel_gateway.simulator.platforms.whatsapp.graph_errors import WhatsAppError
from services.channel_gateway.simulator.platforms.whatsapp.payloads import digits, is_user_id

Payload = dict[str, Any]


def check(payload: Payload, sender_number: str) -> str:
    """Check a message.

    Returns:
        The recipient: digits of a phone number, a group id, or a business-scoped user id.

    Raises:
        WhatsAppError: what Meta would answer.
    """
    if payload.get("messaging_product") != "whatsapp":
        raise WhatsAppError(100, message="The parameter messaging_product is required.")
    recipient = _recipient(payload, sender_number)
    kind = payload.get("type", "text")
    if kind not in _CONTENT:
        kinds = ", ".join(sorted(name.upper() for name in _CONTENT))
        raise WhatsAppError(100, message=f'Param type must be one of {{{kinds}}} - got "{kind}".')
    content = payload.get(kind)
    if not isinstance(content, list if kind == "contacts" else dict):
        raise WhatsAppError(131008, f"Parameter '{kind}' is mandatory for type '{kind}'")
    _CONTENT[kind](content, kind)
    _at_most(512, payload.get("biz_opaque_callback_data", ""), "biz_opaque_callback_data")
    return recipient


def shown_text(payload: Payload) -> str | None:
    """What the person reads of it: text, caption, body, template name or emoji."""
    kind = payload.get("type", "text")
    content = payload.get(kind)
    if not isinstance(content, dict):
        return None
    body = content.get("body")
    for text in (body.get("text") if isinstance(body, dict) else body, content.get("caption"), content.get("name")):
        if isinstance(text, str):
            return text
    emoji = content.get("emoji")
    return emoji if isinstance(emoji, str) else None


def _recipient(payload: Payload, sender_number: str) -> str:
    to = payload.get("to") or payload.get("recipient")
    if not isinstance(to, str) or not to:
        raise WhatsAppError(100, message="The parameter to is required.")
    if payload.get("recipient_type") == "group" or (not payload.get("to") and is_user_id(to)):
        return to
    number = digits(to)
    if not 5 <= len(number) <= 17 or any(character not in "+-() 0123456789" for character in to):
        raise WhatsAppError(131009, "Param 'to' is not a valid phone number.")
    if number == digits(sender_number):
        raise WhatsAppError(131021)
    return number


def _text(content: Payload, kind: str) -> None:
    _required(content, "body", kind)
    _at_most(4096, content["body"], "text['body']")


def _media(content: Payload, kind: str) -> None:
    if not content.get("id") and not content.get("link"):
        raise WhatsAppError(131008, f"Parameter '{kind}' needs an id or a link.")
    if content.get("caption") is not None:
        if kind in ("audio", "sticker"):
            raise WhatsAppError(100, f'Unexpected key "caption" on param "{kind}".')
        _at_most(1024, content["caption"], f"{kind}['caption']")


def _location(content: Payload, kind: str) -> None:
    for name, limit in (("latitude", 90), ("longitude", 180)):
        try:
            degrees = float(content.get(name, "missing"))
        except (TypeError, ValueError):
            raise WhatsAppError(131008, f"Parameter '{kind}['{name}']' is required.") from None
        if not -limit <= degrees <= limit:
            raise WhatsAppError(131009, f"Parameter '{name}' is out of range.")


def _contacts(content: list[Any], kind: str) -> None:
    if not 1 <= len(content) <= 257:
        raise WhatsAppError(131009, f"Parameter '{kind}' must have 1 to 257 items.")
    for contact in content:
        if not _part(_part(contact).get("name")).get("formatted_name"):
            raise WhatsAppError(131008, f"Parameter '{kind}['name']['formatted_name']' is required.")


def _template(content: Payload, kind: str) -> None:
    _required(content, "name", kind)
    _at_most(512, content["name"], "template['name']")
    if not _part(content.get("language")).get("code"):
        raise WhatsAppError(131008, "Parameter 'template['language']['code']' is required.")


def _reaction(content: Payload, kind: str) -> None:
    _required(content, "message_id", kind)
    if not isinstance(content.get("emoji"), str):
        raise WhatsAppError(131008, "Parameter 'reaction['emoji']' is required.")


def _interactive(content: Payload, kind: str) -> None:
    _required(content, "type", kind)
    form, action = content["type"], content.get("action")
    if not isinstance(action, dict):
        raise WhatsAppError(131008, "Parameter 'interactive['action']' is required.")
    if form != "product":
        text = _part(content.get("body")).get("text")
        if not text:
            raise WhatsAppError(131008, "Parameter 'interactive['body']' is required.")
        _at_most(4096 if form == "list" else 1024, text, "interactive['body']['text']")
    _at_most(60, _part(content.get("footer")).get("text", ""), "interactive['footer']['text']")
    if form == "button":
        _buttons(action)
    elif form == "list":
        _list(action)


def _buttons(action: Payload) -> None:
    replies = [_part(_part(button).get("reply")) for button in _items(action.get("buttons"))]
    if not 1 <= len(replies) <= 3:
        raise WhatsAppError(131009, "Invalid buttons count. Min allowed buttons: 1, Max allowed buttons: 3")
    for reply in replies:
        _limited(reply, {"id": 256, "title": 20}, "button")
    if any(len({reply[key] for reply in replies}) < len(replies) for key in ("id", "title")):
        raise WhatsAppError(131009, "Button titles and ids must be unique.")


def _list(action: Payload) -> None:
    _limited(action, {"button": 20}, "action")
    sections = [_part(section) for section in _items(action.get("sections"))]
    rows = [_part(row) for section in sections for row in _items(section.get("rows"))]
    if not 1 <= len(sections) <= 10 or not 1 <= len(rows) <= 10:
        raise WhatsAppError(131009, "Total row count must be between 1 and 10, in at most 10 sections.")
    for section in sections:
        _at_most(24, section.get("title", ""), "section['title']")
    for row in rows:
        _limited(row, {"id": 200, "title": 24}, "row")
        _at_most(72, row.get("description", ""), "row['description']")


def _part(value: object) -> Payload:
    """A nested object; an empty one where something else stands, so that what it must hold is found missing."""
    return value if isinstance(value, dict) else {}


def _items(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _limited(part: Payload, limits: dict[str, int], name: str) -> None:
    for key, limit in limits.items():
        _required(part, key, name)
        _at_most(limit, part[key], f"{name}['{key}']")


def _required(part: Payload, key: str, name: str) -> None:
    if not part.get(key):
        raise WhatsAppError(100, message=f"The parameter {name}['{key}'] is required.")


def _at_most(limit: int, text: object, name: str) -> None:
    if not isinstance(text, str):
        raise WhatsAppError(100, f"Param {name} must be a string.")
    if len(text) > limit:
        raise WhatsAppError(100, f"Param {name} must be at most {limit} characters long.")


_CONTENT: dict[str, Callable[[Any, str], None]] = {
    "text": _text,
    "image": _media,
    "video": _media,
    "audio": _media,
    "document": _media,
    "sticker": _media,
    "location": _location,
    "contacts": _contacts,
    "interactive": _interactive,
    "template": _template,
    "reaction": _reaction,
}
