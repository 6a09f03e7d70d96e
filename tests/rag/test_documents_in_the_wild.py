"""Real documents of all formats, damaged and hostile ones among them: each gives its text, or a clear reason."""

import json
import re
import unicodedata
from typing import Any

import pytest

from packages.rag.documents import Document, UnreadableDocument
from packages.rag.sandbox import parse_sandboxed
from tests.factories.knowledge import DOCUMENTS, WILD_DOCUMENTS

EXPECTED = [json.loads(line) for line in (WILD_DOCUMENTS / "expected.jsonl").read_text().splitlines()]
READABLE = [row for row in EXPECTED if row["expect"] in {"text", "ocr"} and "expect_alt" not in row]
UNREADABLE = [row for row in EXPECTED if row not in READABLE]
OCR_SHARE = 0.7
ACTIONS = re.compile(r"\b(?:upload|save|split|ask)\b", re.IGNORECASE)


def folded(text: str) -> str:
    """Compared without regard to ligatures, case, white space and words divided at a line's end."""
    return re.sub(r"\s+", " ", re.sub(r"-\s*\n\s*", "", unicodedata.normalize("NFKC", text).casefold()))


def name_of(row: dict[str, Any]) -> str:
    return str(row["file"])


async def read(row: dict[str, Any]) -> Document:
    folder = next(item for item in (WILD_DOCUMENTS, DOCUMENTS) if (item / row["file"]).is_file())
    return await parse_sandboxed((folder / row["file"]).read_bytes(), media_type="", filename=row["file"])


async def read_or_refuse(row: dict[str, Any]) -> Document | UnreadableDocument:
    try:
        return await read(row)
    except UnreadableDocument as refusal:
        return refusal


@pytest.mark.parametrize("row", READABLE, ids=name_of)
async def test_what_can_be_read_gives_its_text(row: dict[str, Any]) -> None:
    document = await read(row)
    text = folded("\n".join(block.text for block in document.blocks))
    wanted = [folded(item) for item in row["contains"]]
    if row["expect"] == "ocr":
        words = " ".join(wanted).split()
        assert sum(word in text for word in words) >= OCR_SHARE * len(words)
    else:
        assert [item for item in wanted if item not in text] == []
    assert [item for item in row.get("not_contains", []) if folded(item) in text] == []


@pytest.mark.parametrize("row", UNREADABLE, ids=name_of)
async def test_what_cannot_be_read_says_why_and_what_to_do(row: dict[str, Any]) -> None:
    accepted = {row["expect"], row.get("expect_alt")}
    outcome = await read_or_refuse(row)
    if isinstance(outcome, UnreadableDocument):
        assert accepted & {"reject", "empty"}
        assert ACTIONS.search(outcome.message)
    else:
        text = folded("\n".join(block.text for block in outcome.blocks))
        assert "text" in accepted
        assert [item for item in row["contains"] if folded(item) not in text] == []
