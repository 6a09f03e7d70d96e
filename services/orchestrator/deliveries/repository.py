"""Queries about deliveries."""

from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, func, select, text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from packages.core.db.repository import Page, get, page
from packages.core.db.tables.channels import ChannelConfig
from packages.core.db.tables.conversations import MessageLog
from packages.core.db.tables.deliveries import Delivery
from services.orchestrator.paging import Paging

PREVIEW = 280
REQUEUED = 1_000


async def deliveries_page(
    session: AsyncSession, paging: Paging, *, channel_config_id: UUID | None, state: str | None
) -> Page[Delivery]:
    """Deliveries by the time their message was written, newest first.

    Raises:
        NotFound: no such channel config.
    """
    query: Select[Delivery] = select(Delivery)
    if channel_config_id is not None:
        await get(session, ChannelConfig, channel_config_id)
        query = query.where(col(Delivery.channel_config_id) == channel_config_id)
    if state is not None:
        query = query.where(col(Delivery.state) == state)
    return await page(
        session,
        query,
        newest_by=col(Delivery.created_at),
        row_id=col(Delivery.id),
        limit=paging.limit,
        cursor=paging.cursor,
    )


async def messages(session: AsyncSession, ids: list[UUID]) -> dict[UUID, Any]:
    """Author, kind, status and the beginning of the text of messages, by id."""
    preview: ColumnElement[str] = func.left(col(MessageLog.text), PREVIEW)
    query = select(
        col(MessageLog.id), col(MessageLog.author), col(MessageLog.kind), col(MessageLog.status), preview.label("text")
    ).where(col(MessageLog.id).in_(ids))
    return {row.id: row for row in await session.execute(query)}


# A person decided that it is to be sent: neither its epoch nor earlier attempts count any more. What the platform has
# of it already is not sent again.
_REQUEUE = """
WITH again AS (
    UPDATE delivery SET state = 'retry', attempts = 0, next_attempt_at = now(), settled_at = NULL, error = NULL,
        epoch = NULL, payload = payload - 'window_closed',
        external_id = CASE WHEN parts_sent > 0 THEN external_id END
    WHERE id IN (SELECT id FROM delivery WHERE {wanted} ORDER BY seq LIMIT :limit FOR UPDATE)
    RETURNING id
)
UPDATE message_log m SET status = 'queued', error = NULL FROM again a WHERE m.id = a.id RETURNING m.id
"""
_REQUEUE_ONE = text(_REQUEUE.format(wanted="id = :id AND state IN ('failed', 'held')"))
_REQUEUE_MANY = text(_REQUEUE.format(wanted="""state = 'failed'
        AND (CAST(:channel_config_id AS uuid) IS NULL OR channel_config_id = :channel_config_id)
        AND (CAST(:code AS text) IS NULL OR error->>'code' = :code)"""))


async def requeue(session: AsyncSession, delivery_id: UUID) -> bool:
    """Have a failed or held message sent again; whether there was one."""
    return bool((await session.execute(_REQUEUE_ONE, {"id": delivery_id, "limit": 1})).all())


async def requeue_many(session: AsyncSession, *, channel_config_id: UUID | None, code: str | None) -> int:
    """Have failed messages sent again, the oldest first, at most `REQUEUED`; returns how many."""
    wanted = {"channel_config_id": channel_config_id, "code": code, "limit": REQUEUED}
    return len((await session.execute(_REQUEUE_MANY, wanted)).all())
