"""What a brand's bot may do besides answering, and the record of what it did."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends
from sqlalchemy import Select, select
from sqlmodel import col

from packages.core.crypto import SecretBox
from packages.core.db.repository import get, page
from packages.core.db.tables.actions import ActionCall, ActionConfig
from packages.core.db.tables.brands import Brand
from packages.core.domain.tenants import Role
from services.orchestrator.acting import decisions, service
from services.orchestrator.acting.rehearsal import rehearsed
from services.orchestrator.acting.runner import Actions
from services.orchestrator.acting.schemas import (
    ActionCreate,
    ActionCreated,
    ActionKind,
    ActionRead,
    ActionUpdate,
    CallRead,
    CallStatus,
    Decision,
    DryRun,
    DryRunResult,
)
from services.orchestrator.acting.service import Workshop
from services.orchestrator.auth.permissions import Principal, Scope, require
from services.orchestrator.brands import service as brands
from services.orchestrator.paging import Listed, ThePaging
from services.orchestrator.parts import TheDatabase, part

router = APIRouter(tags=["actions"])
Reader = Annotated[Principal, require(Role.VIEWER, Scope.BRANDS_READ)]
Admin = Annotated[Principal, require(Role.TENANT_ADMIN, Scope.BRANDS_WRITE)]
Observer = Annotated[Principal, require(Role.VIEWER, Scope.CONVERSATIONS_READ)]
Agent = Annotated[Principal, require(Role.AGENT, Scope.CONVERSATIONS_WRITE)]
TheActions = Annotated[Actions, Depends(part(Actions))]
TheBox = Annotated[SecretBox, Depends(part(SecretBox))]
OF_BRAND = "/v1/brands/{brand_id}/actions"


async def _workshop(actions: TheActions, box: TheBox) -> Workshop:
    return Workshop(actions.registry, box, actions.outside)


TheWorkshop = Annotated[Workshop, Depends(_workshop)]


@router.get("/v1/actions")
async def list_kinds(_principal: Reader, actions: TheActions) -> Listed[ActionKind]:
    """The actions that are installed, with the schema of their settings."""
    return Listed(items=service.catalogue(actions.registry))


@router.post(OF_BRAND, status_code=201)
async def add_action(
    brand_id: UUID, body: ActionCreate, principal: Admin, database: TheDatabase, actions: TheActions, shop: TheWorkshop
) -> ActionCreated:
    """Let the brand's bot do something. An MCP server is asked for its tools now, and not again by itself."""
    async with database.tenant(principal.tenant_id) as session:
        await get(session, Brand, brand_id)
    ready = await service.prepared(shop, body.action, body.name, body.description, body.settings)
    async with database.tenant(principal.tenant_id) as session:
        config = await service.create(session, principal.tenant_id, brand_id, body, ready)
    actions.configs.forget(brand_id)
    shown = service.shown(config, shop.box)
    return ActionCreated(**shown.model_dump(), signing_secret=ready.signing_secret)


@router.get(OF_BRAND)
async def list_actions(
    brand_id: UUID, paging: ThePaging, principal: Reader, database: TheDatabase, box: TheBox
) -> Listed[ActionRead]:
    """The brand's actions, newest first."""
    async with database.tenant(principal.tenant_id) as session:
        await get(session, Brand, brand_id)
        found = await page(
            session,
            select(ActionConfig).where(col(ActionConfig.brand_id) == brand_id),
            newest_by=col(ActionConfig.created_at),
            row_id=col(ActionConfig.id),
            limit=paging.limit,
            cursor=paging.cursor,
        )
    return Listed(items=[service.shown(config, box) for config in found.items], next_cursor=found.next_cursor)


@router.get(OF_BRAND + "/{action_id}")
async def read_action(
    brand_id: UUID, action_id: UUID, principal: Reader, database: TheDatabase, box: TheBox
) -> ActionRead:
    """One action, without its secrets."""
    async with database.tenant(principal.tenant_id) as session:
        return service.shown(await service.config_of(session, brand_id, action_id), box)


