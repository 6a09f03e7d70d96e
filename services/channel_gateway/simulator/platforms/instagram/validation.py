"""What Instagram's send API accepts, by its documented rules and limits."""

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from services.channel_gateway.simulator.platforms.instagram.errors import InstagramError

TEXT_BYTES = 1000
TAGS = frozenset({"HUMAN_AGENT"})
MEDIA = {"image": 8, "video": 25, "audio": 25, "file": 25}
"""The largest file of each kind, in MB."""

_MESSAGE_KEYS = frozenset({"text", "attachment", "attachments", "quick_replies", "metadata"})
_REQUEST_KEYS = frozenset(
    {"recipient", "message", "messaging_type", "tag", "sender_action", "payload", "reply_to", "access_token"}
)
_ACTIONS = frozenset({"typing_on", "typing_off", "mark_seen", "react", "unreact"})
_REACTIONS = frozenset({"love", "like", "laugh", "wow", "sad", "angry"})
_MOST_QUICK_REPLIES, _MOST_BUTTONS, _MOST_ELEMENTS, _MOST_ATTACHMENTS = 13, 3, 10, 10
_TITLE, _PAYLOAD, _BUTTON_TEXT, _ELEMENT_TEXT, _METADATA = 20, 1000, 640, 80, 1000
JSON = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Order:
    """What a valid request asks for. `recipient` is a person, or the comment that a private reply answers."""

    recipient: str
    to_comment: bool = False
    action: str | None = None
    reaction: str | None = None
    target: str | None = None
    text: str | None = None
    files: tuple[tuple[str, str], ...] = ()
    metadata: str | None = None
    tagged: bool = False


def check(payload: JSON) -> Order:
    """What is asked for.

    Raises:
        InstagramError: the request breaks one of the documented rules.
    """
    _known(payload, _REQUEST_KEYS, "request")
    recipient, to_comment = _recipient(payload)
    if "sender_action" in payload:
        return _action(payload, recipient)
    message = payload.get("message")
    if not isinstance(message, dict):
        raise InstagramError(100, message="The parameter message is required")
    _known(message, _MESSAGE_KEYS, "message")
    files = _content(message)
    metadata = message.get("metadata")
    if metadata is not None:
        _at_most(metadata, _METADATA - 1, "message[metadata]")
    reply_to = payload.get("reply_to")
    if reply_to is not None and not (isinstance(reply_to, dict) and isinstance(reply_to.get("mid"), str)):
        raise InstagramError(100, message="Param reply_to must hold a mid")
    return Order(
        recipient, to_comment, text=shown_text(message), files=files, metadata=metadata, tagged=_tagged(payload)
    )


def shown_text(message: JSON) -> str | None:
    """What the person reads: the text, that of a template, or the kind of a file."""
    if isinstance(message.get("text"), str):
        return str(message["text"])
    attachment = message.get("attachment")
    if not isinstance(attachment, dict):
        return "[files]"
    payload = attachment.get("payload")
    if attachment.get("type") != "template" or not isinstance(payload, dict):
        return f"[{attachment.get('type')}]"
    if payload.get("template_type") == "button":
        return str(payload.get("text"))
    return "\n".join(str(element.get("title")) for element in payload.get("elements", []))


def _recipient(payload: JSON) -> tuple[str, bool]:
    recipient = payload.get("recipient")
    for key in ("id", "comment_id"):
        found = recipient.get(key) if isinstance(recipient, dict) else None
        if isinstance(found, str | int) and not isinstance(found, bool) and str(found):
            return str(found), key == "comment_id"
    raise InstagramError(100, message="Param recipient must hold an id")


def _action(payload: JSON, recipient: str) -> Order:
    """A sender action, which stands alone in its request."""
    action = payload["sender_action"]
    if action not in _ACTIONS:
        raise InstagramError(100, message=f"Param sender_action must be one of {', '.join(sorted(_ACTIONS))}")
    if "message" in payload:
        raise InstagramError(100, message="Cannot send both a message and a sender action")
    if action not in {"react", "unreact"}:
        return Order(recipient, action=action)
    target = payload.get("payload")
    if not isinstance(target, dict) or not isinstance(target.get("message_id"), str):
        raise InstagramError(100, message="Param payload must hold a message_id")
    reaction = target.get("reaction")
    if action == "react" and reaction not in _REACTIONS:
        raise InstagramError(100, message=f"Param payload[reaction] must be one of {', '.join(sorted(_REACTIONS))}")
    return Order(recipient, action=action, reaction=reaction, target=target["message_id"])


def _tagged(payload: JSON) -> bool:
    """Whether the window counts as a person's. The other tags stopped working in April 2026."""
    kind, tag = payload.get("messaging_type"), payload.get("tag")
    if kind not in {None, "RESPONSE", "UPDATE", "MESSAGE_TAG"}:
        raise InstagramError(100, message="Param messaging_type must be one of RESPONSE, UPDATE, MESSAGE_TAG")
    if tag is None and kind != "MESSAGE_TAG":
        return False
    if tag not in TAGS or kind not in {None, "MESSAGE_TAG"}:
        raise InstagramError(100, message="Param tag must be one of HUMAN_AGENT, with messaging_type MESSAGE_TAG")
    return True


