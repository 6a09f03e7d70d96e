"""What retrieval speaks of: a document and its blocks, chunks to cite, hits of a question. Frozen, and free of I/O."""

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

    Tables are Markdown pipe tables with one row per line; a FAQ block is the question, a line break, and the answer.
    """

    kind: BlockKind
    text: str
    headings: tuple[str, ...] = ()
    page: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A parsed document. `title` and `language` are what the document itself says, if it does."""

    blocks: tuple[Block, ...]
    title: str | None = None
    language: str | None = None
    page_count: int | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain types, for the way out of the parsing process."""
        return {
            "blocks": [[block.kind.value, block.text, list(block.headings), block.page] for block in self.blocks],
            "title": self.title,
            "language": self.language,
            "page_count": self.page_count,
        }

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> "Document":
        """The inverse of `to_dict`."""
        return cls(
            blocks=tuple(
                Block(kind=BlockKind(kind), text=text, headings=tuple(headings), page=page)
                for kind, text, headings, page in data["blocks"]
            ),
            title=data["title"],
            language=data["language"],
            page_count=data["page_count"],
        )


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

    `score` is the fused score (reciprocal ranks; 1 means first in both searches), `dense` the cosine to the question,
    `bm25` the lexical score, `coverage` the share in 0..1 of the question's idf mass that the chunk contains.
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

    @property
    def location(self) -> Location:
        """Where in the source, for a citation."""
        return Location(page=self.page, headings=self.headings)
