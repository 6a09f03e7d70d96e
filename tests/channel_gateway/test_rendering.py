"""Sources as plain text."""

from typing import Any

import pytest

from services.channel_gateway.rendering import sources


@pytest.mark.parametrize(
    ("location", "line"),
    [
        ({"page": 3, "headings": ["A"]}, "[1] Guide, p. 3"),
        ({"page": None, "headings": ["Orders", "Returns"]}, "[1] Guide, Returns"),
        ({}, "[1] Guide"),
        (None, "[1] Guide"),
        ("odd", "[1] Guide"),
    ],
)
def test_place(location: Any, line: str) -> None:
    assert sources([{"title": "Guide", "location": location}]) == f"Sources:\n{line}"


def test_each_source_once() -> None:
    assert sources([{"title": "A"}, {"title": "B"}, {"title": "A"}]) == "Sources:\n[1][3] A\n[2] B"


def test_no_citations_no_list() -> None:
    assert sources([]) == ""


def test_long_titles_are_shortened() -> None:
    assert sources([{"title": "t" * 100}], 20) == "Sources:\n[1] " + "t" * 19 + "…"
