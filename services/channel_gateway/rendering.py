"""The sources of a reply as plain text, for platforms that know no citations."""

from collections.abc import Mapping, Sequence
from typing import Any

_HEADING = "Sources:"
LONGEST_TITLE = 120
SHORTEST_TITLE = 20


def sources(citations: Sequence[Mapping[str, Any]], longest_title: int = LONGEST_TITLE) -> str:
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
