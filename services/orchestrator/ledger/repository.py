"""Queries about the ledger."""

from uuid import UUID

from sqlalchemy import Select, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from packages.core.db.repository import Page, get, page
from packages.core.db.tables.channels import ChannelConfig
from packages.core.db.tables.conversations import Conversation, MessageLog
from packages.core.db.tables.ledger import InboundLedger
from packages.core.errors import NotFound
from services.orchestrator.paging import Paging


async def ledger_page(
    session: AsyncSession, paging: Paging, *, channel_config_id: UUID | None, state: str | None
) -> Page[InboundLedger]:
    """Items by the time they came, newest first.

    Raises:
        NotFound: no such channel config.
    """
    query: Select[InboundLedger] = select(InboundLedger)
    if channel_config_id is not None:
        await get(session, ChannelConfig, channel_config_id)
        query = query.where(col(InboundLedger.channel_config_id) == channel_config_id)
    if state is not None:
        query = query.where(col(InboundLedger.state) == state)
    return await page(
        session,
        query,
        newest_by=col(InboundLedger.received_at),
        row_id=col(InboundLedger.id),
        limit=paging.limit,
        cursor=paging.cursor,
    )


async def locked(session: AsyncSession, ledger_id: UUID) -> InboundLedger:
    """An item, held until the transaction ends.

    Raises:
        NotFound: no such item.
    """
    query = select(InboundLedger).where(col(InboundLedger.id) == ledger_id).with_for_update()
    found = (await session.execute(query)).scalar_one_or_none()
    if found is None:
        raise NotFound("There is no ledger item with this id.")
    return found


async def message_and_conversation(
    session: AsyncSession, message_id: UUID
) -> tuple[MessageLog | None, Conversation | None]:
    """The message that an item became, and its conversation."""
    message = await session.get(MessageLog, message_id)
    return message, await session.get(Conversation, message.conversation_id) if message else None
