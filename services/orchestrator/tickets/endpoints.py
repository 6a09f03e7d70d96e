"""Tickets and callbacks: what people have to do for customers."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter
from sqlalchemy import Select, select
from sqlmodel import col

from packages.core.db.repository import get, page
from packages.core.db.tables.actions import Ticket
from packages.core.domain.tenants import Role
from services.orchestrator.auth.permissions import Principal, Scope, require
from services.orchestrator.paging import Listed, ThePaging
from services.orchestrator.parts import TheDatabase
from services.orchestrator.tickets import service
from services.orchestrator.tickets.schemas import Kind, Status, TicketCreate, TicketRead, TicketUpdate

router = APIRouter(prefix="/v1/tickets", tags=["tickets"])
Reader = Annotated[Principal, require(Role.VIEWER, Scope.CONVERSATIONS_READ)]
Writer = Annotated[Principal, require(Role.AGENT, Scope.CONVERSATIONS_WRITE)]


@router.get("")
async def list_tickets(
    paging: ThePaging,
    principal: Reader,
    database: TheDatabase,
    brand_id: UUID | None = None,
    conversation_id: UUID | None = None,
    status: Status | None = None,
    kind: Kind | None = None,
) -> Listed[TicketRead]:
    """Tickets, newest first."""
    query: Select[Ticket] = select(Ticket)
    wanted = {"brand_id": brand_id, "conversation_id": conversation_id, "status": status, "kind": kind}
    for name, value in wanted.items():
        if value is not None:
            query = query.where(getattr(Ticket, name) == value)
    async with database.tenant(principal.tenant_id) as session:
        found = await page(
            session,
            query,
            newest_by=col(Ticket.created_at),
            row_id=col(Ticket.id),
            limit=paging.limit,
            cursor=paging.cursor,
        )
    return Listed[TicketRead].model_validate(found)


@router.post("", status_code=201)
async def open_ticket(body: TicketCreate, principal: Writer, database: TheDatabase) -> TicketRead:
    """Open a ticket by hand."""
    async with database.tenant(principal.tenant_id) as session:
        return TicketRead.model_validate(await service.create(session, principal.tenant_id, body))


@router.get("/{ticket_id}")
async def read_ticket(ticket_id: UUID, principal: Reader, database: TheDatabase) -> TicketRead:
    """One ticket."""
    async with database.tenant(principal.tenant_id) as session:
        return TicketRead.model_validate(await get(session, Ticket, ticket_id))


@router.patch("/{ticket_id}")
async def update_ticket(ticket_id: UUID, body: TicketUpdate, principal: Writer, database: TheDatabase) -> TicketRead:
    """Change a ticket, close it, or open it again."""
    async with database.tenant(principal.tenant_id) as session:
        return TicketRead.model_validate(await service.update(session, ticket_id, body))
