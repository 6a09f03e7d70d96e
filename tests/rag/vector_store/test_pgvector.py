"""pgvector keeps the contract, exactly and through its index."""

import pytest

from packages.core.db.session import Database
from packages.rag.vector_store import VectorStore
from packages.rag.vector_store.pgvector import PgVectorStore
from tests.contracts.vector_store import VectorStoreContract


class TestPgVectorStore(VectorStoreContract):
    @pytest.fixture
    def store(self, database: Database) -> VectorStore:
        return PgVectorStore(database)
