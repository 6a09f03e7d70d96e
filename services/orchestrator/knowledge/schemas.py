"""Bodies of knowledge sources, searches and answers."""

from datetime import datetime
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit
from uuid import UUID

from pydantic import AfterValidator, AwareDatetime, Field, StringConstraints

from services.orchestrator.auth.schemas import Input, Output

Title = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=500)]
Tag = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=100)]
Language = Annotated[str, StringConstraints(pattern=r"^[A-Za-z]{2,3}(?:[-_][A-Za-z0-9]{2,8})*$", max_length=20)]
Question = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=4_000)]


def _web_address(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("only http and https addresses can be read")
    if parts.username or parts.password:
        raise ValueError("the address must not contain a user name or password")
    return value


class _New(Input):
    tags: list[Tag] = Field(default_factory=list, max_length=50)
    language: Language | None = None


class Crawl(Input):
    """How a web site is read: by its links (the default) or by its sitemap; one site, and at most `limit` pages.

    `path` narrows it to addresses whose path begins so.
    """

    links: bool = False
    sitemap: bool = False
    limit: int = Field(200, ge=1, le=10_000)
    same_site: Literal[True] = True
    path: Annotated[str, StringConstraints(pattern=r"^/", max_length=500)] = "/"

    def as_row(self) -> dict[str, object]:
        """As it stands on the source."""
        by = "sitemap" if self.sitemap and not self.links else "links"
        return {"by": by, "limit": self.limit, "path": self.path}


RefreshHours = Annotated[float, Field(ge=1, le=24 * 365)]


class URLCreate(_New):
    """A web page, read when its turn comes and again at each refresh; with `crawl` a web site.

    `refresh_hours` has it read again by itself.
    """

    url: Annotated[str, StringConstraints(strip_whitespace=True, max_length=2_000), AfterValidator(_web_address)]
    title: Title | None = None
    crawl: Crawl | None = None
    refresh_hours: RefreshHours | None = None


class TextCreate(_New):
    """A text; markdown is understood."""

    text: Annotated[str, StringConstraints(min_length=1, max_length=1_000_000)]
    title: Title


class Pair(Input):
    """A question and its answer."""

    question: Annotated[str, StringConstraints(min_length=1, max_length=2_000)]
    answer: Annotated[str, StringConstraints(min_length=1, max_length=20_000)]


class FAQCreate(_New):
    """Questions with their answers; each pair stays whole."""

    faq: list[Pair] = Field(min_length=1, max_length=2_000)
    title: Title = "FAQ"


class SourceAccepted(Output):
    """A source that will be read; content that the brand has already is the source it was."""

    id: UUID
    title: str
    status: str


class Accepted(Output):
    """The sources of one upload, in its order."""

    items: list[SourceAccepted]


class SourceRead(Output):
    """A source and how far it is. `error` is {code, message} and says what to do.

    `done` of `total` steps of the stage. A page of a web site has the site as its `parent_id`.
    """

    id: UUID
    brand_id: UUID
    title: str
    kind: Literal["file", "url", "text", "faq", "site"]
    media_type: str
    filename: str | None
    url: str | None
    status: Literal["queued", "processing", "ready", "failed"]
    stage: str | None
    progress: float = Field(description="0 to 1")
    done: int | None
    total: int | None
    chunk_count: int
    version: int
    attempts: int
    error: dict[str, Any] | None
    language: str | None
    tags: list[str]
    size_bytes: int
    parent_id: UUID | None
    crawl: dict[str, Any] | None
    refresh_hours: float | None
    refresh_at: datetime | None
    valid_from: datetime | None
    valid_until: datetime | None
    created_at: datetime
    updated_at: datetime


class SourceDetail(SourceRead):
    """A source; of a web site also its pages by status."""

    pages: dict[str, int] | None = None


class SourceUpdate(Input):
    """What is given is changed; null removes language, hours and validity.

    A new title or language has the source indexed anew. It answers from `valid_from` until before `valid_until`.
    """

    title: Title | None = None
    tags: list[Tag] | None = Field(None, max_length=50)
    language: Language | None = None
    refresh_hours: RefreshHours | None = None
    valid_from: AwareDatetime | None = None
    valid_until: AwareDatetime | None = None


class VersionRead(Output):
    """What a source held; `notes` say what of it could not be read."""

    version: int
    title: str
    media_type: str
    filename: str | None
    content_hash: str
    size_bytes: int
    block_count: int
    chunk_count: int
    page_count: int | None
    language: str | None
    notes: list[str]
    created_at: datetime


class Rollback(Input):
    """A version to go back to."""

    version: int = Field(ge=1)


class BlockRead(Output):
    """A run of text; the id stays as long as the block and the headings above it do."""

    id: str
    order: int
    kind: str
    text: str
    headings: list[str]
    page: int | None
    language: str | None


class Blocks(Output):
    """Blocks of one version, in the document's order."""

    version: int
    items: list[BlockRead]
    next_cursor: str | None


class SearchFilters(Input):
    """What a search is narrowed to: sources by id, with all of the tags, in one of the languages."""

    source_ids: list[UUID] | None = Field(None, max_length=200)
    tags: list[Tag] = Field(default_factory=list, max_length=20)
    languages: list[Language] = Field(default_factory=list, max_length=20)


class Search(Input):
    """A question to the brand's knowledge."""

    query: Question
    limit: int = Field(8, ge=1, le=50)
    filters: SearchFilters | None = None


class LocationRead(Output):
    """Where in a source: `page` counts from 1, `headings` from the outermost."""

    page: int | None
    headings: list[str]


class HitRead(Output):
    """A chunk that may hold the answer. A `score` of 1 means first in both searches."""

    chunk_id: UUID
    source_id: UUID
    title: str
    text: str
    score: float
    location: LocationRead


class Hits(Output):
    """The best chunks, best first."""

    items: list[HitRead]


class Said(Input):
    """Something that was said before."""

    author: Literal["customer", "bot", "agent"]
    text: Annotated[str, StringConstraints(max_length=4_000)]


class AnswerRequest(Input):
    """A question as a customer would ask it."""

    question: Question
    history: list[Said] = Field(default_factory=list, max_length=50)


class CitationRead(Output):
    """What a claim rests on; the quote stands verbatim in the chunk."""

    chunk_id: str
    source_id: str
    source_version: int
    title: str
    quote: str
    location: LocationRead


class AnswerRead(Output):
    """An answer, or an honest "I don't know" (`abstained`)."""

    answer: str
    citations: list[CitationRead]
    abstained: bool
    confidence: float
    offer_person: bool
    trace_id: str | None
