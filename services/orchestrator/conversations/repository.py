"""Queries about conversations and their messages."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, Select, Uuid, bindparam, delete, or_, select, text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from packages.core.db.base import new_id
from packages.core.db.repository import Page, get, page
from packages.core.db.tables.brands import Brand
from packages.core.db.tables.channels import ChannelConfig
from packages.core.db.tables.conversations import Conversation, MessageLog, PendingTurn
from packages.core.db.tables.customers import Customer
from packages.core.errors import NotFound
from services.orchestrator.paging import Paging

MESSAGES = 200
SEARCHED = 1_000
"""Text is searched in so many of the newest conversations: row-level security rules an index over the words out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What a list is narrowed to; None means no narrowing."""

    brand_id: UUID | None = None
    status: str | None = None
    owner: str | None = None
    q: str | None = None


async def conversations_page(session: AsyncSession, wanted: Wanted, paging: Paging) -> Page[Conversation]:
    """Conversations by their last message, newest first."""
    query: Select[Conversation] = select(Conversation)
    if wanted.brand_id is not None:
        query = query.where(col(Conversation.brand_id) == wanted.brand_id)
    if wanted.q:
        query = _containing(query, wanted)
    if wanted.status is not None:
        query = query.where(col(Conversation.status) == wanted.status)
    if wanted.owner is not None:
        query = query.where(col(Conversation.owner) == wanted.owner)
    return await page(
        session,
        query,
        newest_by=col(Conversation.last_message_at),
        row_id=col(Conversation.id),
        limit=paging.limit,
        cursor=paging.cursor,
    )


def _containing(query: Select[Conversation], wanted: Wanted) -> Select[Conversation]:
    """Conversations whose customer's name or address, or one of whose messages, contains the words."""
    recent = select(col(Conversation.id)).order_by(col(Conversation.last_message_at).desc()).limit(SEARCHED)
    if wanted.brand_id is not None:
        recent = recent.where(col(Conversation.brand_id) == wanted.brand_id)
    words = wanted.q or ""
    said = select(col(MessageLog.conversation_id)).where(
        col(MessageLog.conversation_id).in_(recent), col(MessageLog.text).icontains(words, autoescape=True)
    )
    named = select(col(Customer.id)).where(col(Customer.name).icontains(words, autoescape=True))
    return query.where(
        or_(
            col(Conversation.customer_id).in_(named),
            col(Conversation.recipient).icontains(words, autoescape=True),
            col(Conversation.id).in_(said),
        )
    )


_PREVIEWS = text("""
SELECT c.id, m.author, m.text, m.kind, m.sent_at FROM unnest(:ids) AS c(id) CROSS JOIN LATERAL (
    SELECT author, left(text, 280) AS text, kind, sent_at FROM message_log m
    WHERE m.conversation_id = c.id AND m.direction <> 'internal' ORDER BY m.seq DESC LIMIT 1
) m
""").bindparams(bindparam("ids", type_=ARRAY(Uuid())))


async def previews(session: AsyncSession, ids: Collection[UUID]) -> dict[UUID, Any]:
    """The last message of each conversation, by conversation; notes are no messages."""
    return {row.id: row for row in await session.execute(_PREVIEWS, {"ids": list(ids)})}


async def customers(session: AsyncSession, ids: Collection[UUID]) -> dict[UUID, Customer]:
    """Customers by id."""
    rows = await session.execute(select(Customer).where(col(Customer.id).in_(ids)))
    return {row.id: row for row in rows.scalars()}


async def kinds(session: AsyncSession, channel_config_ids: Collection[UUID]) -> dict[UUID, str]:
    """The channel of each channel config."""
    query = select(col(ChannelConfig.id), col(ChannelConfig.channel)).where(
        col(ChannelConfig.id).in_(channel_config_ids)
    )
    return {row[0]: row[1] for row in await session.execute(query)}


async def messages(session: AsyncSession, conversation_id: UUID, before: int | None) -> tuple[list[MessageLog], bool]:
    """The latest messages (those before `before`), oldest first, and whether there are older ones."""
    query = select(MessageLog).where(col(MessageLog.conversation_id) == conversation_id)
    if before is not None:
        query = query.where(col(MessageLog.seq) < before)
    rows = (await session.execute(query.order_by(col(MessageLog.seq).desc()).limit(MESSAGES + 1))).scalars().all()
    return list(reversed(rows[:MESSAGES])), len(rows) > MESSAGES


async def locked(session: AsyncSession, conversation_id: UUID) -> Conversation:
    """A conversation, held until the transaction ends: owner and epoch change one at a time.

    Raises:
        NotFound: no such conversation.
    """
    query = select(Conversation).where(col(Conversation.id) == conversation_id).with_for_update()
    found = (await session.execute(query)).scalar_one_or_none()
    if found is None:
        raise NotFound("There is no conversation with this id.")
    return found


async def brand_of(session: AsyncSession, conversation: Conversation) -> Brand:
    """The conversation's brand."""
    return await get(session, Brand, conversation.brand_id)


_ANSWERED = text("""
WITH answered AS (
    UPDATE message_log SET answered_by = :reply_id
    WHERE conversation_id = :conversation_id AND direction = 'inbound' AND answered_by IS NULL RETURNING id
)
UPDATE inbound_ledger SET state = 'answered', reason = NULL WHERE message_id IN (SELECT id FROM answered)
""")


async def mark_answered(session: AsyncSession, conversation_id: UUID, reply_id: UUID) -> None:
    """An agent's reply answers all that the customer wrote before."""
    await session.execute(_ANSWERED, {"conversation_id": conversation_id, "reply_id": reply_id})


async def drop_turn(session: AsyncSession, conversation_id: UUID) -> None:
    """Nothing waits for the bot any more; a turn under way loses its lease."""
    await session.execute(delete(PendingTurn).where(col(PendingTurn.conversation_id) == conversation_id))


_DUE_IF_OPEN = text("""
INSERT INTO pending_turn (id, tenant_id, conversation_id, due_at, first_at, attempts, voided, created_at)
SELECT :id, c.tenant_id, c.id, now(), now(), 0, 0, now() FROM conversation c
WHERE c.id = :conversation_id AND c.status = 'open' AND c.owner <> 'human' AND EXISTS (
    SELECT 1 FROM message_log m WHERE m.conversation_id = c.id AND m.direction = 'inbound' AND m.answered_by IS NULL
)
ON CONFLICT (conversation_id) DO NOTHING
""")


async def make_due(session: AsyncSession, conversation_id: UUID) -> None:
    """Have the bot answer what nobody has answered, if there is anything and the bot may."""
    await session.execute(_DUE_IF_OPEN, {"id": new_id(), "conversation_id": conversation_id})


async def reply_to(session: AsyncSession, message_id: UUID) -> MessageLog | None:
    """The message by which a customer's message was answered, once there is one."""
    answered_by = select(col(MessageLog.answered_by)).where(col(MessageLog.id) == message_id).scalar_subquery()
    return (await session.execute(select(MessageLog).where(col(MessageLog.id) == answered_by))).scalar_one_or_none()
