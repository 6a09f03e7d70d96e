"""The forms of Instagram's webhooks: message ids, events, entries."""

import base64
import secrets
import time
from typing import Any

from packages.core.domain.channels import Channel
from services.channel_gateway.simulator.platforms import Line

JSON = dict[str, Any]

EVENTS = frozenset(
    {
        "message",
        "message_edit",
        "reaction",
        "postback",
        "read",
        "referral",
        "optin",
        "pass_thread_control",
        "take_thread_control",
        "request_thread_control",
        "app_roles",
    }
)
"""Keys that make a line's `message` a whole event; without one of them it is the content of a message."""

_HEARD = frozenset({"message", "postback"})


def message_id() -> str:
    """A new message id as the platform makes them."""
    packed = b"ig_message:" + secrets.token_hex(24).encode()
    return "aWdfZAG1f" + base64.urlsafe_b64encode(packed).decode().rstrip("=") + "ZD"


def event_of(line: Line, external_id: str) -> JSON:
    """The event that a line is: a plain text, the content of a message, or a whole event of any kind."""
    given = dict(line.message or {"text": line.text})
    event = given if EVENTS & given.keys() else {"message": given}
    if isinstance(event.get("message"), dict):
        event["message"] = {"mid": external_id, **event["message"]}
    elif isinstance(event.get("postback"), dict) and not event.get("standby"):
        event["postback"] = {"mid": external_id, **event["postback"]}
    return event


def opens_window(event: JSON) -> bool:
    """Whether an event is one after which the brand may write: words, or a tap on a button."""
    content = event.get("message")
    return bool(_HEARD & event.keys()) and not (isinstance(content, dict) and content.get("is_deleted"))


def is_change(line: Line) -> bool:
    """Whether a line is a comment or another change rather than an event of a conversation."""
    return bool(line.message) and {"field", "value"} <= (line.message or {}).keys()


def person_entry(account: Channel, line: Line, event: JSON) -> JSON:
    """An entry with one event of a person; `standby` in it says that another app has the conversation."""
    body = dict(event)
    key = "standby" if body.pop("standby", False) else "messaging"
    return _entry(account, key, {**_people(str(line.sender), str(account.account_id)), "timestamp": now_ms(), **body})


def change_entry(account: Channel, line: Line, external_id: str) -> JSON:
    """An entry with a comment of a person, or another change."""
    change = line.message or {}
    author = {"id": line.sender, "username": line.name or f"customer.{str(line.sender)[-4:]}"}
    value = change["value"]
    if isinstance(value, dict) and change["field"] in {"comments", "live_comments"}:
        value = {"id": external_id, "from": author, "text": line.text, **value}
    entry = _entry(account, "changes", {"field": change["field"], "value": value})
    return entry | {"time": int(time.time())}


def echo_entry(account: Channel, person: str, mid: str, message: JSON, app_id: int) -> JSON:
    """An entry with the echo of a message that the brand has sent through the API."""
    files = message.get("attachments") or ([message["attachment"]] if "attachment" in message else [])
    content: JSON = {"mid": mid, "is_echo": True, "app_id": app_id}
    content |= {key: message[key] for key in ("text", "metadata") if key in message}
    if files:
        content["attachments"] = files
    people = _people(str(account.account_id), person)
    return _entry(account, "messaging", {**people, "timestamp": now_ms(), "message": content})


def read_entry(account: Channel, person: str, mid: str) -> JSON:
    """An entry that says that the person has read a message and all before it."""
    people = _people(person, str(account.account_id))
    return _entry(account, "messaging", {**people, "timestamp": now_ms(), "read": {"mid": mid}})


def now_ms() -> int:
    """The time in milliseconds, as messaging events have it."""
    return int(time.time() * 1000)


def _people(sender: str, recipient: str) -> JSON:
    return {"sender": {"id": sender}, "recipient": {"id": recipient}}


def _entry(account: Channel, key: str, item: JSON) -> JSON:
    return {"time": now_ms(), "id": account.account_id, key: [item]}
