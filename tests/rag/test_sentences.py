"""Sentence borders in several scripts."""

import pytest

from packages.rag.sentences import sentences, spans


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("One. Two! Three?", ["One.", "Two!", "Three?"]),
        ("Ask Dr. Smith, e.g. Tuesdays. Then go.", ["Ask Dr. Smith, e.g. Tuesdays.", "Then go."]),
        ("It costs 3.50 euros. Really.", ["It costs 3.50 euros.", "Really."]),
        ("Open login.gov now. Done.", ["Open login.gov now.", "Done."]),
        ("J. Smith came. He left.", ["J. Smith came.", "He left."]),
        ("He said “stop.” Then he left.", ["He said “stop.”", "Then he left."]),
        ("Wait... what? Yes.", ["Wait... what?", "Yes."]),
        ("1. First step\n2. Second step", ["1. First step", "2. Second step"]),
        ("- one item\n- another item", ["- one item", "- another item"]),
        ("重置密码。然后登录！好吗？", ["重置密码。", "然后登录！", "好吗？"]),
        ("यह पहला है। यह दूसरा है।", ["यह पहला है।", "यह दूसरा है।"]),
        ("¿Cómo cambio? Así se hace.", ["¿Cómo cambio?", "Así se hace."]),
        ("| a | b. C |\n| c | d |", ["| a | b. C |", "| c | d |"]),
        ("no end", ["no end"]),
        (" \n ", []),
    ],
)
def test_borders(text: str, expected: list[str]) -> None:
    assert sentences(text) == expected


def test_spans_point_into_the_text() -> None:
    text = "  One two.  Three four!\n\nFive."
    assert [text[start:end] for start, end in spans(text)] == ["One two.", "Three four!", "Five."]