@router.patch(OF_BRAND + "/{action_id}")
async def update_action(
    brand_id: UUID,
    action_id: UUID,
    body: ActionUpdate,
    principal: Admin,
    database: TheDatabase,
    actions: TheActions,
    shop: TheWorkshop,
) -> ActionRead:
    """Change an action, switch it off, or have its calls only rehearsed."""
    async with database.tenant(principal.tenant_id) as session:
        config = await service.config_of(session, brand_id, action_id)
    changes_tools = body.settings is not None or body.name is not None or body.description is not None
    ready = await _prepared_again(shop, config, body) if changes_tools else None
    async with database.tenant(principal.tenant_id) as session:
        config = await service.update(session, brand_id, action_id, body, ready)
    actions.configs.forget(brand_id)
    return service.shown(config, shop.box)


@router.post(OF_BRAND + "/{action_id}/refresh")
async def refresh_action(
    brand_id: UUID, action_id: UUID, principal: Admin, database: TheDatabase, actions: TheActions, shop: TheWorkshop
) -> ActionRead:
    """Ask an MCP server for its tools again, and use them as they are now."""
    async with database.tenant(principal.tenant_id) as session:
        config = await service.config_of(session, brand_id, action_id)
    ready = await _prepared_again(shop, config, ActionUpdate())
    async with database.tenant(principal.tenant_id) as session:
        config = await service.update(session, brand_id, action_id, ActionUpdate(), ready)
    actions.configs.forget(brand_id)
    return service.shown(config, shop.box)


@router.delete(OF_BRAND + "/{action_id}", status_code=204)
async def remove_action(
    brand_id: UUID, action_id: UUID, principal: Admin, database: TheDatabase, actions: TheActions
) -> None:
    """Take an action away, with its secrets; the record of its calls stays."""
    async with database.tenant(principal.tenant_id) as session:
        await session.delete(await service.config_of(session, brand_id, action_id))
    actions.configs.forget(brand_id)


@router.post(OF_BRAND + "/{action_id}/dry-run")
async def dry_run(
    brand_id: UUID, action_id: UUID, body: DryRun, principal: Admin, database: TheDatabase, actions: TheActions
) -> DryRunResult:
    """What would be done with these arguments; nothing is."""
    async with database.tenant(principal.tenant_id) as session:
        config = await service.config_of(session, brand_id, action_id)
        brand = await brands.profile(session, brand_id)
    return await rehearsed(actions, config, brand, body)


@router.get("/v1/action-calls")
async def list_calls(
    paging: ThePaging,
    principal: Observer,
    database: TheDatabase,
    brand_id: UUID | None = None,
    conversation_id: UUID | None = None,
    status: CallStatus | None = None,
) -> Listed[CallRead]:
    """The record of calls, newest first; `status=waiting` are those that wait for a person."""
    query: Select[Any] = select(ActionCall)
    for name, value in {"brand_id": brand_id, "conversation_id": conversation_id, "status": status}.items():
        if value is not None:
            query = query.where(getattr(ActionCall, name) == value)
    async with database.tenant(principal.tenant_id) as session:
        await decisions.expire(session)
        found = await page(
            session,
            query,
            newest_by=col(ActionCall.created_at),
            row_id=col(ActionCall.id),
            limit=paging.limit,
            cursor=paging.cursor,
        )
    return Listed[CallRead].model_validate(found)


@router.get("/v1/action-calls/{call_id}")
async def read_call(call_id: UUID, principal: Observer, database: TheDatabase) -> CallRead:
    """One call."""
    async with database.tenant(principal.tenant_id) as session:
        return CallRead.model_validate(await get(session, ActionCall, call_id))


@router.post("/v1/action-calls/{call_id}/approve")
async def approve_call(
    call_id: UUID, body: Decision, principal: Agent, database: TheDatabase, actions: TheActions
) -> CallRead:
    """Let a waiting call happen; it is done when this answers, and the conversation has a note of it."""
    return CallRead.model_validate(await decisions.approve(database, actions, principal, call_id, body.note))


@router.post("/v1/action-calls/{call_id}/deny")
async def deny_call(call_id: UUID, body: Decision, principal: Agent, database: TheDatabase) -> CallRead:
    """Have a waiting call never happen."""
    async with database.tenant(principal.tenant_id) as session:
        return CallRead.model_validate(await decisions.deny(session, principal, call_id, body.note))


async def _prepared_again(shop: Workshop, config: ActionConfig, changes: ActionUpdate) -> service.Prepared:
    kept = shop.box.open(config.secrets) if config.secrets else {}
    settings = config.settings if changes.settings is None else changes.settings
    description = config.description if changes.description is None else changes.description
    return await service.prepared(shop, config.action, changes.name or config.name, description, settings, kept)
