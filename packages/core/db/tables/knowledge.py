"""Knowledge: sources as uploaded, their chunks, and the two indexes over the chunks.

`KnowledgePosting` is the BM25 side: one row per source and term, so that a query reads only rows of its own brand,
through an equality on the index (row-level security keeps PostgreSQL from using a text-search index there).
`KnowledgeVector` is the dense side where PostgreSQL is the vector store.
"""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    REAL,
    BigInteger,
    Column,
    Computed,
    Index,
    Integer,
    SmallInteger,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import BIT, JSONB
from sqlalchemy.types import UserDefinedType
from sqlmodel import Field

from packages.core.db.base import TenantRow, json_field, time_field


class Vector(UserDefinedType[str]):
    """pgvector's type, without a fixed length; read and written as text such as `[0.1,0.2]`."""

    cache_ok = True

    def get_col_spec(self, **_kw: Any) -> str:
        """The column's type in DDL."""
        return "vector"


class KnowledgeSource(TenantRow, table=True):
    """One uploaded document, page, text or FAQ, or a web site (`crawl`), whose pages are sources with its `parent_id`.

    `version` grows with each changed content. `epoch` grows whenever somebody takes the source up or calls it off; what
    an earlier holder still wants to write then changes nothing. `declared_language` is what its sender said,
    `language` what it was indexed as. It answers from `valid_from` until before `valid_until`, where they are set. A
    source that is `pinned` is read from the store and not from its address.
    """

    __tablename__ = "knowledge_source"
    __table_args__ = (
        Index("ix_knowledge_source_brand_id_created_at", "brand_id", text("created_at DESC")),
        Index("ix_knowledge_source_brand_id_content_hash", "brand_id", "content_hash"),
        Index(
            "ix_knowledge_source_unfinished",
            "updated_at",
            postgresql_where=text("status IN ('queued', 'processing')"),
        ),
        # The worker picks the next source tenant by tenant.
        Index(
            "ix_knowledge_source_waiting",
            "tenant_id",
            "id",
            postgresql_where=text("status IN ('queued', 'processing')"),
        ),
        # What is not valid just now is asked with every search.
        Index(
            "ix_knowledge_source_validity",
            "brand_id",
            postgresql_where=text("valid_from IS NOT NULL OR valid_until IS NOT NULL"),
        ),
        Index("ix_knowledge_source_refresh_at", "refresh_at", postgresql_where=text("refresh_at IS NOT NULL")),
        Index("ix_knowledge_source_parent_id", "parent_id", postgresql_where=text("parent_id IS NOT NULL")),
        # What a tenant's quota is spent on is one read of this index.
        Index("ix_knowledge_source_usage", "tenant_id", postgresql_include=["size_bytes", "chunk_count"]),
    )

    brand_id: UUID = Field(foreign_key="brand.id", ondelete="CASCADE")
    title: str = Field(max_length=500)
    kind: str = Field(max_length=10)
    media_type: str = Field(max_length=200)
    filename: str | None = Field(default=None, max_length=500)
    storage_key: str | None = Field(default=None, max_length=1000)
    url: str | None = Field(default=None, max_length=2000)
    content_hash: str | None = Field(default=None, max_length=64)
    indexed_hash: str | None = Field(default=None, max_length=200)
    status: str = Field(default="queued", max_length=12)
    stage: str | None = Field(default=None, max_length=32)
    progress: float = Field(default=0.0, sa_type=REAL)
    chunk_count: int = 0
    version: int = 0
    attempts: int = 0
    epoch: int = Field(default=0, sa_column_kwargs={"server_default": "0"})
    not_before: datetime | None = time_field(nullable=True)
    done: int | None = None
    total: int | None = None
    error: dict[str, object] | None = Field(default=None, sa_type=JSONB)
    language: str | None = Field(default=None, max_length=20)
    declared_language: str | None = Field(default=None, max_length=20)
    size_bytes: int = Field(default=0, sa_type=BigInteger, sa_column_kwargs={"server_default": "0"})
    parent_id: UUID | None = Field(default=None, foreign_key="knowledge_source.id", ondelete="CASCADE")
    crawl: dict[str, object] | None = Field(default=None, sa_type=JSONB)
    page_state: dict[str, object] | None = Field(default=None, sa_type=JSONB)
    refresh_hours: float | None = None
    refresh_at: datetime | None = time_field(nullable=True)
    pinned: bool = Field(default=False, sa_column_kwargs={"server_default": text("false")})
    tags: list[str] = Field(default_factory=list, sa_type=ARRAY(Text), nullable=False)
    valid_from: datetime | None = time_field(nullable=True)
    valid_until: datetime | None = time_field(nullable=True)
    updated_at: datetime = time_field()


