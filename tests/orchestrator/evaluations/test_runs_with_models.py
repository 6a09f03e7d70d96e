"""A run that asks a language model: its draft is judged, its tokens are counted and paid."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from fastapi import FastAPI
from redis.asyncio import Redis
from sqlalchemy import select

from packages.core.config import LLMSettings
from packages.core.db.tables.evaluations import EvaluationItem, EvaluationResult, EvaluationRun, EvaluationSet
from packages.rag.documents import Scope
from packages.rag.ingest import Upload, ingest_document
from packages.rag.retrieval import Knowledge
from services.orchestrator.engine.turn import Engine
from services.orchestrator.evaluations.runner import EvaluationRunner
from services.orchestrator.settings import OrchestratorSettings
from tests.factories.companies import Company, Installation
from tests.factories.knowledge import document, make_source
from tests.fakes import llm_server
from tests.fakes.llm_server import LLMServer

ARTICLE = "forgot-your-password.md"
PRICES = {"input_per_million": 1_000_000.0, "output_per_million": 2_000_000.0}


@pytest_asyncio.fixture
async def server() -> AsyncIterator[LLMServer]:
    async with llm_server.running() as server:
        yield server


@pytest.fixture
def runner(
    installation: Installation, app: FastAPI, settings: OrchestratorSettings, server: LLMServer, redis: Redis
) -> EvaluationRunner:
    """A runner whose installation has a language model. The process's own, which has none, is stopped."""
    installation.parts.get(EvaluationRunner).stop()
    llm = LLMSettings(base_url=server.url, model="main", connect_timeout=0.5, first_token_timeout=0.5)
    engine = installation.parts.get(Engine)
    return EvaluationRunner(installation.database, redis, engine, settings.model_copy(update={"llm": llm}))


async def test_tokens_are_counted_and_paid(
    installation: Installation, acme: Company, runner: EvaluationRunner, server: LLMServer
) -> None:
    scope = Scope(tenant_id=acme.tenant_id, brand_id=acme.brand_id)
    source_id = await make_source(installation.database, scope, "Forgot your password", filename=ARTICLE)
    upload = Upload(data=document(ARTICLE), media_type="text/markdown", title="Forgot your password")
    await ingest_document(installation.parts.get(Knowledge), scope, source_id, upload)
    server.answers("Select the “Forgot your password?” link near the bottom of the page [1].")
    owned = {"tenant_id": acme.tenant_id, "brand_id": acme.brand_id}
    questions = EvaluationSet.model_validate(owned | {"name": "x"})
    run = EvaluationRun.model_validate(
        owned | {"set_id": questions.id, "total": 1, "state": {"prices": PRICES}, "draft": {"model": "main"}}
    )
    item = EvaluationItem(
        tenant_id=acme.tenant_id,
        set_id=questions.id,
        question="How do I reset my password?",
        source_ids=[str(source_id)],
        digest="x",
    )
    async with installation.database.tenant(acme.tenant_id) as session:
        session.add(questions)
        await session.flush()
        session.add_all([item, run])
    while await runner.work_one():
        pass
    async with installation.database.tenant(acme.tenant_id) as session:
        result = (await session.scalars(select(EvaluationResult))).one()
    assert result.passed
    assert result.drafted_by is not None
    assert result.drafted_by.startswith("main@")
    assert result.tokens_in > 0
    assert result.tokens_out > 0
    assert result.cost == result.tokens_in + 2 * result.tokens_out
