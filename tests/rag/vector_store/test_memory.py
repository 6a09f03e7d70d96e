"""The store in memory keeps the contract."""

import pytest

from packages.rag.vector_store import VectorStore
from packages.rag.vector_store.memory import MemoryVectorStore
from tests.contracts.vector_store import VectorStoreContract


class TestMemoryVectorStore(VectorStoreContract):
    @pytest.fixture
    def store(self) -> VectorStore:
        return MemoryVectorStore()
