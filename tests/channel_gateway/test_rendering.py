"""Replies as plain text: sources after the text, every part within the limit, no word lost."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.channel_gateway.rendering import parts, sources


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
    assert parts("Hello", [], 100) == ["Hello"]


def test_titles_are_shortened_before_the_text_is_split() -> None:
    (text,) = parts("x" * 60, [{"title": "t" * 100}], 120)
    assert text.startswith("x" * 60 + "\n\nSources:\n[1] ttt")
    assert text.endswith("…")


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("First part here.\n\nSecond part.", ["First part here.", "Second part."]),
        ("One sentence. Two sentence.", ["One sentence.", "Two sentence."]),
        ("word word word word word", ["word word word word", "word"]),
        ("x" * 45, ["x" * 20, "x" * 20, "x" * 5]),
    ],
)
def test_split_at_the_best_border(text: str, pieces: list[str]) -> None:
    assert parts(text, [], 20) == pieces


def test_sources_follow_the_last_part() -> None:
    pieces = parts("word " * 30, [{"title": "A"}], 100)
    assert pieces[-1].endswith("Sources:\n[1] A")
    assert all("Sources" not in piece for piece in pieces[:-1])


@given(st.text(max_size=400), st.lists(st.fixed_dictionaries({"title": st.text(max_size=80)}), max_size=4))
def test_never_too_long_never_empty_never_less(text: str, citations: list[dict[str, str]]) -> None:
    pieces = parts(text, citations, 50)
    assert pieces
    assert all(0 < len(piece) <= 50 for piece in pieces)
    assert "".join("".join(pieces).split()).startswith("".join(text.split()))
