"""CSV and JSON: pairs where the header says so, tables else, and reasons for what is neither."""

import json

import pytest

from packages.rag.documents import BlockKind, UnreadableDocument
from packages.rag.parsers.csv import parser as csv_parser
from packages.rag.parsers.faq import parser as faq_parser
from tests.factories.knowledge import document


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_question_and_answer_columns_become_pairs(delimiter: str) -> None:
    rows = [["Id", "Answer", "Question"], ["1", "Yes, we do.", "Do you ship?"], ["2", "", "Unanswered?"]]
    data = "\n".join(delimiter.join(f'"{cell}"' for cell in row) for row in rows).encode()
    parsed = csv_parser.parse(data)
    assert [(block.kind, block.text) for block in parsed.blocks] == [(BlockKind.FAQ, "Do you ship?\nYes, we do.")]


def test_other_columns_become_a_table_and_ragged_rows_are_filled() -> None:
    [table] = csv_parser.parse(document("ragged_rows.csv")).blocks
    lines = table.text.split("\n")
    assert table.kind is BlockKind.TABLE
    assert len({line.count("|") for line in lines}) == 1


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("{", "not valid JSON"),
        ('"text"', "no list"),
        ('[{"question": "Only?"}]', "Entry 1"),
        ("[]", "no text"),
        ('[{"question": " ", "answer": " "}]', "no text"),
    ],
)
def test_a_faq_of_another_form_says_what_is_wrong(content: str, reason: str) -> None:
    with pytest.raises(UnreadableDocument, match=reason):
        faq_parser.parse(content.encode())


def test_a_faq_may_stand_under_its_key() -> None:
    parsed = faq_parser.parse(json.dumps({"faq": [{"question": "A?", "answer": "B.\n\nC."}]}).encode())
    assert parsed.blocks[0].text == "A?\nB.\n\nC."
