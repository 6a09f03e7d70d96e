"""A brand whose knowledge is a real index of real articles, embedded by the real local model."""

import pytest
import pytest_asyncio

from packages.core.config import EmbeddingSettings
from packages.core.db.session import Database
from packages.core.domain.tenants import BrandProfile
from packages.rag import embeddings
from packages.rag.chunking import chunk_document
from packages.rag.documents import Chunk, Scope
from packages.rag.embeddings import Embedder, Vectors
from packages.rag.parsers import markdown
from packages.rag.retrieval import Knowledge
from packages.rag.vector_store.pgvector import PgVectorStore
from tests.factories.accounts import make_tenant
from tests.factories.knowledge import document, make_source

ARTICLES = {
    "Forgot your password": "forgot-your-password.md",
    "Delete your account": "delete-your-account.md",
    "Why is my account locked?": "why-is-my-account-locked.md",
    "Change your phone number": "change-your-phone-number.md",
}


@pytest.fixture(scope="session")
def embedder() -> Embedder:
    """all-MiniLM-L6-v2, loaded once."""
    return embeddings.create(EmbeddingSettings())


@pytest.fixture(scope="session")
def indexed(embedder: Embedder) -> dict[str, tuple[list[Chunk], Vectors]]:
    """Chunks and vectors of each article by its title, made once."""
    made = {}
    for title, name in ARTICLES.items():
        chunks = chunk_document(
            markdown.parser.parse(document(name)), count_tokens=embedder.count_tokens, title=title, language="en"
        )
        made[title] = (chunks, embedder.embed_sync([chunk.indexed_text for chunk in chunks]))
    return made


@pytest.fixture
def knowledge(database: Database, embedder: Embedder) -> Knowledge:
    """pgvector over the test database."""
    return Knowledge(database=database, store=PgVectorStore(database), embedder=embedder)


@pytest_asyncio.fixture
async def brand(knowledge: Knowledge, indexed: dict[str, tuple[list[Chunk], Vectors]]) -> BrandProfile:
    """A brand with a help centre of four articles."""
    made = await make_tenant(knowledge.database)
    scope = Scope(tenant_id=made.tenant_id, brand_id=made.brand_id)
    for title, (chunks, vectors) in indexed.items():
        source_id = await make_source(knowledge.database, scope, title)
        await knowledge.store.replace_source(scope, source_id, 1, chunks, vectors, embedder=knowledge.embedder.name)
    return BrandProfile(
        id=str(made.brand_id), tenant_id=str(made.tenant_id), name="Login.gov", display_name="Logan", locale="en-US"
    )
