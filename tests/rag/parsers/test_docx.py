"""Word documents: structure comes out, what a reader does not see stays in."""

import pytest

from packages.rag.documents import UnreadableDocument
from packages.rag.parsers.docx import parser
from tests.factories.office import word, zipped

STYLES = (
    '<w:style w:styleId="berschrift1"><w:name w:val="heading 1"/></w:style>'
    '<w:style w:styleId="Own"><w:name w:val="My chapter"/><w:basedOn w:val="berschrift1"/></w:style>'
    '<w:style w:styleId="T"><w:name w:val="Title"/></w:style>'
)
RESTART = '<w:vMerge w:val="restart"/>'
NUMBERING = (
    '<w:abstractNum w:abstractNumId="0"><w:lvl w:ilvl="0"><w:numFmt w:val="decimal"/></w:lvl>'
    '<w:lvl w:ilvl="1"><w:numFmt w:val="bullet"/></w:lvl></w:abstractNum>'
    '<w:num w:numId="5"><w:abstractNumId w:val="0"/></w:num>'
)


def paragraph(text: str, style: str = "", properties: str = "") -> str:
    mark = f'<w:pStyle w:val="{style}"/>' if style else ""
    return f"<w:p><w:pPr>{mark}{properties}</w:pPr><w:r><w:t>{text}</w:t></w:r></w:p>"


def item(text: str, level: int = 0) -> str:
    return paragraph(text, properties=f'<w:numPr><w:ilvl w:val="{level}"/><w:numId w:val="5"/></w:numPr>')


def cell(text: str, properties: str = "") -> str:
    return f"<w:tc><w:tcPr>{properties}</w:tcPr>{paragraph(text)}</w:tc>"


def blocks(body: str, **parts: str) -> list[tuple[str, str]]:
    return [(block.kind.value, block.text) for block in parser.parse(word(body, **parts)).blocks]


def test_headings_are_known_by_their_style_in_any_language() -> None:
    body = paragraph("Doc", "T") + paragraph("Chapter", "Own") + paragraph("Text.")
    parsed = parser.parse(word(body, styles=STYLES))
    assert parsed.title == "Doc"
    assert parsed.blocks[-1].headings == ("Chapter",)


def test_lists_keep_their_numbers_and_depth() -> None:
    body = item("One") + item("Inner", 1) + item("Two") + paragraph("Text.")
    assert blocks(body, numbering=NUMBERING) == [("list", "1. One\n  - Inner\n2. Two"), ("paragraph", "Text.")]


def test_a_cell_over_several_rows_counts_for_each() -> None:
    body = (
        f"<w:tbl><w:tr>{cell('City')}{cell('Shop')}</w:tr>"
        f"<w:tr>{cell('Rome', RESTART)}{cell('A')}</w:tr>"
        f"<w:tr>{cell('', '<w:vMerge/>')}{cell('B')}</w:tr></w:tbl>"
    )
    assert blocks(body)[0][1].split("\n")[2:] == ["| Rome | A |", "| Rome | B |"]


def test_questions_in_a_table_become_pairs() -> None:
    body = f"<w:tbl><w:tr>{cell('Question')}{cell('Answer')}</w:tr><w:tr>{cell('Open?')}{cell('Yes.')}</w:tr></w:tbl>"
    assert blocks(body) == [("faq", "Open?\nYes.")]


@pytest.mark.parametrize(
    "unseen",
    [
        "<w:del><w:r><w:delText>gone</w:delText></w:r></w:del>",
        "<w:r><w:rPr><w:vanish/></w:rPr><w:t>gone</w:t></w:r>",
        "<w:r><w:instrText>gone</w:instrText></w:r>",
    ],
)
def test_what_is_deleted_or_hidden_stays_out(unseen: str) -> None:
    body = f"<w:p><w:r><w:t>Seen.</w:t></w:r>{unseen}<w:ins><w:r><w:t> New.</w:t></w:r></w:ins></w:p>"
    assert blocks(body) == [("paragraph", "Seen. New.")]


def test_a_footnote_follows_its_paragraph() -> None:
    body = '<w:p><w:r><w:t>Text.</w:t><w:footnoteReference w:id="2"/></w:r></w:p>' + paragraph("Next.")
    notes = f'<w:footnote w:id="2">{paragraph("A note.")}</w:footnote>'
    assert [text for _, text in blocks(body, footnotes=notes)] == ["Text.", "A note.", "Next."]


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"PK\x03\x04 broken", "corrupt"),
        (zipped({"other.xml": "<a/>"}), "corrupt"),
        (zipped({"word/document.xml": "<a>"}), "corrupt"),
        (zipped({"word/document.xml": "<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>"}), "unsafe"),
        (word(""), "empty"),
        (zipped({"word/document.xml": b"\x00" * 100_000_000}), "too_large"),
    ],
)
def test_what_cannot_be_read_says_why(data: bytes, code: str) -> None:
    with pytest.raises(UnreadableDocument) as refusal:
        parser.parse(data)
    assert refusal.value.code == code
