"""Channel configs, for the services that serve every tenant. Each function wants a session across tenants."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import ColumnElement, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from packages.core.db.direct import Statement, Transaction
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


_OUT_OF_ORDER = Statement("""
UPDATE channel_config SET status = 'needs_attention', status_reason = :reason
WHERE id = :id AND status IN ('active', 'needs_attention') AND (status, COALESCE(status_reason, '')) <>
    ('needs_attention', CAST(:reason AS text))
RETURNING id
""")

_IN_ORDER = Statement("""
UPDATE channel_config SET status = 'active', status_reason = NULL WHERE id = :id AND status = 'needs_attention'
RETURNING id
""")


async def set_attention(on: Transaction, config_id: UUID, reason: str | None) -> bool:
    """Say why an account is out of order, or (None) that it works again; returns whether that is news.

    What an admin has switched off stays off.
    """
    if reason is None:
        return bool(await _IN_ORDER.fetch(on, id=config_id))
    return bool(await _OUT_OF_ORDER.fetch(on, id=config_id, reason=reason))
