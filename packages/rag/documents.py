"""What retrieval speaks of: a document and its blocks, chunks to cite, hits of a question. Frozen, and free of I/O."""

import hashlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from uuid import UUID

from packages.core.domain.knowledge import Location


class BlockKind(StrEnum):
    """What a block is, as far as chunking cares."""

    HEADING = "heading"
    PARAGRAPH = "paragraph"
    LIST = "list"
    TABLE = "table"
    CODE = "code"
    IMAGE = "image"
    FAQ = "faq"


class UnreadableDocument(Exception):
    """A document that yields no text. The message is for the tenant's admin: the reason, and what to do."""

    def __init__(self, message: str, *, code: str = "unreadable") -> None:
        super().__init__(message)
        self.message = message
        self.code = code


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """One run of text. `headings` is the path it stands under (outermost first); `page` counts from 1.

    Tables are Markdown pipe tables with one row per line; a FAQ block is the question, a line break, and the answer;
    an image is what its author wrote to be read in its place. `language` is a programming language in code, and a
    natural one (BCP 47) where the document marks a passage as being in another than its own.
    """

    kind: BlockKind
    text: str
    headings: tuple[str, ...] = ()
    page: int | None = None
    language: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A file inside another (an attachment, a member of an archive), not parsed yet. `name` may have folders."""

    name: str
    media_type: str
    read: Callable[[], bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A parsed document. `title` and `language` are what the document itself says, if it does.

    `notes` say what of it was left out and why, in words for the tenant's admin. `parts` are files inside it that are
    still to be parsed; none are left once a document has come out of the parsing process.
    """

    blocks: tuple[Block, ...]
    title: str | None = None
    language: str | None = None
    page_count: int | None = None
    notes: tuple[str, ...] = ()
    parts: tuple[Part, ...] = ()

    def content_blocks(self) -> list[dict[str, Any]]:
        """The blocks as they are shown outside: in order, each with an id that outlives changes around it."""
        return [
            {
                "id": block_id,
                "order": order,
                "kind": block.kind.value,
                "text": block.text,
                "headings": list(block.headings),
                "page": block.page,
                "language": block.language or (None if block.kind is BlockKind.CODE else self.language),
            }
            for order, (block_id, block) in enumerate(zip(block_ids(self.blocks), self.blocks, strict=True))
        ]

    def to_dict(self) -> dict[str, Any]:
        """Plain types, for the way out of the parsing process."""
        return {
            "blocks": [
                [item.kind.value, item.text, list(item.headings), item.page, item.language] for item in self.blocks
            ],
            "title": self.title,
            "language": self.language,
            "page_count": self.page_count,
            "notes": list(self.notes),
        }

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> "Document":
        """The inverse of `to_dict`."""
        return cls(
            blocks=tuple(
                Block(kind=BlockKind(kind), text=text, headings=tuple(headings), page=page, language=language)
                for kind, text, headings, page, language in data["blocks"]
            ),
            title=data["title"],
            language=data["language"],
            page_count=data["page_count"],
            notes=tuple(data["notes"]),
        )


def block_ids(blocks: tuple[Block, ...]) -> list[str]:
    """An id of 32 hexadecimal digits per block: of its kind, place and text, and of how many equal ones stand before.

    The same document always gives the same ids, and a changed one keeps the ids of what did not change in it.
    """
    seen: Counter[str] = Counter()
    ids = []
    for block in blocks:
        said = "\x1f".join([block.kind.value, *block.headings, block.text])
        ids.append(hashlib.sha256(f"{seen[said]}\x1e{said}".encode()).hexdigest()[:32])
        seen[said] += 1
    return ids


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """A piece of a document that an answer can cite. `text` is verbatim; `position` counts from 0 in its source."""

    position: int
    text: str
    headings: tuple[str, ...] = ()
    page: int | None = None
    kind: str = "text"
    token_count: int
    content_hash: str
    title: str = ""
    language: str | None = None

    @property
    def indexed_text(self) -> str:
        """What is embedded and searched: the text with its title and headings, so that it is found in context."""
        return in_context(self.title, self.headings, self.text)


def in_context(title: str, headings: tuple[str, ...], text: str) -> str:
    """Text below its title and headings; a heading that repeats the title is left out."""
    path = [part for part in (title, *headings) if part]
    unique = list(dict.fromkeys(path))
    return "\n".join([" > ".join(unique), text]) if unique else text


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """Whose knowledge: no search and no write goes without one."""

    tenant_id: UUID
    brand_id: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class Filters:
    """What a search is narrowed to. None means no narrowing; an empty set finds nothing."""

    source_ids: frozenset[UUID] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredChunk:
    """A chunk as a store gives it back."""

    id: UUID
    source_id: UUID
    source_version: int
    position: int
    title: str
    text: str
    headings: tuple[str, ...] = ()
    page: int | None = None
    kind: str = "text"


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """A chunk with its score in one kind of search: cosine in dense, BM25 in lexical."""

    chunk: StoredChunk
    score: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A chunk with what both searches know of it.

    `score` is the fused score, `dense` the cosine (None if unknown), `coverage` the share of the question's idf mass
    that the chunk contains.
    """

    chunk: StoredChunk
    score: float
    dense: float | None
    bm25: float
    coverage: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """A ranked answer to a question: the chunk, where it stands, and why it is here.

    `score` is the fused score (1 would be a source that says the very question), `dense` the cosine to the question,
    `bm25` the lexical score, `coverage` the share in 0..1 of the question's idf mass that the chunk contains. `also_in`
    are other sources that say the same, best first.
    """

    chunk_id: UUID
    source_id: UUID
    source_version: int
    position: int
    title: str
    text: str
    headings: tuple[str, ...]
    page: int | None
    kind: str
    score: float
    dense: float | None
    bm25: float
    coverage: float
    also_in: tuple[UUID, ...] = ()

    @property
    def location(self) -> Location:
        """Where in the source, for a citation."""
        return Location(page=self.page, headings=self.headings)
