"""A document and the files inside it, as one document: parts are parsed one by one, within limits on depth and size."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from packages.rag.documents import Block, BlockKind, Document, Part, UnreadableDocument
from packages.rag.file_types import code_language

DEEPEST = 3
MOST_PARTS = 5000
LARGEST_TOTAL = 300 * 1024 * 1024
_MOST_NOTES = 30

ParseFile = Callable[[bytes, str, str | None], Document]
"""Parses one file by itself: bytes, media type, file name."""


@dataclass(slots=True)
class _Spent:
    parts: int = 0
    size: int = 0


def parse_whole(parse: ParseFile, data: bytes, media_type: str, filename: str | None) -> Document:
    """A document with all that is inside it; a part stands under a heading with its name.

    A part that cannot be read is named in the notes with the reason; the rest is read all the same.

    Raises:
        UnreadableDocument: nothing in it can be read, or there is too much of it.
    """
    whole = _expand(parse, parse(data, media_type, filename), _Spent(), depth=1)
    if not whole.blocks:
        reasons = " ".join(whole.notes[:3])
        raise UnreadableDocument(
            f"Nothing in this file can be read. {reasons} Upload the documents in it one by one.",
            code="no_readable_part",
        )
    if len(whole.notes) > _MOST_NOTES:
        more = f"And {len(whole.notes) - _MOST_NOTES} more."
        whole = replace(whole, notes=(*whole.notes[:_MOST_NOTES], more))
    return whole


def _expand(parse: ParseFile, document: Document, spent: _Spent, *, depth: int) -> Document:
    blocks = list(document.blocks)
    notes = list(document.notes)
    for part in document.parts:
        try:
            inner = _part(parse, part, spent, depth=depth)
        except UnreadableDocument as error:
            if error.code in {"too_deep", "too_many"}:
                raise
            notes.append(f"{part.name}: {error.message}")
            continue
        blocks.append(Block(kind=BlockKind.HEADING, text=part.name))
        blocks += [replace(block, headings=(part.name, *block.headings)) for block in inner.blocks]
        notes += [f"{part.name}: {note}" for note in inner.notes]
    return replace(document, blocks=tuple(blocks), notes=tuple(notes), parts=())


def _part(parse: ParseFile, part: Part, spent: _Spent, *, depth: int) -> Document:
    if depth > DEEPEST:
        raise UnreadableDocument(
            f"This file holds files within files, deeper than {DEEPEST} levels. Unpack it and upload its documents.",
            code="too_deep",
        )
    data = part.read()
    spent.parts += 1
    spent.size += len(data)
    if spent.parts > MOST_PARTS or spent.size > LARGEST_TOTAL:
        raise UnreadableDocument(
            f"This file holds too much: at most {MOST_PARTS} documents of {LARGEST_TOTAL // 1024**2} MB in all can be "
            "read. Unpack it and upload its documents.",
            code="too_many",
        )
    inner = _expand(parse, parse(data, part.media_type, part.name), spent, depth=depth + 1)
    language = code_language(part.name)
    if language:
        marked = (
            replace(block, language=language) if block.kind is BlockKind.CODE else block for block in inner.blocks
        )
        inner = replace(inner, blocks=tuple(marked))
    return inner
