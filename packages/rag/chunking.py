"""Documents to chunks, along the document's own structure.

A chunk never crosses a heading or a page, so its citation is exact. Tables, FAQ pairs and code stay whole while they
fit; a larger table is split between rows with its header repeated. Text breaks between sentences, a sentence breaks
only if it alone is too large.
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from math import ceil

from packages.rag.documents import Block, BlockKind, Chunk, Document, in_context
from packages.rag.sentences import spans

CHUNKER_VERSION = 1
FRAME_TOKENS = 2
_RUNNING = {BlockKind.PARAGRAPH, BlockKind.LIST, BlockKind.HEADING, BlockKind.IMAGE}
LEAST_TOKENS = 32

CountTokens = Callable[[Sequence[str]], list[int]]
"""The tokens of each text, by the embedder's tokenizer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChunkingOptions:
    """Sizes in tokens. `overlap_tokens` of whole sentences are repeated where running text had to be cut."""

    max_tokens: int = 220
    overlap_tokens: int = 30

    def __post_init__(self) -> None:
        """Refuse sizes that no chunk could keep."""
        if self.max_tokens < LEAST_TOKENS or not 0 <= self.overlap_tokens <= self.max_tokens // 2:
            raise ValueError(f"chunks need {LEAST_TOKENS} tokens or more, and an overlap of at most half of that")

    @property
    def fingerprint(self) -> str:
        """Changes whenever the same document would be cut differently."""
        return f"chunker{CHUNKER_VERSION}:{self.max_tokens}:{self.overlap_tokens}"


@dataclass(frozen=True, slots=True)
class _Unit:
    """What is not cut any further: `text[start:end]` of a block."""

    block: int
    kind: BlockKind
    text: str
    start: int
    end: int
    tokens: int = 0

    @property
    def piece(self) -> str:
        return self.text[self.start : self.end]


