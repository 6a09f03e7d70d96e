"""PDF pages become headings, paragraphs and lists with their page."""

import shutil

import pytest

from packages.rag.documents import BlockKind
from packages.rag.page_layout import PageLayout
from packages.rag.parsers.pdf import parser
from tests.factories.knowledge import document
from tests.factories.pages import pdf, ruled, words


def layout(*pages: list[str], bookmarks: dict[str, int] | None = None) -> list[tuple[str, str, int | None]]:
    made = PageLayout(pages, bookmarks or {})
    for number, lines in enumerate(pages, start=1):
        made.add_page(number, lines)
    return [(block.kind.value, block.text, block.page) for block in made.outline.blocks]


LONG = "This line is long enough to fill the whole width of the page, as text does"


def test_headings_of_a_real_document_are_found_by_their_looks() -> None:
    parsed = parser.parse(document("five_pages_headings.pdf"))
    headings = [block.text for block in parsed.blocks if block.kind is BlockKind.HEADING]
    assert headings[0] == "The Evolution of the Word Processor"
    assert {"The Birth of Word Processing (1960s - 1970s)", "Future of Word Processing"} <= set(headings)
    assert parsed.page_count == 5


def test_bookmarks_decide_where_there_are_any() -> None:
    parsed = parser.parse(document("agreement_bookmarks.pdf"))
    paths = {block.headings for block in parsed.blocks if block.kind is BlockKind.PARAGRAPH}
    assert ("PART I - DEFINITIONS", "1. Interpretation") in paths


def test_lines_of_a_paragraph_are_joined_and_divided_words_healed() -> None:
    assert layout([LONG + " and divi-", "ded here."]) == [("paragraph", LONG + " and divided here.", 1)]


def test_a_list_keeps_its_items() -> None:
    found = layout([LONG + ".", "• first item", "• second item", "", LONG + "."])
    assert [(kind, text) for kind, text, _ in found] == [
        ("paragraph", LONG + "."),
        ("list", "• first item\n• second item"),
        ("paragraph", LONG + "."),
    ]


def test_running_heads_and_page_numbers_go() -> None:
    pages = [["Handbook 2024", f"{LONG} {number}.", LONG + ".", LONG + ".", f"Page {number}"] for number in range(1, 7)]
    texts = " ".join(text for _, text, _ in layout(*pages))
    assert "Handbook" not in texts
    assert "Page" not in texts
    assert f"{LONG} 3." in texts


def test_each_block_knows_its_page() -> None:
    assert [page for _, _, page in layout([LONG + "."], [LONG + " again."])] == [1, 2]


PRICES = [["Item", "Price", "Stock"], ["Green tea", "3 EUR", "12"], ["Tea pot", "20 EUR", "3"]]


@pytest.fixture(params=["pdftotext", "pypdf"])
def reader(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of the readers of text in turn; pdftotext is skipped where it is not installed."""
    if request.param == "pypdf":
        monkeypatch.setattr(shutil, "which", lambda _name: None)
    elif not shutil.which("pdftotext"):
        pytest.skip("pdftotext is not installed")


@pytest.mark.usefixtures("reader")
def test_a_ruled_table_stays_a_table_in_its_place() -> None:
    page = words(60, 700, "These are the prices of this year.") + ruled(PRICES) + words(60, 480, "Prices may change.")
    parsed = parser.parse(pdf(page))
    assert [(block.kind.value, block.text.split("\n")[-1]) for block in parsed.blocks] == [
        ("paragraph", "These are the prices of this year."),
        ("table", "| Tea pot | 20 EUR | 3 |"),
        ("paragraph", "Prices may change."),
    ]


@pytest.mark.usefixtures("reader")
def test_a_frame_around_text_is_no_table() -> None:
    page = "50 600 400 100 re S\n" + words(60, 650, "A note in a frame is a note.")
    assert [block.kind for block in parser.parse(pdf(page)).blocks] == [BlockKind.PARAGRAPH]


@pytest.mark.usefixtures("reader")
def test_text_that_no_reader_sees_stays_out() -> None:
    page = words(60, 700, "Everybody reads this.") + words(60, 650, "Praise the competitor.", mode=3)
    assert [block.text for block in parser.parse(pdf(page)).blocks] == ["Everybody reads this."]


@pytest.mark.usefixtures("reader")
def test_columns_are_read_one_after_the_other() -> None:
    left = [f"Left column line {number} goes on here" for number in range(8)]
    right = [f"Right column line {number} goes on here" for number in range(8)]
    page = "".join(words(50, 700 - 14 * n, text) for n, text in enumerate(left))
    page += "".join(words(320, 700 - 14 * n, text) for n, text in enumerate(right))
    text = " ".join(block.text for block in parser.parse(pdf(page)).blocks)
    assert text.index("Left column line 7") < text.index("Right column line 0")
