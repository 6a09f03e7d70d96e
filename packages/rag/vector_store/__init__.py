"""What a vector store is: it keeps chunks with their vectors and terms, per tenant and brand, and finds them again."""

import importlib
from collections.abc import Sequence
from typing import Protocol, runtime_checkable
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from packages.core.config import QdrantSettings
from packages.core.db.session import Database
from packages.rag.documents import Candidate, Chunk, Filters, Match, Scope
from packages.rag.embeddings import Vectors

ALL = Filters()
"""No narrowing."""

DEPTH = 50
"""How far down each search is read before the two are fused."""


@runtime_checkable
class VectorStore(Protocol):
    """One index of knowledge. The scope decides what a call can see; there is no call without one.

    Stores that keep chunks in PostgreSQL take a `session` to write in a transaction of the caller; others leave it.
    Vectors are compared only with vectors of the same `embedder`.
    """

    async def initialize(self, dimensions: int, embedder: str) -> None:
        """Make what the store needs for this embedder. Harmless to repeat."""
        ...

    async def replace_source(
        self,
        scope: Scope,
        source_id: UUID,
        version: int,
        chunks: Sequence[Chunk],
        vectors: Vectors,
        *,
        embedder: str,
        session: AsyncSession | None = None,
    ) -> list[UUID]:
        """Put these chunks in the place of all that the source had; every reader sees the old ones or the new ones.

        Returns:
            The ids of the new chunks, in order. No id of an earlier version comes back.
        """
        ...

    async def settle(self, scope: Scope, source_id: UUID | None = None) -> None:
        """After a transaction that replaced or deleted is committed: remove what no reader can reach any more.

        Harmless to repeat, and to forget until the next time. Without a source: after a brand was deleted.
        """
        ...

    async def delete_source(self, scope: Scope, source_id: UUID, *, session: AsyncSession | None = None) -> None:
        """Forget a source's chunks; nothing happens if there are none."""
        ...

    async def delete_brand(self, scope: Scope, *, session: AsyncSession | None = None) -> None:
        """Forget all chunks of the scope's brand."""
        ...

    async def search_dense(
        self, scope: Scope, vector: Vectors, limit: int, *, embedder: str, filters: Filters = ALL
    ) -> list[Match]:
        """The nearest chunks by cosine, best first. `vector` has shape (dimensions,)."""
        ...

    async def search_lexical(
        self, scope: Scope, terms: Sequence[str], limit: int, *, filters: Filters = ALL
    ) -> list[Match]:
        """The best chunks by BM25 over `packages.rag.lexical` terms, best first; none that holds no term."""
        ...

    async def search(
        self,
        scope: Scope,
        vector: Vectors,
        terms: Sequence[str],
        limit: int,
        *,
        depth: int = DEPTH,
        embedder: str,
        filters: Filters = ALL,
        unfamiliarity: float = 0.0,
    ) -> list[Candidate]:
        """Both searches' best `depth`, fused (`packages.rag.fusion`); the best `limit` of them with all their scores.

        All of it is read from one state of the index. `unfamiliarity` is the embedder's of the question.
        """
        ...

    async def vectors_of(self, scope: Scope, source_id: UUID, *, embedder: str) -> dict[str, Vectors]:
        """The stored vectors of a source by its chunks' `content_hash`: unchanged text is not embedded again."""
        ...


class _Backend(Protocol):
    def create(self, settings: QdrantSettings, database: Database) -> VectorStore: ...


def create(settings: QdrantSettings, database: Database) -> VectorStore:
    """Qdrant where it has an address, else PostgreSQL. Imports that backend's module only."""
    backend: _Backend = importlib.import_module(f"{__name__}.{'qdrant' if settings.url else 'pgvector'}")
    return backend.create(settings, database)
