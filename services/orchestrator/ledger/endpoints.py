"""The ledger: every item that a platform sent, and what became of it."""

from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Depends

from packages.core import streams
from packages.core.db.repository import Page
from packages.core.db.tables.ledger import InboundLedger
from packages.core.domain.tenants import Role
from services.orchestrator.auth.permissions import Principal, Scope, require
from services.orchestrator.ledger import repository, service
from services.orchestrator.ledger.schemas import LedgerRead, Replayed
from services.orchestrator.paging import Listed, ThePaging
from services.orchestrator.parts import TheDatabase, TheRedis, part
from services.orchestrator.settings import OrchestratorSettings
from services.orchestrator.turns import Turns

router = APIRouter(prefix="/v1/ledger", tags=["ledger"])
Reader = Annotated[Principal, require(Role.AGENT, Scope.LEDGER_READ)]
Writer = Annotated[Principal, require(Role.TENANT_ADMIN, Scope.LEDGER_WRITE)]


@router.get("", response_model=Listed[LedgerRead])
async def list_ledger(
    paging: ThePaging,
    principal: Reader,
    database: TheDatabase,
    channel_config_id: UUID | None = None,
    state: Literal["received", "ignored", "answered", "failed"] | None = None,
) -> Page[InboundLedger]:
    """Provider items, newest first: what came, how often, and what became of it."""
    async with database.tenant(principal.tenant_id) as session:
        return await repository.ledger_page(session, paging, channel_config_id=channel_config_id, state=state)


@router.post("/{ledger_id}/replay")
async def replay(
    ledger_id: UUID,
    principal: Writer,
    database: TheDatabase,
    redis: TheRedis,
    turns: Annotated[Turns, Depends(part(Turns))],
    settings: Annotated[OrchestratorSettings, Depends(part(OrchestratorSettings))],
) -> Replayed:
    """Take an item in once more: one that failed, or that nobody has answered."""
    async with database.tenant(principal.tenant_id) as session:
        outcome = await service.replay(session, ledger_id, settings.turn)
    turns.wake(0)
    for tenant_id, event in outcome.live:
        await streams.announce(redis, streams.live_channel(tenant_id), event)
    return outcome.replayed
