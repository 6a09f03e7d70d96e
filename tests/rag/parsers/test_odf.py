"""OpenDocument files give the same blocks as their Office cousins; old formats give text or advice."""

import pytest

from packages.rag.documents import UnreadableDocument
from packages.rag.parsers.legacy import parser as legacy_parser
from packages.rag.parsers.odf import parser
from tests.factories.office import zipped

NAMES = (
    'xmlns:office="urn:oasis:names:tc:opendocument:xmlns:office:1.0" xmlns:text="urn:oasis:names:tc:opendocument:xmlns:'
    'text:1.0" xmlns:table="urn:oasis:names:tc:opendocument:xmlns:table:1.0"'
)


def blocks(body: str) -> list[tuple[str, str]]:
    content = f"<office:document-content {NAMES}><office:body>{body}</office:body></office:document-content>"
    return [(block.kind.value, block.text) for block in parser.parse(zipped({"content.xml": content})).blocks]


def cell(text: str) -> str:
    return f"<table:table-cell><text:p>{text}</text:p></table:table-cell>"


def test_headings_lists_and_text_come_out() -> None:
    body = (
        '<office:text><text:h text:outline-level="1">Guide</text:h><text:p>Some <text:span>text</text:span> here.'
        "<office:annotation><text:p>secret</text:p></office:annotation></text:p>"
        "<text:list><text:list-item><text:p>One</text:p></text:list-item></text:list></office:text>"
    )
    assert blocks(body) == [("heading", "Guide"), ("paragraph", "Some text here."), ("list", "- One")]


def test_a_sheet_ends_where_its_cells_do() -> None:
    empty = '<table:table-cell table:number-columns-repeated="16000"/>'
    rows = f"<table:table-row>{cell('Item')}{cell('Price')}{empty}</table:table-row>"
    rows += f"<table:table-row>{cell('Tea')}{cell('3')}{empty}</table:table-row>"
    rows += f'<table:table-row table:number-rows-repeated="1000000">{empty}</table:table-row>'
    body = f'<office:spreadsheet><table:table table:name="Prices">{rows}</table:table></office:spreadsheet>'
    assert blocks(body) == [("heading", "Prices"), ("table", "| Item | Price |\n| --- | --- |\n| Tea | 3 |")]


@pytest.mark.parametrize(
    ("data", "code"),
    [(b"plain text", "wrong_type"), (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\x00" * 600, "wrong_type")],
)
def test_what_is_no_old_document_says_so(data: bytes, code: str) -> None:
    with pytest.raises(UnreadableDocument) as refusal:
        legacy_parser.parse(data)
    assert refusal.value.code == code
