"""Tenants, the people who log in, and API keys."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ARRAY, CheckConstraint, Index, Text
from sqlmodel import Field

from packages.core.db.base import Row, TenantRow, json_field, time_field


class Tenant(Row, table=True):
    """A company on this installation."""

    slug: str = Field(unique=True, max_length=64)
    name: str = Field(max_length=200)
    status: str = Field(default="active", max_length=20)
    settings: dict[str, object] = json_field()


class User(Row, table=True):
    """A person who logs in. Platform admins belong to no tenant; everyone else to one.

    Raising `token_version` ends every session of the user.
    """

    __tablename__ = "user_account"
    __table_args__ = (
        CheckConstraint("(role = 'platform_admin') = (tenant_id IS NULL)", name="tenant_by_role"),
        Index("ix_user_account_tenant_id", "tenant_id"),
    )

    tenant_id: UUID | None = Field(default=None, foreign_key="tenant.id", ondelete="CASCADE")
    email: str = Field(unique=True, max_length=320)
    name: str = Field(default="", max_length=200)
    password_hash: str
    role: str = Field(max_length=20)
    is_active: bool = True
    token_version: int = 0


class APIKey(TenantRow, table=True):
    """A key for programs. Only its hash is stored."""

    __tablename__ = "api_key"
    __table_args__ = (Index("ix_api_key_tenant_id", "tenant_id"),)

    name: str = Field(max_length=200)
    token_hash: str = Field(unique=True, max_length=64)
    role: str = Field(max_length=20)
    scopes: list[str] = Field(default_factory=list, sa_type=ARRAY(Text), nullable=False)
    last_used_at: datetime | None = time_field(nullable=True)
    revoked_at: datetime | None = time_field(nullable=True)
