"""People who write to a brand."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import Index, UniqueConstraint
from sqlmodel import Field

from packages.core.db.base import TenantRow, json_field, time_field


class Customer(TenantRow, table=True):
    """A person who writes to a brand, over one or more channels."""

    __table_args__ = (Index("ix_customer_brand_id", "brand_id"),)

    brand_id: UUID = Field(foreign_key="brand.id", ondelete="CASCADE")
    name: str | None = None
    locale: str | None = Field(default=None, max_length=20)
    attributes: dict[str, object] = json_field()
    erased_at: datetime | None = time_field(nullable=True)


class CustomerIdentity(TenantRow, table=True):
    """One of the ids under which a channel config knows a customer."""

    __tablename__ = "customer_identity"
    __table_args__ = (
        UniqueConstraint("channel_config_id", "external_id"),
        Index("ix_customer_identity_customer_id", "customer_id"),
    )

    channel_config_id: UUID = Field(foreign_key="channel_config.id", ondelete="CASCADE")
    external_id: str = Field(max_length=300)
    customer_id: UUID = Field(foreign_key="customer.id", ondelete="CASCADE")
