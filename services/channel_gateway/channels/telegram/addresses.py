"""Where a message goes, and which message is meant, as one string each.

An address is `<chat>`, `<chat>/<topic>` in a group with topics, or `<chat>@<business connection>` where a customer
writes to the business account that the bot answers for. A message's id is `<chat>:<number>`, for Telegram counts in
each chat anew; in a business account's chats it is `<chat>@<business connection>:<number>`, since these are numbered
apart from the bot's own chat with the same person.
"""

import re
from dataclasses import dataclass

_ADDRESS = re.compile(r"(-?\d{1,19})(?:/(\d{1,19}))?(?:@([\w.=-]{1,200}))?", re.ASCII)
_NUMBER = re.compile(r"\d{1,19}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Address:
    """A chat, one of its topics, or a chat of a business account."""

    chat: int
    thread: int | None = None
    business: str | None = None


def read(address: str) -> Address | None:
    """The address in parts; None if it is none."""
    found = _ADDRESS.fullmatch(address)
    if not found:
        return None
    return Address(int(found[1]), int(found[2]) if found[2] else None, found[3])


def write(chat: str, thread: str | None = None, business: str | None = None) -> str:
    """The string of an address."""
    return f"{chat}@{business}" if business else f"{chat}/{thread}" if thread else chat


def message_id(chat: str, number: int, business: str | None = None) -> str:
    """The id of a message, unique for the bot."""
    return f"{write(chat, business=business)}:{number}"


def number_of(external_id: str | None, address: Address) -> int | None:
    """Telegram's own number of a message; None if the id is none, or one of another chat."""
    place, _, number = (external_id or "").rpartition(":")
    found = read(place)
    if found is None or (found.chat, found.business) != (address.chat, address.business):
        return None
    return int(number) if _NUMBER.fullmatch(number) else None
