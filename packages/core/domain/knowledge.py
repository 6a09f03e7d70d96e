"""Knowledge as tenants upload it, and the citations that point back into it."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class SourceStatus(StrEnum):
    """The life of a source."""

    QUEUED = "queued"
    PROCESSING = "processing"
    READY = "ready"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class KnowledgeAsset:
    """A source as the worker gets it: what it is, and where its bytes lie (`storage_key`) or come from (`url`).

    `language` is what its sender said it is in; `is_titled` is false where only its address stands for a title.
    """

    source_id: str
    tenant_id: str
    brand_id: str
    title: str
    media_type: str
    filename: str | None = None
    storage_key: str | None = None
    url: str | None = None
    version: int = 1
    language: str | None = None
    is_titled: bool = True
    crawl: dict[str, Any] | None = None
    page_state: dict[str, Any] | None = None
    pinned: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Location:
    """Where in a source: `page` counts from 1, `headings` from the outermost."""

    page: int | None = None
    headings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Citation:
    """What an answer rests on. `quote` stands verbatim in the chunk's text."""

    chunk_id: str
    source_id: str
    source_version: int
    title: str
    quote: str
    location: Location = Location()


def file_key(tenant_id: str, brand_id: str, source_id: str, digest: str) -> str:
    """Where a file of a source lies in the object store; the same bytes always lie in the same place.

    `digest` is the SHA-256 of the bytes in hexadecimal digits.
    """
    return f"{tenant_id}/{brand_id}/{source_id}/files/{digest[:32]}"
