"""Qdrant keeps the contract, with its client's engine in this process."""

from collections.abc import AsyncIterator

import numpy as np
import pytest
import pytest_asyncio
from qdrant_client import AsyncQdrantClient

from packages.core.db.session import Database
from packages.rag.documents import Scope
from packages.rag.embeddings import normalised
from packages.rag.vector_store import VectorStore
from packages.rag.vector_store.qdrant import QdrantVectorStore
from tests.contracts.vector_store import VectorStoreContract
from tests.factories.knowledge import make_chunk, make_source


class TestQdrantVectorStore(VectorStoreContract):
    @pytest_asyncio.fixture
    async def store(self, database: Database) -> AsyncIterator[VectorStore]:
        client = AsyncQdrantClient(":memory:")
        yield QdrantVectorStore(database, client)
        await client.close()


async def test_points_of_a_write_that_was_rolled_back_are_not_seen_and_go(database: Database, scope: Scope) -> None:
    client = AsyncQdrantClient(":memory:")
    store = QdrantVectorStore(database, client)
    await store.initialize(8, "test/8")
    source_id = await make_source(database, scope)
    vectors = normalised(np.random.default_rng(1).normal(size=(2, 8)))
    kept = make_chunk("kept", 0)
    await store.replace_source(scope, source_id, 1, [kept], vectors[:1], embedder="test/8")

    async def write_and_fail() -> None:
        async with database.tenant(scope.tenant_id) as session:
            lost = [make_chunk("lost", 0)]
            await store.replace_source(scope, source_id, 2, lost, vectors[1:], embedder="test/8", session=session)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await write_and_fail()
    found = await store.search_dense(scope, vectors[1], 5, embedder="test/8")
    assert [match.chunk.text for match in found] == ["kept"]
    assert (await client.count("parley_test-8")).count == 2
    await store.settle(scope, source_id)
    assert (await client.count("parley_test-8")).count == 1
    await client.close()
