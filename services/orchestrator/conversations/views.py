"""Conversations and messages as the API shows them."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from packages.core.db.repositories import media
from packages.core.db.repository import Page
from packages.core.db.tables.conversations import Conversation, MessageLog
from packages.core.links import MediaLinks
from services.orchestrator.conversations import repository
from services.orchestrator.conversations.attachments import SHOWN_CHARACTERS, shown_files
from services.orchestrator.conversations.schemas import (
    ConversationRead,
    ConversationSummary,
    CustomerRead,
    MessageRead,
    Preview,
)
from services.orchestrator.paging import Listed


async def listed(session: AsyncSession, found: Page[Conversation]) -> Listed[ConversationSummary]:
    """A page of conversations with customer, channel and last message: three queries, however long the page."""
    summaries = await _summaries(session, found.items)
    return Listed(items=summaries, next_cursor=found.next_cursor)


async def whole(
    session: AsyncSession, conversation: Conversation, before: int | None, links: MediaLinks
) -> ConversationRead:
    """One conversation with its latest messages."""
    summary = (await _summaries(session, [conversation]))[0]
    rows, more = await repository.messages(session, conversation.id, before)
    shown = await messages(session, rows, links)
    return ConversationRead(**summary.model_dump(), messages=shown, before=shown[0].seq if more and shown else None)


async def summary(session: AsyncSession, conversation: Conversation) -> ConversationSummary:
    """One conversation without its messages."""
    return (await _summaries(session, [conversation]))[0]


async def messages(session: AsyncSession, rows: Sequence[MessageLog], links: MediaLinks) -> list[MessageRead]:
    """Messages with their files: one query, however many they are."""
    files = await media.of_messages(session, [row.id for row in rows], characters=SHOWN_CHARACTERS)
    return [message(row, files.get(row.id, ()), links) for row in rows]


def message(row: MessageLog, files: Sequence[Any] = (), links: MediaLinks | None = None) -> MessageRead:
    """One message. `files` are its files' rows; without `links`, they are shown without addresses."""
    said = {name: row.content[name] for name in ("buttons", "template") if name in row.content}
    return MessageRead.model_validate(
        {**row.model_dump(exclude={"content"}), **said, "attachments": shown_files(row, files, links)},
        from_attributes=False,
    )


async def _summaries(session: AsyncSession, rows: list[Conversation]) -> list[ConversationSummary]:
    customers = await repository.customers(session, {row.customer_id for row in rows})
    kinds = await repository.kinds(session, {row.channel_config_id for row in rows})
    previews = await repository.previews(session, [row.id for row in rows])
    return [
        ConversationSummary(
            **row.model_dump(exclude={"tenant_id", "customer_id", "recipient", "epoch"}),
            channel=kinds[row.channel_config_id],
            customer=CustomerRead(id=row.customer_id, name=customers[row.customer_id].name, address=row.recipient),
            last_message=_preview(previews, row.id),
        )
        for row in rows
    ]


def _preview(previews: dict[UUID, Any], conversation_id: UUID) -> Preview | None:
    found = previews.get(conversation_id)
    return Preview.model_validate(found) if found is not None else None
