"""Chunks cut into what can answer alone."""

import pytest

from services.orchestrator.engine.passages import LIST_CHARACTERS, MAX_CHARACTERS, passages
from tests.factories.hits import make_hit


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("One thing. Another thing.", ["One thing.", "Another thing."]),
        ("You need:\n\n- a key\n- a door\n\nThat is all.", ["You need:\n\n- a key\n- a door", "That is all."]),
        ("1. Open it.\n2. Close it.", ["1. Open it.\n2. Close it."]),
        ("| a | b |\n| --- | --- |\n| 1 | 2 |", ["| 1 | 2 |"]),
        ("| a | b |\n| --- | --- |", ["| a | b |"]),
        ("How long?\nFive days. Or six.\nHow much?\nTen euros.", ["Five days.", "Or six.", "Ten euros."]),
        ("Lost it? Call us.", ["Lost it?", "Call us."]),
        ("Where?\nWhen?", ["Where?", "When?"]),
        ("", []),
    ],
)
def test_sentences_lists_and_rows(text: str, pieces: list[str]) -> None:
    assert [passage.text for passage in passages(make_hit(text))] == pieces


def test_every_passage_is_verbatim() -> None:
    hit = make_hit("Steps:\n\n1. Go.\n\n2. Stay.\n\nDone. Or not.")
    for passage in passages(hit):
        assert hit.text[passage.start : passage.end] == passage.text
        assert passage.text in hit.text


def test_a_faq_answers_with_its_answer() -> None:
    (passage,) = passages(make_hit("Are pets allowed?\nNo. They are not.", kind="faq"))
    assert passage.text == "No. They are not."
    assert passage.heading == "Are pets allowed?"


def test_a_long_faq_answer_ends_between_sentences() -> None:
    (passage,) = passages(make_hit("Why?\n" + "A sentence of some length. " * 60, kind="faq"))
    assert len(passage.text) <= MAX_CHARACTERS
    assert passage.text.endswith("length.")


def test_a_long_list_is_cut_between_items() -> None:
    text = "Items:\n" + "\n".join(f"- item {number} with some words" for number in range(60))
    found = passages(make_hit(text))
    assert all(len(passage.text) <= LIST_CHARACTERS for passage in found)
    assert len(found) > 1


def test_a_row_is_shown_with_its_columns_names() -> None:
    (passage,) = passages(make_hit("| Room | Price | Note |\n| --- | --- | --- |\n| Single | 80 euros | |"))
    assert passage.text == "| Single | 80 euros | |"
    assert passage.shown == "Room: Single; Price: 80 euros"


@pytest.mark.parametrize("text", ["| Single | 80 |", "| a |\n| --- |\n| Single | 80 |"])
def test_a_row_without_fitting_names_is_shown_plainly(text: str) -> None:
    assert passages(make_hit(text))[-1].shown == "Single · 80"


def test_an_answer_is_read_under_its_question() -> None:
    (passage,) = passages(make_hit("How long does it take?\nFive days.", headings=("Help",)))
    assert passage.in_context == "How long does it take?\nFive days."


@pytest.mark.parametrize(
    ("values", "heading"),
    [({"headings": ("A", "B")}, "B"), ({"title": "T"}, "T"), ({"title": "T", "headings": ("A",)}, "A")],
)
def test_the_heading_is_the_innermost(values: dict[str, object], heading: str) -> None:
    (passage,) = passages(make_hit("Text.", **values))
    assert passage.heading == heading
    assert passage.in_context == f"{heading}\nText."
