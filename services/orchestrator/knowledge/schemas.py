"""Bodies of knowledge sources, searches and answers."""

from datetime import datetime
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit
from uuid import UUID

from pydantic import AfterValidator, Field, StringConstraints

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


class URLCreate(_New):
    """A web page, read when its turn comes and again at each refresh."""

    url: Annotated[str, StringConstraints(strip_whitespace=True, max_length=2_000), AfterValidator(_web_address)]
    title: Title | None = None


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
    """A source and how far it is. `error` is {code, message} and says what to do."""

    id: UUID
    brand_id: UUID
    title: str
    kind: Literal["file", "url", "text", "faq"]
    media_type: str
    filename: str | None
    url: str | None
    status: Literal["queued", "processing", "ready", "failed"]
    stage: str | None
    progress: float = Field(description="0 to 1")
    chunk_count: int
    version: int
    attempts: int
    error: dict[str, Any] | None
    language: str | None
    tags: list[str]
    created_at: datetime
    updated_at: datetime


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
