"""Pieces of text on a page are put into the order in which they are read."""

from packages.rag.reading_order import Box, lines_in_order


def column(x: float, texts: list[str], top: float = 0, width: float = 200) -> list[Box]:
    return [Box(x, top + 14 * number, x + width, top + 14 * number + 10, text) for number, text in enumerate(texts)]


def test_words_of_a_line_stand_from_left_to_right() -> None:
    assert lines_in_order([Box(50, 1, 90, 11, "there"), Box(0, 0, 40, 10, "Hello")]) == ["Hello there"]


def test_columns_under_a_common_head_are_read_one_by_one() -> None:
    boxes = [
        *column(0, ["a", "b", "c"], top=50),
        *column(300, ["d", "e", "f"], top=50),
        Box(0, 0, 500, 10, "Head over both"),
    ]
    assert [line for line in lines_in_order(boxes) if line] == ["Head over both", "a", "b", "c", "d", "e", "f"]


def test_rows_of_a_short_table_stay_together() -> None:
    boxes = [*column(0, ["Tea", "Pot"]), *column(300, ["3", "20"], width=20)]
    assert lines_in_order(boxes) == ["Tea 3", "Pot 20"]


def test_white_space_sets_paragraphs_apart() -> None:
    assert lines_in_order([*column(0, ["a", "b"]), *column(0, ["c"], top=60)]) == ["a", "b", "", "c"]


def test_nothing_is_nothing() -> None:
    assert lines_in_order([Box(0, 0, 1, 1, " ")]) == []
