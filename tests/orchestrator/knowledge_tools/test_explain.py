"""A question tested: what was found, what was decided, and why."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from packages.rag.documents import Scope
from packages.rag.ingest import Upload, ingest_document
from packages.rag.retrieval import Knowledge
from tests.factories.companies import Company, Installation
from tests.factories.knowledge import document, make_source

ARTICLE = "forgot-your-password.md"
QUESTION = "How do I reset my password?"


@pytest_asyncio.fixture
async def learned(installation: Installation, acme: Company) -> AsyncIterator[str]:
    """The id of a source that holds the answer."""
    scope = Scope(tenant_id=acme.tenant_id, brand_id=acme.brand_id)
    source_id = await make_source(installation.database, scope, "Forgot your password", filename=ARTICLE)
    upload = Upload(data=document(ARTICLE), media_type="text/markdown", title="Forgot your password")
    await ingest_document(installation.parts.get(Knowledge), scope, source_id, upload)
    yield str(source_id)


async def explain(company: Company, question: str, **more: Any) -> dict[str, Any]:
    answer = await company.viewer.post(
        f"/v1/brands/{company.brand_id}/knowledge/explain", json={"question": question} | more
    )
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def test_an_answer_shows_its_hits_and_scores(acme: Company, learned: str) -> None:
    found = await explain(acme, QUESTION)
    assert found["decision"]["outcome"] == "answered"
    assert found["decision"]["confidence"] >= found["decision"]["threshold"]
    best = found["hits"][0]
    assert best["source_id"] == learned
    assert best["dense"] > 0.3
    assert best["bm25"] > 0
    assert 0 < best["coverage"] <= 1
    assert {"reset", "password"} <= set(best["matched_terms"])
    assert any(hit["cited"] for hit in found["hits"])
    assert found["candidate"]["text"] == found["answer"]["answer"]


async def test_it_answers_as_answers_does(acme: Company, learned: str) -> None:
    found = await explain(acme, QUESTION)
    asked = await acme.admin.post(f"/v1/brands/{acme.brand_id}/answers", json={"question": QUESTION})
    told = asked.json()
    assert (found["answer"]["answer"], found["answer"]["confidence"]) == (told["answer"], told["confidence"])


async def test_a_withheld_answer_shows_what_was_on_the_table(acme: Company, learned: str) -> None:
    found = await explain(acme, "What does a new email cost?")
    assert found["decision"]["outcome"] == "withheld"
    assert found["decision"]["reason"] == "below_threshold"
    assert found["candidate"]["confidence"] < found["decision"]["threshold"]
    assert found["candidate"]["text"] not in found["answer"]["answer"]
    assert set(found["signals"]) >= {"dense", "coverage"}


async def test_the_rewritten_question_leans_on_the_history(acme: Company, learned: str) -> None:
    history = [{"author": "customer", "text": QUESTION}]
    found = await explain(acme, "and what if that fails?", history=history)
    assert found["question"] == "and what if that fails?"
    assert "password" in found["rewritten_question"]


async def test_timings_tell_where_the_time_went(acme: Company, learned: str) -> None:
    times = (await explain(acme, QUESTION))["timings_ms"]
    assert times["retrieve"] > 0
    assert times["total"] >= times["retrieve"] + times["draft"] - 0.1


@pytest.mark.parametrize(
    ("question", "outcome", "reason"),
    [
        ("Hello!", "small_talk", "no_question"),
        ("I want to talk to a human", "wants_person", "no_question"),
        (QUESTION, "withheld", "nothing_found"),
    ],
)
async def test_without_knowledge(acme: Company, question: str, outcome: str, reason: str) -> None:
    decision = (await explain(acme, question))["decision"]
    assert (decision["outcome"], decision["reason"]) == (outcome, reason)
    assert decision["explanation"]


async def test_another_tenants_brand_does_not_exist(acme: Company, rival: Company, learned: str) -> None:
    answer = await rival.admin.post(f"/v1/brands/{acme.brand_id}/knowledge/explain", json={"question": QUESTION})
    assert answer.status_code == 404
    assert (await explain(rival, QUESTION))["hits"] == []
