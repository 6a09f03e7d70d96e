"""Queries about channel configs."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from packages.core.db.base import now
from packages.core.db.repository import Page, get, page
from packages.core.db.tables.brands import Brand
from packages.core.db.tables.channels import ChannelConfig
from packages.core.db.tables.conversations import Conversation
from packages.core.db.tables.deliveries import Delivery
from packages.core.db.tables.ledger import InboundLedger
from packages.core.errors import NotFound
from services.orchestrator.paging import Paging


async def channel_of(session: AsyncSession, brand_id: UUID, channel_config_id: UUID) -> ChannelConfig:
    """A brand's channel config.

    Raises:
        NotFound: no such config, or it is another brand's.
    """
    config = await get(session, ChannelConfig, channel_config_id)
    if config.brand_id != brand_id:
        raise NotFound("There is no channel config with this id.")
    return config


async def channels_page(session: AsyncSession, brand_id: UUID, paging: Paging) -> Page[ChannelConfig]:
    """A brand's channel configs, newest first.

    Raises:
        NotFound: no such brand.
    """
    await get(session, Brand, brand_id)
    return await page(
        session,
        select(ChannelConfig).where(col(ChannelConfig.brand_id) == brand_id),
        newest_by=col(ChannelConfig.created_at),
        row_id=col(ChannelConfig.id),
        limit=paging.limit,
        cursor=paging.cursor,
    )


async def last_heard_at(session: AsyncSession, config: ChannelConfig) -> datetime | None:
    """When a customer last wrote through this account."""
    newest = (
        select(col(Conversation.last_customer_message_at))
        .where(
            col(Conversation.brand_id) == config.brand_id,
            col(Conversation.channel_config_id) == config.id,
            col(Conversation.last_customer_message_at).is_not(None),
        )
        .order_by(col(Conversation.last_message_at).desc())
        .limit(1)
    )
    return (await session.execute(newest)).scalar()


async def account_events(session: AsyncSession, channel_config_id: UUID) -> Sequence[Any]:
    """The latest things that the platform told of the account, its number or its templates."""
    about = (
        select(col(InboundLedger.kind), col(InboundLedger.reason), col(InboundLedger.received_at))
        .where(
            col(InboundLedger.channel_config_id) == channel_config_id,
            col(InboundLedger.kind).in_(("account", "template", "channel_error")),
            col(InboundLedger.received_at) > now() - timedelta(days=30),
        )
        .order_by(col(InboundLedger.received_at).desc())
        .limit(5)
    )
    return (await session.execute(about)).all()


async def failures(session: AsyncSession, channel_config_id: UUID) -> Sequence[Any]:
    """What was not delivered in the last day: code, an example's message, count; the most frequent first."""
    code, words = col(Delivery.error)["code"].astext, func.max(col(Delivery.error)["message"].astext)
    counted = (
        select(code.label("code"), words.label("message"), func.count().label("count"))
        .where(
            col(Delivery.channel_config_id) == channel_config_id,
            col(Delivery.state) == "failed",
            col(Delivery.created_at) > now() - timedelta(days=1),
        )
        .group_by(code)
        .order_by(func.count().desc())
        .limit(3)
    )
    return (await session.execute(counted)).all()


async def held(session: AsyncSession, channel_config_id: UUID) -> int:
    """How many messages wait for their customers to write again."""
    waiting = select(func.count()).where(
        col(Delivery.channel_config_id) == channel_config_id, col(Delivery.state) == "held"
    )
    return int((await session.execute(waiting)).scalar_one())
