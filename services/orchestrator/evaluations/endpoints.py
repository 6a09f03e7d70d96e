"""Evaluation sets: questions with expected answers, run before a change goes live."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request

from packages.core.db.repository import Page, get
from packages.core.db.tables.brands import Brand
from packages.core.db.tables.evaluations import EvaluationItem, EvaluationRun, EvaluationSet
from packages.core.domain.tenants import Role
from packages.core.errors import Conflict, NotFound
from services.orchestrator.auth.permissions import Principal, Scope, require
from services.orchestrator.evaluations import files, repository, service
from services.orchestrator.evaluations.runner import EvaluationRunner
from services.orchestrator.evaluations.schemas import (
    Added,
    Change,
    Comparison,
    GateRead,
    GateRequest,
    Grow,
    ItemRead,
    ResultRead,
    ResultWithItem,
    RunCreate,
    RunRead,
    SetCreate,
    SetRead,
)
from services.orchestrator.paging import Listed, ThePaging
from services.orchestrator.parts import TheDatabase, part
from services.orchestrator.settings import OrchestratorSettings

router = APIRouter(prefix="/v1/brands/{brand_id}/evaluations", tags=["evaluations"])
Reader = Annotated[Principal, require(Role.VIEWER, Scope.KNOWLEDGE_READ)]
Writer = Annotated[Principal, require(Role.TENANT_ADMIN, Scope.KNOWLEDGE_WRITE)]


@router.post("", status_code=201)
async def create_set(brand_id: UUID, body: SetCreate, principal: Writer, database: TheDatabase) -> SetRead:
    """A set without items."""
    async with database.tenant(principal.tenant_id) as session:
        await get(session, Brand, brand_id)
        found = EvaluationSet(tenant_id=principal.tenant_id, brand_id=brand_id, **body.model_dump())
        session.add(found)
        await session.flush()
        return (await service.shown(session, [found]))[0]


@router.get("")
async def list_sets(brand_id: UUID, paging: ThePaging, principal: Reader, database: TheDatabase) -> Listed[SetRead]:
    """The brand's sets, newest first."""
    async with database.tenant(principal.tenant_id) as session:
        await get(session, Brand, brand_id)
        found = await repository.sets_page(session, paging, brand_id)
        return Listed(items=await service.shown(session, found.items), next_cursor=found.next_cursor)


@router.get("/{set_id}")
async def read_set(brand_id: UUID, set_id: UUID, principal: Reader, database: TheDatabase) -> SetRead:
    """One set."""
    async with database.tenant(principal.tenant_id) as session:
        return (await service.shown(session, [await repository.set_of(session, brand_id, set_id)]))[0]


@router.post("/{set_id}/items", status_code=201, openapi_extra=files.OPENAPI)
async def add_items(brand_id: UUID, set_id: UUID, request: Request, principal: Writer, database: TheDatabase) -> Added:
    """Add items: {items: […]} as JSON, JSONL, or CSV with the columns question, answer, source_ids, abstain, history.

    All of an upload is taken or none; a refusal names the lines. A question that the set has already is left out.
    """
    async with database.tenant(principal.tenant_id) as session:
        await repository.set_of(session, brand_id, set_id)
    new = await files.items(request)
    async with database.tenant(principal.tenant_id) as session:
        return await service.add(session, brand_id, set_id, new)


@router.post("/{set_id}/grow", status_code=201)
async def grow_set(brand_id: UUID, set_id: UUID, body: Grow, principal: Writer, database: TheDatabase) -> Added:
    """Add items from conversations, without personal data."""
    async with database.tenant(principal.tenant_id) as session:
        return await service.grow(session, brand_id, set_id, body)


@router.get("/{set_id}/items", response_model=Listed[ItemRead])
async def list_items(
    brand_id: UUID, set_id: UUID, paging: ThePaging, principal: Reader, database: TheDatabase
) -> Page[EvaluationItem]:
    """The items of a set, newest first."""
    async with database.tenant(principal.tenant_id) as session:
        await repository.set_of(session, brand_id, set_id)
        return await repository.items_page(session, paging, set_id)


@router.delete("/{set_id}/items/{item_id}", status_code=204)
async def delete_item(brand_id: UUID, set_id: UUID, item_id: UUID, principal: Writer, database: TheDatabase) -> None:
    """Delete an item with its results."""
    async with database.tenant(principal.tenant_id) as session:
        await repository.set_of(session, brand_id, set_id)
        item = await get(session, EvaluationItem, item_id)
        if item.set_id != set_id:
            raise NotFound("There is no evaluation item with this id.")
        await session.delete(item)


