"""Mails, archives, books, sheets, slides and pictures, read as they are uploaded."""

import io
import json

import openpyxl
import pytest
from pptx import Presentation

from packages.rag.documents import BlockKind, Document, UnreadableDocument, block_ids
from packages.rag.sandbox import parse_sandboxed
from tests.factories.office import mail, picture, tarred, word, zipped

CHAPTER = "<html><body><h1>One</h1><p>It begins.</p></body></html>"
PACKAGE = (
    '<package xmlns:dc="http://purl.org/dc/elements/1.1/"><metadata><dc:title>Book</dc:title><dc:language>en'
    '</dc:language></metadata><manifest><item id="a" href="a%20b.xhtml" media-type="application/xhtml+xml"/></manifest>'
    '<spine><itemref idref="a"/></spine></package>'
)
CONTAINER = '<container><rootfile full-path="OEBPS/x.opf"/></container>'


async def parsed(data: bytes, filename: str) -> Document:
    return await parse_sandboxed(data, media_type="application/octet-stream", filename=filename)


def texts(document: Document) -> list[str]:
    return [block.text for block in document.blocks]


async def test_attachments_are_documents_of_their_own() -> None:
    files = {"terms.docx": word("<w:p><w:r><w:t>Thirty days.</w:t></w:r></w:p>"), "x.bin": b"\x00\x01" * 50}
    document = await parsed(mail("Terms", "See below.", attachments=files), "mail.eml")
    assert texts(document) == ["Terms", "See below.", "terms.docx", "Thirty days."]
    assert document.blocks[-1].headings == ("terms.docx",)
    assert "x.bin" in document.notes[0]
    assert "example.com" not in json.dumps(document.to_dict())


async def test_a_mail_in_html_alone_is_read() -> None:
    raw = b"Subject: Hi\nContent-Type: text/html; charset=iso-8859-1\n\n<p>Caf\xe9</p><p style='display:none'>no</p>"
    assert texts(await parsed(raw, "mail.eml")) == ["Hi", "Café"]


async def test_a_repository_is_read_without_what_is_not_its_own() -> None:
    files = {
        "shop-main/README.md": b"# Shop\n\nSells things.",
        "shop-main/src/app.py": b"def buy():\n    return 1\n\n\ndef sell():\n    return 2\n",
        "shop-main/node_modules/x/index.js": b"var x",
        "shop-main/poetry.lock": b"lock",
        "shop-main/.env": b"SECRET=1",
        "shop-main/logo.exe": b"MZ\x00\x00",
    }
    document = await parsed(tarred(files, links={"shop-main/link.txt": "/etc/passwd"}), "shop.tar.gz")
    code = [block for block in document.blocks if block.kind is BlockKind.CODE]
    assert [(block.language, block.headings) for block in code] == [("python", ("src/app.py",))]
    assert "Sells things." in texts(document)
    assert not any(word in json.dumps(document.to_dict()) for word in ("SECRET", "var x", "root:"))
    assert document.title == "shop-main"
    assert any("logo.exe" in note for note in document.notes)


async def test_archives_in_archives_are_opened_but_not_for_ever() -> None:
    inner = zipped({"deep.txt": "Found."})
    assert "Found." in texts(await parsed(zipped({"a.zip": inner}), "b.zip"))
    for _ in range(5):
        inner = zipped({"a.zip": inner})
    with pytest.raises(UnreadableDocument, match="deeper than"):
        await parsed(inner, "b.zip")


