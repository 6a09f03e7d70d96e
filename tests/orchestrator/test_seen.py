"""Messages of every kind as words."""

from typing import Any

import pytest

from services.orchestrator.seen import LONGEST_READ, ReadFile, seen, words

PHOTO = ReadFile("image", "receipt.jpg", "Order 4711\n")


@pytest.mark.parametrize(
    ("kind", "text", "content", "expected"),
    [
        ("text", "hello", {}, "hello"),
        ("text", None, {"deleted": True}, "[deleted]"),
        ("postback", None, {"payload": "TRACK"}, "TRACK"),
        ("postback", "Track it", {"payload": "TRACK"}, "Track it"),
        ("reaction", "👍", {}, "[reacted with 👍]"),
        ("unsupported", None, {}, "[a message of a kind that the channel does not pass on]"),
        ("audio", None, {}, "[a recording]"),
        ("edit", "new words", {"target": "x"}, ""),
        ("text", "hi", {"referral": {"headline": "Summer sale"}}, "[came from: Summer sale]\nhi"),
        ("text", "hi", {"sender": {"id": "1", "name": "Robin"}}, "[Robin writes in a group:]\nhi"),
        ("text", "look", {"forwarded": "many"}, "[forwarded:]\nlook"),
        (
            "location",
            None,
            {"location": {"latitude": 48.1, "longitude": 11.5, "name": "Café X"}},
            "[location: Café X, 48.1, 11.5]",
        ),
        (
            "contacts",
            None,
            {"contacts": [{"name": "Ada", "phones": ["+1 202 555 0101"]}]},
            "[contact: Ada, +1 202 555 0101]",
        ),
    ],
)
def test_seen(kind: str, text: str | None, content: dict[str, Any], expected: str) -> None:
    assert seen(kind, text, content) == expected


def test_a_file_is_named_and_its_text_shown() -> None:
    assert seen("image", "is this right?", {}, [PHOTO]) == (
        "is this right?\n[a picture, receipt.jpg]\n[its text:] Order 4711"
    )


def test_words_to_answer_are_text_and_what_was_read() -> None:
    assert words("is this right?", {}, [PHOTO]) == "is this right?\nOrder 4711"
    assert words(None, {"payload": "TRACK"}) == "TRACK"
    assert words(None, {}, [ReadFile("image")]) == ""


def test_long_files_are_cut() -> None:
    assert len(words("", {}, [ReadFile("document", None, "x" * 50_000)])) == LONGEST_READ


@pytest.mark.parametrize("content", [{"location": 7}, {"contacts": "x"}, {"referral": []}, {"sender": None}])
def test_content_of_any_form(content: dict[str, Any]) -> None:
    assert seen("text", "hi", content).endswith("hi")
