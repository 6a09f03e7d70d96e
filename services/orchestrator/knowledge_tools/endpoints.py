"""Test a question: what was found, what was decided, and why."""

import asyncio
import time
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends

from packages.core.domain.tenants import Role
from services.orchestrator.auth.permissions import Principal, Scope, require
from services.orchestrator.brands import service as brands
from services.orchestrator.engine.turn import Engine, HistoryMessage
from services.orchestrator.knowledge.schemas import AnswerRequest
from services.orchestrator.knowledge_tools import service
from services.orchestrator.knowledge_tools.schemas import Explanation
from services.orchestrator.parts import TheDatabase, part

router = APIRouter(prefix="/v1", tags=["knowledge"])
Reader = Annotated[Principal, require(Role.VIEWER, Scope.KNOWLEDGE_READ)]


@router.post("/brands/{brand_id}/knowledge/explain")
async def explain(
    brand_id: UUID,
    body: AnswerRequest,
    principal: Reader,
    database: TheDatabase,
    engine: Annotated[Engine, Depends(part(Engine))],
) -> Explanation:
    """Answer a question as a conversation would, and show the hits, their scores, the candidate, and the decision."""
    async with database.tenant(principal.tenant_id) as session:
        profile = await brands.profile(session, brand_id)
    history = [HistoryMessage(author=said.author, text=said.text) for said in body.history]
    started = time.perf_counter()
    explained = await engine.explain(profile, body.question, history)
    took = (time.perf_counter() - started) * 1000
    return await asyncio.to_thread(service.explanation, body.question, explained, took)