class KnowledgeVersion(TenantRow, table=True):
    """What a source held: the file under `storage_key`, and what was read from it under `parse_key`."""

    __tablename__ = "knowledge_version"
    __table_args__ = (
        UniqueConstraint("source_id", "version"),
        Index("ix_knowledge_version_brand_id", "brand_id"),
    )

    brand_id: UUID = Field(foreign_key="brand.id", ondelete="CASCADE")
    source_id: UUID = Field(foreign_key="knowledge_source.id", ondelete="CASCADE")
    version: int
    title: str = Field(max_length=500)
    media_type: str = Field(max_length=200)
    filename: str | None = Field(default=None, max_length=500)
    content_hash: str = Field(max_length=64)
    size_bytes: int = Field(default=0, sa_type=BigInteger)
    storage_key: str | None = Field(default=None, max_length=1000)
    parse_key: str | None = Field(default=None, max_length=1000)
    block_count: int = 0
    chunk_count: int = 0
    page_count: int | None = None
    language: str | None = Field(default=None, max_length=20)
    notes: list[str] = Field(default_factory=list, sa_type=ARRAY(Text), nullable=False)


class KnowledgeTurn(TenantRow, table=True):
    """When a source of a tenant was last taken up; the tenant that has waited longest is next."""

    __tablename__ = "knowledge_turn"
    __table_args__ = (UniqueConstraint("tenant_id"),)

    served_at: datetime = time_field()


class KnowledgeRemoval(TenantRow, table=True):
    """A deleted source of which files or vectors may be left outside PostgreSQL; gone once they are removed."""

    __tablename__ = "knowledge_removal"
    __table_args__ = (Index("ix_knowledge_removal_created_at", "created_at"),)

    brand_id: UUID
    source_id: UUID


class KnowledgeChunk(TenantRow, table=True):
    """A piece of a source that answers can cite."""

    __tablename__ = "knowledge_chunk"
    __table_args__ = (
        UniqueConstraint("source_id", "position"),
        Index("ix_knowledge_chunk_brand_id", "brand_id"),
    )

    brand_id: UUID = Field(foreign_key="brand.id", ondelete="CASCADE")
    source_id: UUID = Field(foreign_key="knowledge_source.id", ondelete="CASCADE")
    source_version: int
    position: int
    text: str
    headings: list[str] = Field(default_factory=list, sa_type=ARRAY(Text), nullable=False)
    page: int | None = None
    kind: str = Field(default="text", max_length=16)
    token_count: int
    content_hash: str = Field(max_length=64)
    extra: dict[str, object] = json_field()


class KnowledgePosting(TenantRow, table=True):
    """Where one term stands in one source: parallel arrays over the source's chunks.

    The source carries the one foreign key: a chunk brings some thirty of these rows, and each key is a look-up more.
    """

    __tablename__ = "knowledge_posting"
    __table_args__ = (
        Index("ix_knowledge_posting_brand_id_term", "brand_id", "term"),
        Index("ix_knowledge_posting_source_id", "source_id"),
    )

    tenant_id: UUID = Field(nullable=False)
    brand_id: UUID
    source_id: UUID = Field(foreign_key="knowledge_source.id", ondelete="CASCADE")
    term: str = Field(max_length=64)
    positions: list[int] = Field(sa_column=Column(ARRAY(Integer), nullable=False))
    frequencies: list[int] = Field(sa_column=Column(ARRAY(SmallInteger), nullable=False))
    lengths: list[int] = Field(sa_column=Column(ARRAY(SmallInteger), nullable=False))


class KnowledgeVector(TenantRow, table=True):
    """A chunk's embedding; `id` is the chunk's. `embedder` names the model, because vectors of two never compare.

    While a brand goes over to another embedder, a chunk has a vector of each. `sketch` is the vector's signs, one bit
    per number; a brand's sketches are read from the index alone, whatever other brands have.
    """

    __tablename__ = "knowledge_vector"
    __table_args__ = (
        Index(
            "ix_knowledge_vector_brand_id_embedder",
            "brand_id",
            "embedder",
            "id",
            postgresql_include=["tenant_id", "source_id", "sketch"],
        ),
        Index("ix_knowledge_vector_source_id", "source_id"),
    )

    brand_id: UUID = Field(foreign_key="brand.id", ondelete="CASCADE")
    source_id: UUID = Field(foreign_key="knowledge_source.id", ondelete="CASCADE")
    embedder: str = Field(max_length=100, primary_key=True)
    embedding: str = Field(sa_column=Column(Vector(), nullable=False))
    sketch: str | None = Field(
        default=None, sa_column=Column(BIT(varying=True), Computed("binary_quantize(embedding)", persisted=True))
    )