def chunk_document(
    document: Document,
    *,
    count_tokens: CountTokens,
    title: str = "",
    language: str | None = None,
    options: ChunkingOptions | None = None,
    embedder_limit: int | None = None,
) -> list[Chunk]:
    """Cut a document.

    Args:
        document: as parsed.
        count_tokens: counts as the embedder does.
        title: travels with each chunk; so do the headings.
        language: of the document, if known.
        options: sizes.
        embedder_limit: tokens that the embedder sees of one text; title and headings count against it.

    Returns:
        Chunks in the order of the document, none empty.
    """
    options = options or ChunkingOptions()
    chunks: list[Chunk] = []
    for (headings, page), group in groupby(_with_lone_headings(document.blocks), key=lambda b: (b.headings, b.page)):
        room = _room(options, title, headings, embedder_limit, count_tokens)
        for text, kind in _pack(list(group), room, min(options.overlap_tokens, room // 2), count_tokens):
            chunks.append(
                Chunk(
                    position=len(chunks),
                    text=text,
                    headings=headings,
                    page=page,
                    kind=kind,
                    token_count=0,
                    content_hash=_hash(in_context(title, headings, text)),
                    title=title,
                    language=language,
                )
            )
    counts = count_tokens([chunk.text for chunk in chunks])
    return [replace(chunk, token_count=count) for chunk, count in zip(chunks, counts, strict=True)]


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _room(
    options: ChunkingOptions, title: str, headings: tuple[str, ...], limit: int | None, count_tokens: CountTokens
) -> int:
    if limit is None:
        return options.max_tokens
    context = count_tokens([in_context(title, headings, "")])[0] + FRAME_TOKENS
    return max(LEAST_TOKENS, min(options.max_tokens, limit - context))


def _with_lone_headings(blocks: Sequence[Block]) -> Iterator[Block]:
    """Blocks with text. Headings go, because they travel as the path, but for those that nothing stands under."""
    for index, block in enumerate(blocks):
        if not block.text.strip():
            continue
        if block.kind is not BlockKind.HEADING:
            yield block
            continue
        following = blocks[index + 1] if index + 1 < len(blocks) else None
        path = (*block.headings, block.text)
        if following is None or following.headings[: len(path)] != path:
            yield replace(block, kind=BlockKind.PARAGRAPH)


def _pack(blocks: list[Block], room: int, overlap: int, count_tokens: CountTokens) -> Iterator[tuple[str, str]]:
    """Text and kind of each chunk of one section."""
    pieces = [piece for block in blocks for piece in _fitting(block, room, count_tokens)]
    for is_faq, run in groupby(pieces, key=lambda block: block.kind is BlockKind.FAQ):
        if is_faq:
            yield from ((block.text.strip(), BlockKind.FAQ.value) for block in run)
            continue
        units = _units(list(run), room, count_tokens)
        for group in _fill(units, room, overlap):
            kinds = {unit.kind for unit in group}
            only = next(iter(kinds)).value if len(kinds) == 1 else "text"
            yield _join(group), only if only in {"table", "code"} else "text"


def _fill(units: list[_Unit], room: int, overlap: int) -> Iterator[list[_Unit]]:
    """Groups of at most `room` tokens and about equal size; text repeats up to `overlap` tokens of the one before."""
    total = sum(unit.tokens for unit in units)
    target = total / max(1, ceil(total / room))
    group: list[_Unit] = []
    size = 0
    fresh = False
    for unit in units:
        if fresh and (size + unit.tokens > room or size >= target):
            yield group
            group = _tail(group, min(overlap, room - unit.tokens))
            size = sum(item.tokens for item in group)
            fresh = False
        group.append(unit)
        size += unit.tokens
        fresh = True
    if fresh:
        yield group


def _tail(group: list[_Unit], overlap: int) -> list[_Unit]:
    kept: list[_Unit] = []
    size = 0
    for unit in reversed(group):
        size += unit.tokens
        if size > overlap or unit.kind is not BlockKind.PARAGRAPH:
            break
        kept.insert(0, unit)
    return kept


def _join(group: list[_Unit]) -> str:
    """Verbatim text: neighbours of one block keep what stands between them, blocks are set apart by an empty line."""
    parts = []
    for _, run in groupby(group, key=lambda unit: unit.block):
        units = list(run)
        parts.append(units[0].text[units[0].start : units[-1].end].strip())
    return "\n\n".join(parts)


def _units(blocks: list[Block], room: int, count_tokens: CountTokens) -> list[_Unit]:
    units: list[_Unit] = []
    for index, block in enumerate(blocks):
        whole = block.kind in {BlockKind.TABLE, BlockKind.CODE}
        borders = [(0, len(block.text))] if whole else spans(block.text)
        units.extend(_Unit(index, block.kind, block.text, start, end) for start, end in borders)
    counts = count_tokens([unit.piece for unit in units])
    sized = [replace(unit, tokens=count) for unit, count in zip(units, counts, strict=True)]
    return [part for unit in sized for part in (_cut(unit, room, count_tokens) if unit.tokens > room else [unit])]


def _cut(unit: _Unit, room: int, count_tokens: CountTokens) -> list[_Unit]:
    """A sentence that is too large, in halves until they fit; between words where it has any."""
    if unit.tokens <= room or unit.end - unit.start < 2:
        return [unit]
    middle = (unit.start + unit.end) // 2
    space = max(unit.text.rfind(mark, unit.start + 1, middle) for mark in " \n\t")
    if space > unit.start + (middle - unit.start) // 2:
        middle = space
    halves = [replace(unit, end=middle), replace(unit, start=middle)]
    counts = count_tokens([half.piece for half in halves])
    return [
        part
        for half, count in zip(halves, counts, strict=True)
        if half.piece.strip()
        for part in _cut(replace(half, tokens=count), room, count_tokens)
    ]


def _fitting(block: Block, room: int, count_tokens: CountTokens) -> Iterator[Block]:
    """The block itself if it fits or can be cut anywhere; else parts of it that each make sense alone."""
    if block.kind in _RUNNING or count_tokens([block.text])[0] <= room:
        yield block
        return
    lines = block.text.strip("\n").split("\n")
    head: list[str] = []
    if block.kind is BlockKind.TABLE and len(lines) > 2 and set(lines[1]) <= set("|-: "):
        head, lines = lines[:2], lines[2:]
    elif block.kind is BlockKind.FAQ:
        head, lines = lines[:1], [part for line in lines[1:] for part in _sentences_of(line)]
    yield from (replace(block, text=text) for text in _batches(head, lines, room, count_tokens))


def _sentences_of(line: str) -> list[str]:
    return [line[start:end] for start, end in spans(line)]


def _batches(head: list[str], lines: list[str], room: int, count_tokens: CountTokens) -> Iterator[str]:
    """Lines in runs that fit, each under the repeated head. A line that fits nowhere goes alone, cut if it must be."""
    space = room - sum(count_tokens(head)) if head else room
    if space < LEAST_TOKENS // 2:
        head, lines, space = [], [*head, *lines], room
    batch: list[str] = []
    size = 0
    for line, count in zip(lines, count_tokens(lines), strict=True):
        for part, tokens in _line_parts(line, count, space, count_tokens):
            if batch and size + tokens > space:
                yield "\n".join([*head, *batch])
                batch, size = [], 0
            batch.append(part)
            size += tokens
    if batch:
        yield "\n".join([*head, *batch])


def _line_parts(line: str, count: int, space: int, count_tokens: CountTokens) -> Iterator[tuple[str, int]]:
    if count <= space:
        yield line, count
        return
    unit = _Unit(0, BlockKind.PARAGRAPH, line, 0, len(line), count)
    yield from ((part.piece.strip(), part.tokens) for part in _cut(unit, space, count_tokens))
