"""Tickets: opened by actions and people, closed by people."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from packages.core.db.base import new_id, now
from packages.core.db.repository import get
from packages.core.db.tables.actions import Ticket
from packages.core.db.tables.brands import Brand
from packages.core.db.tables.conversations import Conversation
from packages.core.errors import NotFound
from services.orchestrator.tickets.schemas import TicketCreate, TicketUpdate


@dataclass(frozen=True, slots=True, kw_only=True)
class NewTicket:
    """What a ticket says. `call_id` is the call that it comes of; a second ticket of the same call is never opened."""

    brand_id: str
    kind: str
    subject: str
    body: str = ""
    category: str | None = None
    priority: str = "normal"
    contact: str | None = None
    due_at: datetime | None = None
    conversation_id: UUID | None = None
    customer_id: UUID | None = None
    call_id: UUID | None = None
    config_id: UUID | None = None
    has_hook: bool = False


async def open_ticket(session: AsyncSession, tenant_id: UUID, new: NewTicket) -> Ticket:
    """Open a ticket, or find the one that the same call has opened before."""
    values = {
        "id": new_id(),
        "created_at": now(),
        "updated_at": now(),
        "tenant_id": tenant_id,
        "brand_id": UUID(new.brand_id),
        "conversation_id": new.conversation_id,
        "customer_id": new.customer_id,
        "call_id": new.call_id,
        "config_id": new.config_id,
        "kind": new.kind,
        "subject": new.subject,
        "body": new.body,
        "category": new.category,
        "priority": new.priority,
        "status": "open",
        "contact": new.contact,
        "due_at": new.due_at,
        "hook_state": "pending" if new.has_hook else None,
        "hook_attempts": 0,
        "hook_due_at": now() if new.has_hook else None,
    }
    made = insert(Ticket).values(values).on_conflict_do_nothing(index_elements=["call_id"]).returning(col(Ticket.id))
    ticket_id = (await session.execute(made)).scalar()
    if ticket_id is None:
        ticket_id = (
            await session.execute(select(col(Ticket.id)).where(col(Ticket.call_id) == new.call_id))
        ).scalar_one()
    return await get(session, Ticket, ticket_id)


async def create(session: AsyncSession, tenant_id: UUID, body: TicketCreate) -> Ticket:
    """A person's ticket.

    Raises:
        NotFound: no such brand, or no such conversation of it.
    """
    await get(session, Brand, body.brand_id)
    customer_id = None
    if body.conversation_id is not None:
        conversation = await get(session, Conversation, body.conversation_id)
        if conversation.brand_id != body.brand_id:
            raise NotFound("There is no conversation with this id.")
        customer_id = conversation.customer_id
    new = NewTicket(
        brand_id=str(body.brand_id),
        kind=body.kind,
        subject=body.subject,
        body=body.body,
        category=body.category,
        priority=body.priority,
        contact=body.contact,
        due_at=body.due_at,
        conversation_id=body.conversation_id,
        customer_id=customer_id,
    )
    return await open_ticket(session, tenant_id, new)


async def update(session: AsyncSession, ticket_id: UUID, changes: TicketUpdate) -> Ticket:
    """Change what is given.

    Raises:
        NotFound: no such ticket.
    """
    ticket = await get(session, Ticket, ticket_id)
    for name, value in changes.model_dump(exclude_unset=True, exclude_none=True).items():
        setattr(ticket, name, value)
    ticket.updated_at = now()
    if changes.status is not None:
        ticket.closed_at = ticket.updated_at if changes.status == "closed" else None
    await session.flush()
    return ticket
