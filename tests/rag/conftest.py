"""A brand to index into, and knowledge over the real database."""

import pytest
import pytest_asyncio

from packages.core.db.session import Database
from packages.rag.documents import Scope
from packages.rag.embeddings.hashing import HashingEmbedder
from packages.rag.retrieval import Knowledge
from packages.rag.vector_store.pgvector import PgVectorStore
from tests.factories.accounts import make_tenant


@pytest_asyncio.fixture
async def scope(database: Database) -> Scope:
    """The brand of a new tenant."""
    made = await make_tenant(database)
    return Scope(tenant_id=made.tenant_id, brand_id=made.brand_id)


@pytest_asyncio.fixture
async def other_scope(database: Database) -> Scope:
    """The brand of another tenant."""
    made = await make_tenant(database, "other")
    return Scope(tenant_id=made.tenant_id, brand_id=made.brand_id)


@pytest.fixture
def embedder() -> HashingEmbedder:
    """Deterministic, and counts what it is asked."""
    return HashingEmbedder()


@pytest.fixture
def knowledge(database: Database, embedder: HashingEmbedder) -> Knowledge:
    """pgvector with the counting embedder."""
    return Knowledge(database=database, store=PgVectorStore(database), embedder=embedder)