@router.post("/{set_id}/runs", status_code=202, response_model=RunRead)
async def start_run(
    brand_id: UUID,
    set_id: UUID,
    body: RunCreate,
    principal: Writer,
    database: TheDatabase,
    settings: Annotated[OrchestratorSettings, Depends(part(OrchestratorSettings))],
    runner: Annotated[EvaluationRunner, Depends(part(EvaluationRunner))],
) -> EvaluationRun:
    """Put the set to what is live, or to a draft of another state; progress comes over GET /v1/stream."""
    async with database.tenant(principal.tenant_id) as session:
        run = await service.start(session, brand_id, set_id, body, settings.llm.endpoints)
    runner.wake()
    return run


@router.get("/{set_id}/runs", response_model=Listed[RunRead])
async def list_runs(
    brand_id: UUID, set_id: UUID, paging: ThePaging, principal: Reader, database: TheDatabase
) -> Page[EvaluationRun]:
    """The runs of a set, newest first."""
    async with database.tenant(principal.tenant_id) as session:
        await repository.set_of(session, brand_id, set_id)
        return await repository.runs_page(session, paging, set_id)


@router.get("/{set_id}/runs/{run_id}", response_model=RunRead)
async def read_run(
    brand_id: UUID, set_id: UUID, run_id: UUID, principal: Reader, database: TheDatabase
) -> EvaluationRun:
    """One run, how far it is, and its figures once it is done."""
    async with database.tenant(principal.tenant_id) as session:
        return await repository.run_of(session, brand_id, set_id, run_id)


@router.post("/{set_id}/runs/{run_id}/cancel", response_model=RunRead)
async def cancel_run(
    brand_id: UUID, set_id: UUID, run_id: UUID, principal: Writer, database: TheDatabase
) -> EvaluationRun:
    """Call a run off; what it has answered so far stays."""
    async with database.tenant(principal.tenant_id) as session:
        return await service.cancel(session, await repository.run_of(session, brand_id, set_id, run_id))


@router.get("/{set_id}/runs/{run_id}/results")
async def list_results(
    brand_id: UUID,
    set_id: UUID,
    run_id: UUID,
    paging: ThePaging,
    principal: Reader,
    database: TheDatabase,
    passed: Annotated[bool | None, Query()] = None,
) -> Listed[ResultWithItem]:
    """Each question with what was expected and what came."""
    async with database.tenant(principal.tenant_id) as session:
        await repository.run_of(session, brand_id, set_id, run_id)
        found = await repository.results_page(session, paging, run_id, passed=passed)
        items = await repository.items_by_id(session, [result.item_id for result in found.items])
    shown = [
        ResultWithItem(
            **ResultRead.model_validate(result).model_dump(), item=ItemRead.model_validate(items[result.item_id])
        )
        for result in found.items
    ]
    return Listed(items=shown, next_cursor=found.next_cursor)


@router.get("/{set_id}/runs/{run_id}/diff")
async def diff_runs(
    brand_id: UUID,
    set_id: UUID,
    run_id: UUID,
    paging: ThePaging,
    principal: Reader,
    database: TheDatabase,
    against: Annotated[
        UUID | None, Query(description="the run to compare with (default: the last of what was live before)")
    ] = None,
    only: Annotated[list[Change] | None, Query(description="changes to show (default: all but `same`)")] = None,
) -> Comparison:
    """Two runs of a set side by side: answers, citations, abstentions, latency and cost."""
    chosen: frozenset[Change] = frozenset(only or ("fixed", "regressed", "changed", "new", "gone"))
    async with database.tenant(principal.tenant_id) as session:
        run = await repository.run_of(session, brand_id, set_id, run_id)
        earlier = await service.run_before(session, run, against)
        if earlier is None:
            raise Conflict("There is no earlier run of what was live; say which run to compare with.")
        return await service.compare(session, earlier, run, paging, chosen)


@router.post("/{set_id}/runs/{run_id}/gate")
async def judge_run(
    brand_id: UUID, set_id: UUID, run_id: UUID, body: GateRequest, principal: Writer, database: TheDatabase
) -> GateRead:
    """Pass or fail, with reasons: enough answers are right, and not too many got worse."""
    async with database.tenant(principal.tenant_id) as session:
        return await service.gate(session, await repository.run_of(session, brand_id, set_id, run_id), body)


@router.delete("/{set_id}", status_code=204)
async def delete_set(brand_id: UUID, set_id: UUID, principal: Writer, database: TheDatabase) -> None:
    """Delete a set with its items and runs."""
    async with database.tenant(principal.tenant_id) as session:
        await session.delete(await repository.set_of(session, brand_id, set_id))
