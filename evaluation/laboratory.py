"""Parley's own index over the evaluation data, in a PostgreSQL of its own that is gone afterwards."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Literal
from uuid import UUID

from bench.database import postgres
from evaluation.datasets import Article
from evaluation.remembered import RememberingEmbedder
from packages.core.config import EmbeddingSettings
from packages.core.db.session import Database
from packages.core.db.tables.accounts import Tenant
from packages.core.db.tables.brands import Brand
from packages.core.db.tables.knowledge import KnowledgeSource
from packages.rag import embeddings
from packages.rag.chunking import chunk_document
from packages.rag.documents import Scope
from packages.rag.embeddings import Embedder
from packages.rag.retrieval import Knowledge
from packages.rag.sandbox import parse_sandboxed
from packages.rag.vector_store.pgvector import PgVectorStore

Form = Literal["whole", "body"]
"""`whole` articles, or only their `body`: questions taken from headings are too easy where headings are indexed."""

ARTICLES_AT_ONCE = 4


@dataclass(slots=True)
class Laboratory:
    """Knowledge of many tenants over one database. `article_of` says which article a source is."""

    knowledge: Knowledge
    article_of: dict[UUID, str] = field(default_factory=dict)

    async def index(self, articles: Iterable[Article], form: Form) -> dict[str, Scope]:
        """Index articles, each tenant's in a brand of its own, and return the brands by the tenants' names."""
        by_tenant: dict[str, list[Article]] = {}
        for article in articles:
            by_tenant.setdefault(article.tenant, []).append(article)
        scopes = {name: await self._new_brand(f"{name}-{form}") for name in by_tenant}
        slots = asyncio.Semaphore(ARTICLES_AT_ONCE)
        await asyncio.gather(
            *(self._add(scopes[name], each, form, slots) for name, own in by_tenant.items() for each in own)
        )
        return scopes

    async def _new_brand(self, name: str) -> Scope:
        tenant = Tenant(name=name, slug=f"{name}-{time.monotonic_ns()}".replace("_", "-").lower())
        brand = Brand(tenant_id=tenant.id, name=name, slug="evaluation")
        async with self.knowledge.database.across_tenants() as session:
            session.add(tenant)
            await session.flush()
            session.add(brand)
        return Scope(tenant_id=tenant.id, brand_id=brand.id)

    async def _add(self, scope: Scope, article: Article, form: Form, slots: asyncio.Semaphore) -> None:
        async with slots:
            embedder = self.knowledge.embedder
            text, title = (article.body, "") if form == "body" else (article.text, article.title)
            document = await parse_sandboxed(text.encode(), media_type="text/markdown", filename=None)
            chunks = chunk_document(
                document,
                count_tokens=embedder.count_tokens,
                title=title,
                language=article.language,
                embedder_limit=embedder.max_tokens,
            )
            vectors = await embedder.embed([chunk.indexed_text for chunk in chunks])
            source = KnowledgeSource(
                tenant_id=scope.tenant_id,
                brand_id=scope.brand_id,
                title=title,
                kind="file",
                media_type="text/markdown",
                language=article.language,
            )
            async with self.knowledge.database.tenant(scope.tenant_id) as session:
                session.add(source)
            await self.knowledge.store.replace_source(scope, source.id, 1, chunks, vectors, embedder=embedder.name)
            self.article_of[source.id] = article.id

    def ranked_articles(self, sources: Sequence[UUID]) -> list[str]:
        """Articles in the order in which their sources first come up."""
        return list(dict.fromkeys(self.article_of[source] for source in sources))


@asynccontextmanager
async def laboratory(embedder: Embedder | None = None) -> AsyncIterator[Laboratory]:
    """An empty one, with the built-in embedder unless another is given.

    Raises:
        NotReady: PostgreSQL did not start.
        MissingModel: the built-in model was not brought yet.
    """
    with RememberingEmbedder.opened(embedder or embeddings.create(EmbeddingSettings())) as remembering:
        async with postgres() as engine:
            database = Database(engine.url)
            yield Laboratory(Knowledge(database=database, store=PgVectorStore(database), embedder=remembering))
            await database.close()
