"""What customers do, in the form of Telegram's updates."""

import time
from dataclasses import dataclass
from typing import Any

from packages.core.errors import InvalidInput
from services.channel_gateway.simulator.platforms import Line

JSON = dict[str, Any]

KINDS = frozenset(
    {
        *("edited_message", "business_message", "edited_business_message", "deleted_business_messages"),
        *("business_connection", "callback_query", "message_reaction", "my_chat_member", "chat_member"),
        *("channel_post", "edited_channel_post", "poll_answer", "inline_query"),
    }
)
"""Updates other than new messages; `Line.message` may hold one of them, under its own name."""


@dataclass(frozen=True, slots=True)
class Draft:
    """An update still without its own number. `chat` and `number` are of the message that it is about."""

    kind: str
    value: JSON
    chat: JSON
    number: int


def person_of(line: Line) -> JSON:
    """The user who acts.

    Raises:
        InvalidInput: their id is no number.
    """
    digits = "".join(character for character in line.sender or "" if character.isdecimal())
    if not digits or len(digits) > 16 or any(character.isalpha() for character in line.sender or ""):
        raise InvalidInput(f"A Telegram user's id is a number, not {str(line.sender)[:50]!r}.")
    name = line.name or f"Customer {digits[-4:]}"
    first, _, last = name.partition(" ")
    person: JSON = {"id": int(digits), "is_bot": False, "first_name": first, "language_code": "en"}
    return person | ({"last_name": last} if last else {})


def draft(line: Line, number: int, bot: JSON) -> Draft:
    """The update of a line; `number` is that of a new message.

    Raises:
        InvalidInput: it cannot be said on Telegram.
    """
    person, content = person_of(line), dict(line.message or {})
    kind = next((key for key in content if key in KINDS), "message")
    given = content[kind] if kind != "message" else content
    if not isinstance(given, dict):
        raise InvalidInput(f"{kind} must be an object.")
    private = {key: value for key, value in person.items() if key in {"id", "first_name", "last_name"}}
    chat: JSON = given.get("chat") or {**private, "type": "private"}
    if not isinstance(chat.get("id"), int):
        raise InvalidInput("A chat's id is a number.")
    own = _number_of(line) or number
    if kind in {"message", "edited_message", "business_message", "edited_business_message"}:
        words = {} if line.text is None else {"text": line.text} | _command(line.text)
        base = {"message_id": own, "from": person, "chat": chat, "date": int(time.time())}
        edited = {"edit_date": int(time.time())} if kind.startswith("edited") else {}
        value = base | words | edited | given
        return Draft(kind, value, chat, int(value["message_id"]))
    return Draft(kind, _event(kind, given, person, chat, bot), chat, own)


def _command(text: str) -> JSON:
    if not text.startswith("/") or len(text) < 2:
        return {}
    return {"entities": [{"type": "bot_command", "offset": 0, "length": len(text.split()[0])}]}


def _number_of(line: Line) -> int | None:
    """The number in an id such as `<chat>:<number>`."""
    if line.external_id is None:
        return None
    number = line.external_id.rpartition(":")[2]
    if not number.isdecimal():
        raise InvalidInput("An external_id on Telegram is <chat>:<number>.")
    return int(number)


def _event(kind: str, given: JSON, person: JSON, chat: JSON, bot: JSON) -> JSON:
    """What is not a message: the parts that Telegram always tells stand beside what was given."""
    now = int(time.time())
    if kind == "callback_query":
        return {"from": person, "chat_instance": str(chat["id"]), **given}
    if kind == "message_reaction":
        return {"chat": chat, "user": person, "date": now, "old_reaction": [], "new_reaction": [], **given}
    if kind in {"my_chat_member", "chat_member"}:
        user = {"user": bot if kind == "my_chat_member" else person}
        old, new = given.get("old_chat_member") or {}, given.get("new_chat_member") or {}
        members = {"old_chat_member": {**user, "status": "member", **old}, "new_chat_member": {**user, **new}}
        return {"chat": chat, "from": person, "date": now, **given, **members}
    if kind == "deleted_business_messages":
        return {"chat": chat, **given}
    if kind == "business_connection":
        return {"user": person, "user_chat_id": person["id"], "date": now, "is_enabled": True, **given}
    return {"from": person, **given}
