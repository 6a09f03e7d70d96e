"""Queries about channel configs."""

from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from packages.core.db.repository import Page, get, page
from packages.core.db.tables.brands import Brand
from packages.core.db.tables.channels import ChannelConfig
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
