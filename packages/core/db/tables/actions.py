"""Actions: what a brand lets its bot do, every call of one, and the tickets that come of some."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import REAL, BigInteger, Column, Identity, Index, LargeBinary, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field

from packages.core.db.base import TenantRow, json_field, time_field


class ActionConfig(TenantRow, table=True):
    """One action as a brand has set it up; `action` names the plugin, `name` the tool that the model sees.

    `tools` is what the admin saw and agreed to: name, description, schema, risk and identity of each tool. A server
    that changes its tools later changes nothing here until an admin asks for it. `secrets` are sealed; `identity` and
    `approval` are the admin's word, None where the action's own holds. With `dry_run` calls have no effect.
    """

    __tablename__ = "action_config"
    __table_args__ = (UniqueConstraint("brand_id", "name"), Index("ix_action_config_tenant_id", "tenant_id"))

    brand_id: UUID = Field(foreign_key="brand.id", ondelete="CASCADE")
    action: str = Field(max_length=64)
    name: str = Field(max_length=48)
    description: str = Field(default="", max_length=1000)
    is_enabled: bool = True
    dry_run: bool = False
    identity: str | None = Field(default=None, max_length=12)
    approval: str | None = Field(default=None, max_length=12)
    settings: dict[str, object] = json_field()
    secrets: bytes = Field(default=b"", sa_column=Column(LargeBinary, nullable=False))
    tools: list[dict[str, object]] = json_field(list)
    updated_at: datetime = time_field()


class ActionCall(TenantRow, table=True):
    """One call of an action, asked for by a model, a rule or a person; the record of what was done and who let it.

    `status` is running, waiting (for a person), done, failed, in_doubt (nobody knows whether it happened), denied or
    expired. `idempotency_key` makes repeats of one turn find this row instead of calling again. `lease_until` tells a
    call that is under way from one whose process died.
    """

    __tablename__ = "action_call"
    __table_args__ = (
        UniqueConstraint("tenant_id", "idempotency_key"),
        Index("ix_action_call_brand_id_created_at", "brand_id", text("created_at DESC")),
        Index("ix_action_call_conversation_id", "conversation_id"),
        Index("ix_action_call_config_id", "config_id"),
        Index("ix_action_call_waiting", "brand_id", "created_at", postgresql_where=text("status = 'waiting'")),
    )

    brand_id: UUID = Field(foreign_key="brand.id", ondelete="CASCADE")
    config_id: UUID | None = Field(default=None, foreign_key="action_config.id", ondelete="SET NULL")
    conversation_id: UUID | None = Field(default=None, foreign_key="conversation.id", ondelete="CASCADE")
    action: str = Field(max_length=64)
    name: str = Field(max_length=130)
    idempotency_key: str = Field(max_length=200)
    step: int = 0
    requested_by: str = Field(default="model", max_length=12)
    dry_run: bool = False
    arguments: dict[str, object] = json_field()
    repairs: list[str] = json_field(list)
    status: str = Field(default="running", max_length=12)
    result: dict[str, object] | None = Field(default=None, sa_type=JSONB)
    error: dict[str, object] | None = Field(default=None, sa_type=JSONB)
    attempts: int = 1
    ms: float | None = Field(default=None, sa_type=REAL)
    trace_id: str | None = Field(default=None, max_length=64)
    decided_by: UUID | None = Field(default=None, foreign_key="user_account.id", ondelete="SET NULL")
    decided_at: datetime | None = time_field(nullable=True)
    decision_note: str | None = Field(default=None, max_length=500)
    expires_at: datetime | None = time_field(nullable=True)
    lease_until: datetime | None = time_field(nullable=True)
    finished_at: datetime | None = time_field(nullable=True)


class Ticket(TenantRow, table=True):
    """Something that people have to do: a request of a customer (kind ticket), or a call at `due_at` (callback).

    `call_id` is the action call that it came of, so that a repeated call opens no second one. `hook_*` is the brand's
    webhook: state pending, delivered or failed; None where the brand has none.
    """

    __table_args__ = (
        UniqueConstraint("call_id"),
        Index("ix_ticket_brand_id_created_at", "brand_id", text("created_at DESC")),
        Index("ix_ticket_conversation_id", "conversation_id"),
        Index("ix_ticket_customer_id", "customer_id"),
        Index("ix_ticket_config_id", "config_id"),
        Index("ix_ticket_hook", "hook_due_at", postgresql_where=text("hook_state = 'pending'")),
    )

    number: int | None = Field(
        default=None, sa_column=Column(BigInteger, Identity(always=True, start=1001), nullable=False, unique=True)
    )
    brand_id: UUID = Field(foreign_key="brand.id", ondelete="CASCADE")
    conversation_id: UUID | None = Field(default=None, foreign_key="conversation.id", ondelete="SET NULL")
    customer_id: UUID | None = Field(default=None, foreign_key="customer.id", ondelete="SET NULL")
    call_id: UUID | None = Field(default=None, foreign_key="action_call.id", ondelete="SET NULL")
    config_id: UUID | None = Field(default=None, foreign_key="action_config.id", ondelete="SET NULL")
    kind: str = Field(default="ticket", max_length=12)
    subject: str = Field(max_length=200)
    body: str = ""
    category: str | None = Field(default=None, max_length=64)
    priority: str = Field(default="normal", max_length=10)
    status: str = Field(default="open", max_length=10)
    contact: str | None = Field(default=None, max_length=320)
    due_at: datetime | None = time_field(nullable=True)
    updated_at: datetime = time_field()
    closed_at: datetime | None = time_field(nullable=True)
    hook_state: str | None = Field(default=None, max_length=12)
    hook_attempts: int = 0
    hook_due_at: datetime | None = time_field(nullable=True)
    hook_error: str | None = Field(default=None, max_length=300)
