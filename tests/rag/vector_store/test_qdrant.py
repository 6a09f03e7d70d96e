"""Qdrant keeps the contract, with its client's engine in this process."""

from collections.abc import AsyncIterator

import pytest_asyncio
from qdrant_client import AsyncQdrantClient

from packages.core.db.session import Database
from packages.rag.vector_store import VectorStore
from packages.rag.vector_store.qdrant import QdrantVectorStore
from tests.contracts.vector_store import VectorStoreContract


class TestQdrantVectorStore(VectorStoreContract):
    @pytest_asyncio.fixture
    async def store(self, database: Database) -> AsyncIterator[VectorStore]:
        client = AsyncQdrantClient(":memory:")
        yield QdrantVectorStore(database, client)
        await client.close()
