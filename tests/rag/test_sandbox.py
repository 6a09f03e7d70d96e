"""Foreign files are read elsewhere and within limits; each that cannot be read says why."""

import asyncio
import json

import pytest

from packages.rag.documents import BlockKind, UnreadableDocument
from packages.rag.sandbox import MB, ParseLimits, parse_sandboxed
from tests.factories.knowledge import document


@pytest.mark.parametrize(
    ("name", "media_type", "code"),
    [
        ("encrypted_password.pdf", "application/pdf", "encrypted"),
        ("truncated_half.pdf", "application/pdf", "corrupt"),
        ("zero_bytes.pdf", "application/pdf", "empty"),
        ("zero_pages.pdf", "application/pdf", "empty"),
        ("fax_image.pdf", "application/pdf", "no_text"),
        ("html_named.pdf", "application/pdf", "wrong_type"),
    ],
)
async def test_what_cannot_be_read_says_why_and_what_to_do(name: str, media_type: str, code: str) -> None:
    with pytest.raises(UnreadableDocument) as refusal:
        await parse_sandboxed(document(name), media_type=media_type, filename=name)
    assert refusal.value.code == code
    assert any(word in refusal.value.message for word in ("pload", "Save"))


@pytest.mark.parametrize(
    ("name", "media_type", "expected"),
    [
        ("five_pages_headings.pdf", "application/pdf", "The concept of the word processor predates modern computers"),
        ("arabic_and_latin.pdf", "application/pdf", "habibi حَبيبي"),
        ("rich_table_cells.html", "text/html", "Often seen near ponds."),
        ("nested_navigation.html", "text/html", "A sub page"),
        ("hidden_instruction.html", "text/html", "Unused items can be returned within 30 days."),
        ("french_cp1252.txt", "text/plain", "Votre compte a été verrouillé"),
        ("french_utf16.csv", "text/csv", "Votre compte a été verrouillé parce que nous limitons le nom"),
        ("customers_semicolon.csv", "text/csv", "Rasmussen Group"),
        ("accepted-id-type.md", "application/octet-stream", "Military IDs"),
        ("partners-faq.md", "text/markdown", "Who has Login.gov partnered with?\nLogin.gov has over 50 partners"),
    ],
)
async def test_what_can_be_read_comes_out(name: str, media_type: str, expected: str) -> None:
    parsed = await parse_sandboxed(document(name), media_type=media_type, filename=name)
    assert expected in "\n".join(block.text for block in parsed.blocks)


@pytest.mark.parametrize(
    ("data", "media_type", "filename", "code"),
    [
        (b"\x00\x01\x02\x03 binary" * 100, "video/mp4", "film.mp4", "unsupported_format"),
        (b"\x00\x01\x02\x03 binary" * 100, "text/plain", "notes.txt", "not_text"),
        (b" \n\t ", "text/plain", "notes.txt", "empty"),
    ],
)
async def test_what_is_no_document_is_refused(data: bytes, media_type: str, filename: str, code: str) -> None:
    with pytest.raises(UnreadableDocument) as refusal:
        await parse_sandboxed(data, media_type=media_type, filename=filename)
    assert refusal.value.code == code


@pytest.mark.parametrize("media_type", ["text/plain", "video/mp4", "application/octet-stream"])
async def test_the_bytes_themselves_say_what_a_file_is(media_type: str) -> None:
    parsed = await parse_sandboxed(document("agreement_bookmarks.pdf"), media_type=media_type, filename="file.bin")
    assert parsed.page_count == 3


async def test_hidden_text_stays_out() -> None:
    parsed = await parse_sandboxed(document("hidden_instruction.html"), media_type="text/html")
    assert "competitor" not in json.dumps(parsed.to_dict())


async def test_faq_pairs_stay_pairs() -> None:
    data = json.dumps([{"question": "Do you ship?", "answer": "Yes."}]).encode()
    parsed = await parse_sandboxed(data, media_type="application/vnd.parley.faq+json")
    assert [(item.kind, item.text) for item in parsed.blocks] == [(BlockKind.FAQ, "Do you ship?\nYes.")]


async def test_memory_is_limited() -> None:
    limits = ParseLimits(memory_bytes=300 * MB)
    with pytest.raises(UnreadableDocument) as refusal:
        await parse_sandboxed(b"<p>" * 20_000_000, media_type="text/html", limits=limits)
    assert refusal.value.code in {"too_complex", "corrupt"}


async def test_time_is_limited() -> None:
    page = b"<div>" * 200_000 + b"text"
    with pytest.raises(UnreadableDocument, match="longer than"):
        await parse_sandboxed(page * 40, media_type="text/html", limits=ParseLimits(wall_seconds=0.5))


async def test_size_is_limited_before_anything_is_read() -> None:
    with pytest.raises(UnreadableDocument) as refusal:
        await parse_sandboxed(b"x" * 100, media_type="text/plain", limits=ParseLimits(input_bytes=99))
    assert refusal.value.code == "too_large"


async def test_the_event_loop_goes_on_meanwhile() -> None:
    paragraphs = b"\n\n".join(b"Paragraph %d." % number for number in range(50_000))
    parsing = asyncio.create_task(parse_sandboxed(paragraphs, media_type="text/plain"))
    ticks = 0
    while not parsing.done():
        await asyncio.sleep(0.005)
        ticks += 1
    assert ticks > 3
    assert parsing.result().blocks[0].text == "Paragraph 0."
