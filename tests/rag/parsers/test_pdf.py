"""PDF pages become headings, paragraphs and lists with their page."""

from packages.rag.documents import BlockKind
from packages.rag.page_layout import PageLayout
from packages.rag.parsers.pdf import parser
from tests.factories.knowledge import document


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
