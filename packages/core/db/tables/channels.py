"""A brand's accounts on channels."""

from uuid import UUID

from sqlalchemy import Index, text
from sqlmodel import Field

from packages.core.db.base import TenantRow, json_field


class ChannelConfig(TenantRow, table=True):
    """A brand's account on a channel. `account_id` is the platform's id of it, by which webhook items are routed."""

    __tablename__ = "channel_config"
    __table_args__ = (
        Index(
            "uq_channel_config_channel_account_id",
            "channel",
            "account_id",
            unique=True,
            postgresql_where=text("account_id IS NOT NULL"),
        ),
        Index("ix_channel_config_brand_id", "brand_id"),
    )

    brand_id: UUID = Field(foreign_key="brand.id", ondelete="CASCADE")
    channel: str = Field(max_length=32)
    name: str = Field(max_length=200)
    account_id: str | None = Field(default=None, max_length=200)
    credentials: bytes = Field(repr=False)
    settings: dict[str, object] = json_field()
    status: str = Field(default="active", max_length=20)
    status_reason: str | None = None
