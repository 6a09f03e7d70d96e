"""Evaluation items out of files."""

import json
from typing import Any
from uuid import UUID

import pytest

from packages.core.errors import InvalidInput, TooLarge, UnsupportedFormat
from services.orchestrator.evaluations.files import MOST_BYTES, parse
from services.orchestrator.evaluations.schemas import MOST_ITEMS

SOURCE = "0190f5a4-0000-7000-8000-000000000001"
ITEMS: list[dict[str, Any]] = [
    {"question": "Are returns free?", "answer": "Yes, for 30 days."},
    {"question": "Who won the election?", "abstain": True},
    {"question": "And abroad?", "source_ids": [SOURCE], "history": [{"author": "customer", "text": "Is it free?"}]},
]
CSV = f"""\ufeffquestion,answer,abstain,source_ids,history
Are returns free?,"Yes, for 30 days.",,,
Who won the election?,,yes,,
And abroad?,,,{SOURCE},"[{{""author"": ""customer"", ""text"": ""Is it free?""}}]"
"""


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("application/json", json.dumps({"items": ITEMS})),
        ("application/json", json.dumps(ITEMS)),
        ("application/x-ndjson", "\n\n".join(map(json.dumps, ITEMS))),
        ("text/csv", CSV),
        ("text/csv", "question;abstain\nAre returns free?;no\n".replace("no", "true")),
    ],
)
def test_every_form_gives_the_same(kind: str, text: str) -> None:
    found = parse(text.encode(), kind)
    if len(found) == 1:
        assert found[0].abstain
        return
    assert [item.question for item in found] == [item["question"] for item in ITEMS]
    assert found[0].answer == "Yes, for 30 days."
    assert found[1].abstain
    assert found[2].source_ids == [UUID(SOURCE)]
    assert found[2].history[0].text == "Is it free?"


@pytest.mark.parametrize(
    ("kind", "text", "line", "words"),
    [
        ("application/x-ndjson", '{"question": "a", "abstain": true}\n{"question"', 2, "Expecting"),
        ("application/x-ndjson", '{"question": "Are returns free?"}', 1, "say what is expected"),
        ("application/x-ndjson", '{"question": "a", "abstain": true, "answer": "b"}', 1, "expects no"),
        ("application/x-ndjson", '{"question": "a", "abstain": true, "colour": "b"}', 1, "colour"),
        ("text/csv", "question,abstain\na,perhaps\n", 2, "perhaps"),
        ("text/csv", "question,source_ids\na,not-an-id\n", 2, "source_ids"),
        ("text/csv", "question,history\na,[\n", 2, "Expecting"),
        ("text/csv", "question,answer\na,b,c\n", 2, "more cells"),
    ],
)
def test_faults_name_their_line(kind: str, text: str, line: int, words: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        parse(text.encode(), kind)
    fault = (refused.value.details or {})["faults"][0]
    assert fault["line"] == line
    assert words in fault["reason"]


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        ("application/json", b"{"),
        ("application/json", b'{"items": 3}'),
        ("application/x-ndjson", b"\n"),
        ("text/csv", b"answer\nx\n"),
        ("text/csv", b"question,colour\nx,y\n"),
        ("text/csv", b"\xff\xfe\x00"),
    ],
)
def test_what_is_no_such_file_is_refused(kind: str, data: bytes) -> None:
    with pytest.raises(InvalidInput):
        parse(data, kind)


def test_other_formats_and_sizes_are_refused() -> None:
    with pytest.raises(UnsupportedFormat):
        parse(b"x", "application/pdf")
    with pytest.raises(TooLarge):
        parse(b" " * (MOST_BYTES + 1), "text/csv")
    with pytest.raises(TooLarge):
        parse(b'{"question": "a", "abstain": true}\n' * (MOST_ITEMS + 1), "application/x-ndjson")
