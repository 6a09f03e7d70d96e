"""The suite of questions that lean on others."""

from evaluation import datasets, followups
from evaluation.followups import FollowUp
from evaluation.laboratory import Laboratory
from packages.core.db.session import Database
from packages.rag.embeddings.hashing import HashingEmbedder
from packages.rag.retrieval import Knowledge
from packages.rag.vector_store.pgvector import PgVectorStore


def test_each_has_a_conversation_and_a_tenant_with_articles() -> None:
    tenants = {article.tenant for article in datasets.articles()}
    assert all(item.history and item.target and item.tenant in tenants for item in followups.followups())


async def test_the_conversation_helps(database: Database) -> None:
    lab = Laboratory(Knowledge(database=database, store=PgVectorStore(database), embedder=HashingEmbedder()))
    articles = [item for item in datasets.articles() if item.tenant == "logingov" and item.language == "en"][:12]
    scopes = await lab.index(articles, "whole")
    asked = FollowUp("logingov", ("How do I use backup codes?",), "How many of them?", "How many backup codes?")
    report = await followups.judge(lab, scopes, [asked])
    alone, informed = (row[1] for row in report.tables[0].rows)
    assert float(informed) > float(alone)
