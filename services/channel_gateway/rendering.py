"""A reply as plain text for platforms that know no citations: the text, then its sources, within the limit."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

_HEADING = "Sources:"
_SENTENCE_END = re.compile(r"(?<=[.!?…。！？])\s+")
_LONGEST_TITLE = 120
_SHORTEST_TITLE = 20
_NOTHING = "…"


def parts(text: str, citations: Sequence[Mapping[str, Any]], limit: int) -> list[str]:
    """The texts to send, at least one, each of 1 to `limit` characters.

    Where text and sources together are too long, titles of sources are shortened first; if that does not suffice the
    text is split at paragraphs, sentences, words, in this order, and the sources follow the last part.
    """
    text = text.strip()
    for longest_title in (_LONGEST_TITLE, _SHORTEST_TITLE):
        listed = sources(citations, longest_title)
        whole = "\n\n".join(part for part in (text, listed) if part)
        if len(whole) <= limit:
            return [whole or _NOTHING]
    pieces = _split(text, limit)
    if pieces and len(pieces[-1]) + 2 + len(listed) <= limit:
        pieces[-1] = f"{pieces[-1]}\n\n{listed}".rstrip()
    else:
        pieces += _split(listed, limit)
    return pieces


def sources(citations: Sequence[Mapping[str, Any]], longest_title: int = _LONGEST_TITLE) -> str:
    """Each source once, with the marks that the text refers to it by: title, and page or heading. Empty without any."""
    marks: dict[str, str] = {}
    for number, citation in enumerate(citations, start=1):
        line = _shortened(str(citation.get("title") or "Untitled"), longest_title) + _place(citation.get("location"))
        marks[line] = marks.get(line, "") + f"[{number}]"
    if not marks:
        return ""
    return "\n".join([_HEADING, *(f"{mark} {line}" for line, mark in marks.items())])


def _place(location: Any) -> str:
    if not isinstance(location, Mapping):
        return ""
    if location.get("page"):
        return f", p. {location['page']}"
    headings = location.get("headings")
    if isinstance(headings, list | tuple) and headings:
        return f", {_shortened(str(headings[-1]), 60)}"
    return ""


def _shortened(text: str, longest: int) -> str:
    return text if len(text) <= longest else text[: longest - 1].rstrip() + "…"


def _split(text: str, limit: int) -> list[str]:
    pieces: list[str] = []
    rest = text.strip()
    while len(rest) > limit:
        cut = _border(rest, limit)
        pieces.append(rest[:cut].rstrip())
        rest = rest[cut:].lstrip()
    return [*pieces, rest] if rest else pieces


def _border(text: str, limit: int) -> int:
    """Where to cut so that the first part has at most `limit` characters, and at least half of that if it can."""
    head = text[: limit + 1]
    for at in (head.rfind("\n\n"), *(match.end() for match in reversed(list(_SENTENCE_END.finditer(head))))):
        if limit // 2 <= at <= limit:
            return at
    for mark in ("\n", " "):
        at = head.rfind(mark)
        if at > 0:
            return at
    return limit
