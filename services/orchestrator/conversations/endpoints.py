"""Conversations: the agents' inbox, and what agents do with a conversation."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query
from redis.asyncio import Redis

from packages.core import streams
from packages.core.db.repository import get
from packages.core.db.session import Database
from packages.core.db.tables.conversations import Conversation
from packages.core.domain.conversations import ConversationStatus, Owner
from packages.core.domain.tenants import Role
from packages.core.links import MediaLinks
from services.orchestrator.auth.permissions import Principal, Scope, require
from services.orchestrator.channels.catalogue import Catalogue
from services.orchestrator.conversations import repository, service, views, windows
from services.orchestrator.conversations.schemas import (
    Assignment,
    ConversationRead,
    ConversationSummary,
    MessageCreate,
    MessageRead,
    NoteCreate,
)
from services.orchestrator.conversations.service import Change
from services.orchestrator.paging import Listed, ThePaging
from services.orchestrator.parts import TheDatabase, TheRedis, part
from services.orchestrator.relay import Relay

router = APIRouter(prefix="/v1/conversations", tags=["conversations"])
Reader = Annotated[Principal, require(Role.VIEWER, Scope.CONVERSATIONS_READ)]
Agent = Annotated[Principal, require(Role.AGENT, Scope.CONVERSATIONS_WRITE)]
TheRelay = Annotated[Relay, Depends(part(Relay))]
TheLinks = Annotated[MediaLinks, Depends(part(MediaLinks))]
TheCatalogue = Annotated[Catalogue, Depends(part(Catalogue))]


@router.get("")
async def list_conversations(
    paging: ThePaging,
    principal: Reader,
    database: TheDatabase,
    brand_id: UUID | None = None,
    status: ConversationStatus | None = None,
    owner: Owner | None = None,
    q: Annotated[
        str | None, Query(max_length=200, description="in the customer's name or address, or in messages")
    ] = None,
) -> Listed[ConversationSummary]:
    """Conversations, newest message first. `q` looks into the messages of the newest 1,000 conversations."""
    wanted = repository.Wanted(brand_id=brand_id, status=status, owner=owner, q=q)
    async with database.tenant(principal.tenant_id) as session:
        return await views.listed(session, await repository.conversations_page(session, wanted, paging))


@router.get("/{conversation_id}")
async def read_conversation(
    conversation_id: UUID,
    principal: Reader,
    database: TheDatabase,
    links: TheLinks,
    catalogue: TheCatalogue,
    before: Annotated[int | None, Query(description="messages before this `seq`")] = None,
) -> ConversationRead:
    """One conversation: its latest 200 messages, oldest first, each with delivery status, citations and context."""
    async with database.tenant(principal.tenant_id) as session:
        conversation = await get(session, Conversation, conversation_id)
        shown = await views.whole(session, conversation, before, links)
        shown.reply_window = await windows.for_agents(session, conversation, catalogue)
    return shown


@router.post("/{conversation_id}/messages", status_code=201)
async def send_message(
    conversation_id: UUID,
    body: MessageCreate,
    principal: Agent,
    database: TheDatabase,
    relay: TheRelay,
    redis: TheRedis,
    links: TheLinks,
) -> MessageRead:
    """Answer the customer. The bot's conversation becomes the caller's by that. `private` leaves a note instead."""
    async with database.tenant(principal.tenant_id) as session:
        if body.private:
            change = await service.note(session, principal, conversation_id, body.text)
        else:
            change = await service.reply(session, principal, conversation_id, body)
        shown = (await views.messages(session, [change.message], links))[0] if change.message else None
    return await _said(change, relay, redis, shown)


@router.post("/{conversation_id}/notes", status_code=201)
async def add_note(
    conversation_id: UUID,
    body: NoteCreate,
    principal: Agent,
    database: TheDatabase,
    relay: TheRelay,
    redis: TheRedis,
) -> MessageRead:
    """Leave a note that colleagues see, and the customer does not."""
    async with database.tenant(principal.tenant_id) as session:
        change = await service.note(session, principal, conversation_id, body.text)
    return await _said(change, relay, redis)


@router.post("/{conversation_id}/takeover")
async def take_over(
    conversation_id: UUID, principal: Agent, database: TheDatabase, relay: TheRelay, redis: TheRedis
) -> ConversationSummary:
    """Answer from here in person. The bot falls silent at once, in the middle of a reply if need be."""
    async with database.tenant(principal.tenant_id) as session:
        change = await service.take_over(session, principal, conversation_id)
    return await _changed(change, database, relay, redis)


@router.post("/{conversation_id}/handback")
async def hand_back(
    conversation_id: UUID, principal: Agent, database: TheDatabase, relay: TheRelay, redis: TheRedis
) -> ConversationSummary:
    """Let the bot answer again, beginning with what nobody has answered."""
    async with database.tenant(principal.tenant_id) as session:
        change = await service.hand_back(session, conversation_id)
    return await _changed(change, database, relay, redis)


@router.post("/{conversation_id}/assign")
async def assign(
    conversation_id: UUID,
    body: Assignment,
    principal: Agent,
    database: TheDatabase,
    relay: TheRelay,
    redis: TheRedis,
) -> ConversationSummary:
    """Give the conversation to a colleague."""
    async with database.tenant(principal.tenant_id) as session:
        change = await service.assign(session, principal, conversation_id, body.assignee_id)
    return await _changed(change, database, relay, redis)


@router.post("/{conversation_id}/resolve")
async def resolve(
    conversation_id: UUID, principal: Agent, database: TheDatabase, relay: TheRelay, redis: TheRedis
) -> ConversationSummary:
    """Close the conversation; the customer's next message begins a new one."""
    async with database.tenant(principal.tenant_id) as session:
        change = await service.resolve(session, conversation_id)
    return await _changed(change, database, relay, redis)


async def _said(change: Change, relay: Relay, redis: "Redis", shown: MessageRead | None = None) -> MessageRead:
    """After the commit: publish, and tell whoever watches."""
    assert change.message
    await relay.publish(change.outbound)
    shown = shown or views.message(change.message)
    kind = "message.noted" if shown.direction == "internal" else "message.sent"
    data = shown.model_dump(mode="json", include={"id", "text", "direction", "author", "kind", "sent_at"})
    data["conversation_id"] = str(change.conversation.id)
    await _announce(change, redis, {"type": kind, "data": data})
    return shown


async def _changed(change: Change, database: Database, relay: Relay, redis: "Redis") -> ConversationSummary:
    await relay.publish(change.outbound)
    async with database.tenant(change.conversation.tenant_id) as session:
        shown = await views.summary(session, change.conversation)
    data = shown.model_dump(mode="json", include={"id", "brand_id", "status", "owner", "owner_reason", "assignee_id"})
    await _announce(change, redis, {"type": "conversation.updated", "data": data})
    return shown


async def _announce(change: Change, redis: "Redis", event: dict[str, object]) -> None:
    await streams.announce(redis, streams.live_channel(str(change.conversation.tenant_id)), event)
