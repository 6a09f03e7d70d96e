"""Messages of every kind as words: what the model sees in the history, and what of an open message can be answered.

All of it is the customer's data, never instructions; what we say about it stands in square brackets.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

LONGEST_READ = 2_000
_SILENT = frozenset({"edit", "delete", "preference", "optin", "thread_control"})
_NAMES = {
    "image": "a picture",
    "video": "a video",
    "audio": "a recording",
    "document": "a document",
    "sticker": "a sticker",
    "share": "something shared",
}
_EVENTS = {
    "reaction": "reacted with",
    "call": "called",
    "group": "an event in the group",
    "member": "an event of membership",
    "comment": "commented publicly",
    "unsupported": "a message of a kind that the channel does not pass on",
}


@dataclass(frozen=True, slots=True)
class ReadFile:
    """A file of a message: its kind and name, and the text that was read in it."""

    kind: str
    filename: str | None = None
    text: str | None = None


def seen(kind: str, text: str | None, content: Mapping[str, Any], files: Sequence[ReadFile] = ()) -> str:
    """A message of the history as the model sees it; empty for what says nothing.

    Args:
        content: the message's further content, as the message log keeps it.
    """
    if content.get("deleted"):
        return "[deleted]"
    if kind in _SILENT:
        return ""
    if kind in _EVENTS:
        return f"[{' '.join(part for part in (_EVENTS[kind], text) if part)}]"
    lines = [*_context(content), text or "", *(_file(file) for file in files), *_places(content)]
    if not any(lines) and (payload := content.get("payload")):
        lines.append(str(payload))
    if not any(lines) and kind in _NAMES:
        lines.append(f"[{_NAMES[kind]}]")
    return "\n".join(line for line in lines if line)


def words(text: str | None, content: Mapping[str, Any], files: Sequence[ReadFile] = ()) -> str:
    """What of an open message can be answered: its text, the payload of a button, the text read in its files."""
    said = text or str(content.get("payload") or "")
    read = [file.text[:LONGEST_READ].strip() for file in files if file.text]
    return "\n".join(part for part in (said, *read, *_places(content)) if part).strip()


def _file(file: ReadFile) -> str:
    name = f", {file.filename}" if file.filename else ""
    label = f"[{_NAMES.get(file.kind, 'a file')}{name}]"
    return f"{label}\n[its text:] {file.text[:LONGEST_READ].strip()}" if file.text else label


def _context(content: Mapping[str, Any]) -> list[str]:
    lines = []
    sender = content.get("sender")
    if isinstance(sender, Mapping) and sender.get("name"):
        lines.append(f"[{sender['name']} writes in a group:]")
    referral = content.get("referral")
    if isinstance(referral, Mapping):
        about = referral.get("headline") or referral.get("ref") or referral.get("source_url")
        lines.append(f"[came from: {about}]" if about else "[came from an ad or link]")
    if content.get("forwarded"):
        lines.append("[forwarded:]")
    return lines


def _places(content: Mapping[str, Any]) -> list[str]:
    lines = []
    place = content.get("location")
    if isinstance(place, Mapping):
        named = [str(place[key]) for key in ("name", "address") if place.get(key)]
        where = f"{place.get('latitude')}, {place.get('longitude')}"
        lines.append(f"[location: {', '.join([*named, where])}]")
    cards = content.get("contacts")
    for card in cards if isinstance(cards, list) else ():
        if isinstance(card, Mapping):
            known = [str(card.get("name") or "without a name"), *map(str, card.get("phones") or ())]
            lines.append(f"[contact: {', '.join(known)}]")
    return lines
