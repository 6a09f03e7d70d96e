"""Reading documents of which nothing is certain: what is missing or of another type reads as None."""

from datetime import UTC, datetime
from typing import Any

JSON = dict[str, Any]


def obj(value: Any) -> JSON:
    """The object; an empty one where something else stands."""
    return value if isinstance(value, dict) else {}


def objects(value: Any) -> list[JSON]:
    """The objects of a list."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def text(value: Any) -> str | None:
    """A text that is not empty."""
    return value if isinstance(value, str) and value else None


def number(value: Any) -> int | None:
    """A whole number; true and false are none."""
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def identifier(value: Any) -> str | None:
    """An id as text. Telegram's need 52 bits; some samples have them as strings."""
    whole = number(value)
    return str(whole) if whole is not None else text(value)


def moment(value: Any) -> datetime | None:
    """A time in Unix seconds; 0 says that Telegram does not tell."""
    seconds = number(value)
    if not seconds:
        return None
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        return None


def name(person: JSON) -> str | None:
    """A person's name, or the title of a group or channel."""
    parts = [part for part in (text(person.get("first_name")), text(person.get("last_name"))) if part]
    return " ".join(parts) or text(person.get("title"))


def found(**values: Any) -> JSON:
    """Those that are there."""
    return {key: value for key, value in values.items() if value not in (None, "", [], False)}
