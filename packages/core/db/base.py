"""What every table shares: time-ordered ids, the tenant, timestamps, JSON columns."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import uuid_utils.compat as uuid_utils
from sqlalchemy import DateTime
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}
SQLModel.metadata.naming_convention = NAMING


def new_id() -> UUID:
    """A UUIDv7 (RFC 9562): sortable by time, and in order within one process."""
    return uuid_utils.uuid7()


def now() -> datetime:
    """The present, with its time zone."""
    return datetime.now(UTC)


def json_field(default_factory: type[dict[str, Any]] | type[list[Any]] = dict) -> Any:
    """A JSONB column that is never null."""
    return Field(default_factory=default_factory, sa_type=JSONB, nullable=False)


def time_field(*, nullable: bool = False, index: bool = False) -> Any:
    """A timestamptz column; set to the present unless it may be null."""
    if nullable:
        return Field(default=None, sa_type=DateTime(timezone=True), nullable=True, index=index)
    return Field(default_factory=now, sa_type=DateTime(timezone=True), nullable=False, index=index)


class Row(SQLModel):
    """A table row with an id and its time of creation."""

    id: UUID = Field(default_factory=new_id, primary_key=True)
    created_at: datetime = time_field()


class TenantRow(Row):
    """A row that belongs to one tenant; row-level security hides it from every other."""

    tenant_id: UUID = Field(foreign_key="tenant.id", ondelete="CASCADE", nullable=False)