@pytest.mark.parametrize(
    ("data", "name", "code"),
    [
        (zipped({"a.txt": b"0" * 300_000_000}), "bomb.zip", "no_readable_part"),
        (tarred({"a.txt": b"0" * 210_000_000}), "bomb.tgz", "too_large"),
        (zipped({}), "none.zip", "empty"),
        (zipped({f"{number}.txt": "x" for number in range(5001)}), "many.zip", "too_many"),
        (b"\x1f\x8b broken", "broken.tar.gz", "corrupt"),
        (b"[" * 1_000_000, "deep.json", "too_complex"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\x00" * 600, "old.doc", "wrong_type"),
        (b"\x89PNG\r\n\x1a\n" + b"\x00" * 60, "broken.png", "corrupt"),
        (picture(), "white.png", "no_text"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_bombs_and_broken_files_end_with_a_reason(data: bytes, name: str, code: str) -> None:
    with pytest.raises(UnreadableDocument) as refusal:
        await parsed(data, name)
    assert refusal.value.code == code


async def test_a_book_is_read_by_its_spine() -> None:
    files = {"mimetype": "application/epub+zip", "META-INF/container.xml": CONTAINER}
    document = await parsed(zipped(files | {"OEBPS/x.opf": PACKAGE, "OEBPS/a b.xhtml": CHAPTER}), "book.epub")
    assert (document.title, document.language, texts(document)) == ("Book", "en", ["One", "It begins."])


async def test_a_protected_book_says_so() -> None:
    encryption = '<encryption><CipherReference URI="OEBPS/a b.xhtml"/></encryption>'
    files = {"META-INF/container.xml": CONTAINER, "META-INF/encryption.xml": encryption}
    with pytest.raises(UnreadableDocument, match="protected against copying"):
        await parsed(zipped(files), "book.epub")


async def test_sheets_show_what_their_reader_sees() -> None:
    book = openpyxl.Workbook()
    sheet = book.create_sheet("Prices", 0)
    del book["Sheet"]
    for row in (["Price list"], [], ["Item", "Price", "Off"], ["Tea", 3.5, 0.25], ["Pot", "=B4*2", None]):
        sheet.append(row)
    sheet["B4"].number_format, sheet["C4"].number_format = '"€"#,##0.00', "0%"
    book.create_sheet("Secret").append(["hidden words"])
    book["Secret"].sheet_state = "hidden"
    buffer = io.BytesIO()
    book.save(buffer)
    document = await parsed(buffer.getvalue(), "prices.xlsx")
    assert texts(document)[:2] == ["Prices", "Price list"]
    assert document.blocks[2].text.split("\n")[2:] == ["| Tea | €3.50 | 25% |", "| Pot | =B4*2 |  |"]
    assert "hidden" not in json.dumps(document.to_dict())
    assert "formulas" in document.notes[0]


async def test_slides_are_pages() -> None:
    deck = Presentation()
    for title in ("First", "Second"):
        slide = deck.slides.add_slide(deck.slide_layouts[1])
        slide.shapes.title.text = title
        slide.placeholders[1].text_frame.text = f"About {title}."
    deck.slides[1].notes_slide.notes_text_frame.text = "Say it slowly."
    buffer = io.BytesIO()
    deck.save(buffer)
    document = await parsed(buffer.getvalue(), "deck.pptx")
    assert [(block.page, block.text) for block in document.blocks if block.kind is not BlockKind.HEADING] == [
        (1, "About First."),
        (2, "About Second."),
        (2, "Say it slowly."),
    ]


@pytest.mark.parametrize("turned", [0, 90, 180])
async def test_text_in_pictures_is_read_however_they_lie(turned: int) -> None:
    data = picture("Opening hours of the shop", "Monday to Friday from nine", "Closed on Sunday", turned=turned)
    words = " ".join(texts(await parsed(data, "sign.png")))
    assert words.index("Opening hours") < words.index("Monday to Friday") < words.index("Closed on Sunday")


async def test_json_rows_become_a_table_and_other_data_stays_as_it_is() -> None:
    table = await parsed(b'{"items": [{"sku": 1, "name": "Tea"}, {"sku": 2}]}', "a.json")
    assert table.blocks[0].text.split("\n")[2:] == ["| 1 | Tea |", "| 2 |  |"]
    pairs = await parsed(b'[{"question": "Open?", "answer": "Yes."}]', "a.json")
    assert pairs.blocks[0].kind is BlockKind.FAQ
    other = await parsed(b'{"deep": {"er": [1]}}', "a.json")
    assert (other.blocks[0].kind, other.blocks[0].language) == (BlockKind.CODE, "json")


async def test_block_ids_are_stable_and_distinct() -> None:
    one = (await parsed(b"# A\n\nSame.\n\nSame.\n\nLast.", "a.md")).blocks
    two = (await parsed(b"# A\n\nNew.\n\nSame.\n\nSame.\n\nLast.", "a.md")).blocks
    assert len(set(block_ids(one))) == len(one)
    assert set(block_ids(one)) < set(block_ids(two))


async def test_blocks_are_shown_as_json() -> None:
    document = await parsed(b"---\nlang: fr\n---\n# A\n\n```\nx = 1\n```\n", "a.md")
    shown = json.loads(json.dumps(document.content_blocks()))
    assert [(item["order"], item["kind"], item["language"]) for item in shown] == [
        (0, "heading", "fr"),
        (1, "code", None),
    ]
