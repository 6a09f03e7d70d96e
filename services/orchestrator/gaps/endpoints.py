"""What customers asked in vain, and the way from there to an answer."""

from typing import Annotated
from uuid import UUID

from arq.connections import ArqRedis
from fastapi import APIRouter, Depends, Query

from packages.core.db.repository import Page, get
from packages.core.db.tables.brands import Brand
from packages.core.db.tables.gaps import GapQuestion
from packages.core.domain.tenants import Role
from packages.core.storage import ObjectStore
from services.orchestrator.auth.permissions import Principal, Scope, require
from services.orchestrator.gaps import repository, service
from services.orchestrator.gaps.schemas import Approval, GapChange, GapQuestionRead, GapRead, Status
from services.orchestrator.paging import Listed, ThePaging
from services.orchestrator.parts import TheDatabase, part
from services.orchestrator.settings import OrchestratorSettings

router = APIRouter(prefix="/v1/brands/{brand_id}/gaps", tags=["gaps"])
Reader = Annotated[Principal, require(Role.VIEWER, Scope.KNOWLEDGE_READ)]
Writer = Annotated[Principal, require(Role.TENANT_ADMIN, Scope.KNOWLEDGE_WRITE)]


@router.get("")
async def list_gaps(
    brand_id: UUID,
    paging: ThePaging,
    principal: Reader,
    database: TheDatabase,
    status: Annotated[Status | None, Query()] = None,
    min_count: Annotated[int, Query(ge=1, description="asked at least so often")] = 1,
) -> Listed[GapRead]:
    """Questions that were withheld or handed over, alike ones together; those asked last come first."""
    async with database.tenant(principal.tenant_id) as session:
        await get(session, Brand, brand_id)
        found = await repository.gaps_page(session, paging, brand_id, status=status, least=min_count)
        return await service.shown_page(session, found)


@router.get("/{gap_id}")
async def read_gap(brand_id: UUID, gap_id: UUID, principal: Reader, database: TheDatabase) -> GapRead:
    """One gap."""
    async with database.tenant(principal.tenant_id) as session:
        return (await service.shown(session, [await repository.gap_of(session, brand_id, gap_id)]))[0]


@router.get("/{gap_id}/questions", response_model=Listed[GapQuestionRead])
async def list_questions(
    brand_id: UUID, gap_id: UUID, paging: ThePaging, principal: Reader, database: TheDatabase
) -> Page[GapQuestion]:
    """Every time it was asked, newest first: the wording, the conversation, what an agent answered."""
    async with database.tenant(principal.tenant_id) as session:
        await repository.gap_of(session, brand_id, gap_id)
        return await repository.questions_page(session, paging, gap_id)


@router.patch("/{gap_id}")
async def change_gap(
    brand_id: UUID, gap_id: UUID, wanted: GapChange, principal: Writer, database: TheDatabase
) -> GapRead:
    """Dismiss a gap (its questions are still counted), take it up again, or change its draft."""
    async with database.tenant(principal.tenant_id) as session:
        return (await service.shown(session, [await service.change(session, brand_id, gap_id, wanted)]))[0]


@router.post("/{gap_id}/approve", status_code=202)
async def approve_gap(
    brand_id: UUID,
    gap_id: UUID,
    approval: Approval,
    principal: Writer,
    database: TheDatabase,
    storage: Annotated[ObjectStore, Depends(part(ObjectStore))],
    queue: Annotated[ArqRedis, Depends(part(ArqRedis))],
    settings: Annotated[OrchestratorSettings, Depends(part(OrchestratorSettings))],
) -> GapRead:
    """Publish an answer. Once it is indexed, the questions that had failed are asked again; the gap shows how it went.

    Approving once more replaces the answer that was approved before.
    """
    tenant_id, limits = principal.tenant_id, settings.knowledge
    gap = await service.approve(database, storage, queue, tenant_id, brand_id, gap_id, approval, limits)
    async with database.tenant(principal.tenant_id) as session:
        return (await service.shown(session, [gap]))[0]
