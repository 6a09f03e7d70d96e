"""Deliveries: what became of each message to a customer, and another try for those that did not get through."""

from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter

from packages.core.domain.tenants import Role
from services.orchestrator.auth.permissions import Principal, Scope, require
from services.orchestrator.deliveries import repository, service
from services.orchestrator.deliveries.schemas import DeliveryRead, Requeued, RequeueMany
from services.orchestrator.paging import Listed, ThePaging
from services.orchestrator.parts import TheDatabase

router = APIRouter(prefix="/v1/deliveries", tags=["deliveries"])
Reader = Annotated[Principal, require(Role.AGENT, Scope.DELIVERIES_READ)]
Writer = Annotated[Principal, require(Role.TENANT_ADMIN, Scope.DELIVERIES_WRITE)]
State = Literal["published", "sending", "retry", "held", "sent", "failed", "void"]


@router.get("")
async def list_deliveries(
    paging: ThePaging,
    principal: Reader,
    database: TheDatabase,
    state: State | None = None,
    channel_config_id: UUID | None = None,
) -> Listed[DeliveryRead]:
    """Messages to customers, newest first; `state=failed` are the dead letters, `state=held` wait for the customer."""
    async with database.tenant(principal.tenant_id) as session:
        found = await repository.deliveries_page(session, paging, channel_config_id=channel_config_id, state=state)
        return await service.listed(session, found)


@router.post("/requeue")
async def requeue_many(body: RequeueMany, principal: Writer, database: TheDatabase) -> Requeued:
    """Send failed messages after all, at most 1,000 at once: once an account works again, say."""
    async with database.tenant(principal.tenant_id) as session:
        return await service.requeue_many(session, body)


@router.post("/{delivery_id}/requeue")
async def requeue(delivery_id: UUID, principal: Writer, database: TheDatabase) -> DeliveryRead:
    """Send a message after all that failed or is held; parts that the customer has are not repeated."""
    async with database.tenant(principal.tenant_id) as session:
        return await service.requeue(session, delivery_id)
