"""Knowledge: sources as uploaded, their chunks, and the two indexes over the chunks.

`KnowledgePosting` is the BM25 side: one row per source and term, so that a query reads only rows of its own brand,
through an equality on the index (row-level security keeps PostgreSQL from using a text-search index there).
`KnowledgeVector` is the dense side where PostgreSQL is the vector store.
"""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, REAL, Column, Index, Integer, SmallInteger, Text, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSONB
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
    """One uploaded document, page, text or FAQ. `version` grows with each changed content."""

    __tablename__ = "knowledge_source"
    __table_args__ = (
        Index("ix_knowledge_source_brand_id_created_at", "brand_id", text("created_at DESC")),
        Index("ix_knowledge_source_brand_id_content_hash", "brand_id", "content_hash"),
        Index(
            "ix_knowledge_source_unfinished",
            "updated_at",
            postgresql_where=text("status IN ('queued', 'processing')"),
        ),
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
    error: dict[str, object] | None = Field(default=None, sa_type=JSONB)
    language: str | None = Field(default=None, max_length=20)
    tags: list[str] = Field(default_factory=list, sa_type=ARRAY(Text), nullable=False)
    updated_at: datetime = time_field()


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
    """A chunk's embedding; `id` is the chunk's. `embedder` names the model, because vectors of two never compare."""

    __tablename__ = "knowledge_vector"
    __table_args__ = (
        Index("ix_knowledge_vector_brand_id_embedder", "brand_id", "embedder"),
        Index("ix_knowledge_vector_source_id", "source_id"),
    )

    brand_id: UUID = Field(foreign_key="brand.id", ondelete="CASCADE")
    source_id: UUID = Field(foreign_key="knowledge_source.id", ondelete="CASCADE")
    embedder: str = Field(max_length=100)
    embedding: str = Field(sa_column=Column(Vector(), nullable=False))
