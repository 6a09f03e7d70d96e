"""Channel configs, for the services that serve every tenant. Each function wants a session across tenants."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import ColumnElement, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from packages.core.db.tables.channels import ChannelConfig


async def all_channel_configs(session: AsyncSession) -> Sequence[ChannelConfig]:
    """Every channel config of every tenant, disabled ones too."""
    return (await session.scalars(select(ChannelConfig))).all()


async def channel_config_by_id(session: AsyncSession, config_id: UUID) -> ChannelConfig | None:
    """One channel config, whoever it belongs to."""
    return await session.get(ChannelConfig, config_id)


async def channel_config_by_account(session: AsyncSession, channel: str, account_id: str) -> ChannelConfig | None:
    """The one channel config of a platform account."""
    matches: tuple[ColumnElement[bool], ...] = (
        col(ChannelConfig.channel) == channel,
        col(ChannelConfig.account_id) == account_id,
    )
    return (await session.scalars(select(ChannelConfig).where(*matches))).first()
