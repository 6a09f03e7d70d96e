"""The retrieval suite itself, on two small tenants."""

from dataclasses import replace

import pytest

from evaluation import datasets, retrieval
from evaluation.laboratory import Laboratory
from evaluation.retrieval import BM25, DENSE, OURS, RRF, Judged
from packages.core.db.session import Database
from packages.rag.embeddings.hashing import HashingEmbedder
from packages.rag.retrieval import Knowledge
from packages.rag.vector_store.pgvector import PgVectorStore


async def test_every_system_ranks_articles_of_the_questions_tenant(database: Database) -> None:
    lab = Laboratory(Knowledge(database=database, store=PgVectorStore(database), embedder=HashingEmbedder()))
    tenants = sorted({question.tenant for question in datasets.answerable() if question.collection == "dstc9"})[:2]
    asked = [next(item for item in datasets.answerable() if item.tenant == tenant) for tenant in tenants]
    judged = await retrieval.judge(lab, asked, "whole")
    assert [item.leaks for item in judged] == [0, 0]
    for item in judged:
        assert item.ndcg(OURS) > 0.5
        assert all(len(set(ranking)) == len(ranking) > 0 for ranking in item.rankings.values())


@pytest.mark.parametrize(("ours", "missed"), [("right", []), ("wrong", ["nDCG", "against"])])
def test_goals_compare_with_the_better_side(ours: str, missed: list[str]) -> None:
    question = replace(datasets.answerable()[0], relevant={"right": 1})
    rankings = {BM25: ["wrong"], DENSE: ["right"], RRF: ["wrong", "right"], OURS: [ours]}
    report = retrieval.report([Judged(question, rankings, 0)])
    assert [goal.name for goal in report.goals if not goal.is_reached and not any(m in goal.name for m in missed)] == []
    assert len([goal for goal in report.goals if not goal.is_reached]) == len(missed)


def test_a_leak_misses_its_goal() -> None:
    rankings = {system: ["right"] for system in retrieval.SYSTEMS}
    question = replace(datasets.answerable()[0], relevant={"right": 1})
    report = retrieval.report([Judged(question, rankings, 1)])
    assert [goal.name for goal in report.goals if not goal.is_reached] == ["hits of another tenant"]