def _content(message: JSON) -> tuple[tuple[str, str], ...]:
    """The files of a message whose content is valid: kind and address of each."""
    given = [key for key in ("text", "attachment", "attachments") if key in message]
    if len(given) != 1:
        raise InstagramError(100, message="A message holds either text or attachments")
    if "text" in message:
        _text(message)
        return ()
    if "attachments" in message:
        pictures = _list(message["attachments"], _MOST_ATTACHMENTS, "message[attachments]")
        if any(picture.get("type") != "image" for picture in pictures):
            raise InstagramError(100, message="Several attachments have to be images")
        return tuple(file for picture in pictures for file in _attachment(picture))
    return _attachment(message["attachment"])


def _text(message: JSON) -> None:
    text = message["text"]
    if not isinstance(text, str) or not text.strip():
        raise InstagramError(100, message="Param message[text] must be a non-empty string")
    if len(text.encode()) > TEXT_BYTES:
        raise InstagramError(100, message=f"Length of param message[text] must be less than or equal to {TEXT_BYTES}")
    if "quick_replies" not in message:
        return
    for reply in _list(message["quick_replies"], _MOST_QUICK_REPLIES, "message[quick_replies]"):
        if reply.get("content_type") not in {"text", "user_phone_number", "user_email"}:
            raise InstagramError(100, message="Param content_type must be one of text, user_phone_number, user_email")
        if reply["content_type"] == "text":
            _at_most(reply.get("title"), _TITLE, "quick_replies[title]")
            _at_most(reply.get("payload"), _PAYLOAD, "quick_replies[payload]")


def _attachment(attachment: object) -> tuple[tuple[str, str], ...]:
    if not isinstance(attachment, dict):
        raise InstagramError(100, message="Param message[attachment] must be an object")
    kind, payload = attachment.get("type"), attachment.get("payload")
    if kind == "like_heart":
        return ()
    if not isinstance(payload, dict):
        raise InstagramError(100, message="Param message[attachment][payload] is required")
    if kind == "MEDIA_SHARE" and isinstance(payload.get("id"), str):
        return ()
    if kind == "template":
        _template(payload)
        return ()
    if kind not in MEDIA:
        raise InstagramError(100, message=f"Param message[attachment][type] must be one of {', '.join(MEDIA)}")
    if isinstance(payload.get("attachment_id"), str):
        return ()
    return ((str(kind), _url(payload.get("url"), "message[attachment][payload][url]")),)


def _template(payload: JSON) -> None:
    kind = payload.get("template_type")
    if kind == "button":
        _at_most(payload.get("text"), _BUTTON_TEXT, "payload[text]")
        _buttons(payload.get("buttons"))
    elif kind == "generic":
        for element in _list(payload.get("elements"), _MOST_ELEMENTS, "payload[elements]"):
            _at_most(element.get("title"), _ELEMENT_TEXT, "elements[title]")
            if "subtitle" in element:
                _at_most(element["subtitle"], _ELEMENT_TEXT, "elements[subtitle]")
            if "buttons" in element:
                _buttons(element["buttons"])
    else:
        raise InstagramError(100, message="Param payload[template_type] must be one of button, generic")


def _buttons(buttons: object) -> None:
    for button in _list(buttons, _MOST_BUTTONS, "buttons"):
        _at_most(button.get("title"), _TITLE, "buttons[title]")
        if button.get("type") == "web_url":
            _url(button.get("url"), "buttons[url]")
        elif button.get("type") == "postback":
            _at_most(button.get("payload"), _PAYLOAD, "buttons[payload]")
        else:
            raise InstagramError(100, message="Param buttons[type] must be one of web_url, postback")


def _known(values: JSON, keys: frozenset[str], name: str) -> None:
    if unknown := sorted(set(values) - keys):
        raise InstagramError(100, message=f'Invalid keys "{", ".join(unknown)}" were found in param "{name}".')


def _list(value: object, most: int, name: str) -> list[JSON]:
    if not isinstance(value, list) or not 1 <= len(value) <= most or not all(isinstance(one, dict) for one in value):
        raise InstagramError(100, message=f"Param {name} must be a list of 1 to {most} objects")
    return value


def _at_most(text: object, limit: int, name: str) -> None:
    if not isinstance(text, str) or not text:
        raise InstagramError(100, message=f"Param {name} must be a non-empty string")
    if len(text) > limit:
        raise InstagramError(100, message=f"Length of param {name} must be less than or equal to {limit}")


def _url(url: object, name: str) -> str:
    try:
        parts = urlsplit(url if isinstance(url, str) else "")
        valid = parts.scheme in {"http", "https"} and bool(parts.hostname)
    except ValueError:
        valid = False
    if not valid:
        raise InstagramError(100, message=f"Param {name} must be a valid URL")
    return str(url)
