"""The statements of an action call: open it once, take it over, settle it, decide on it."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

import msgspec

from packages.core.db.base import new_id
from packages.core.db.direct import Statement, Transaction
from services.orchestrator.actions import Customer

APPROVAL_HOURS = 24


@dataclass(frozen=True, slots=True, kw_only=True)
class NewCall:
    """What is recorded of a call before anything happens."""

    tenant_id: UUID
    brand_id: UUID
    config_id: UUID
    conversation_id: UUID | None
    action: str
    name: str
    key: str
    step: int
    requested_by: str
    dry_run: bool
    arguments: dict[str, Any]
    repairs: list[str]
    waits: bool
    lease_seconds: float
    trace_id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """A call that is on record. `is_new`: opened just now, by us; `is_stale`: its process died, or hangs."""

    id: UUID
    status: str
    is_new: bool = False
    is_stale: bool = False
    attempts: int = 1
    result: dict[str, Any] | None = None
    error: dict[str, Any] | None = None


_OPEN = Statement("""
INSERT INTO action_call (id, tenant_id, brand_id, config_id, conversation_id, action, name, idempotency_key, step,
                         requested_by, dry_run, arguments, repairs, status, attempts, trace_id, lease_until, expires_at,
                         created_at)
VALUES (:id, :tenant_id, :brand_id, :config_id, :conversation_id, :action, :name, :key, :step, :requested_by, :dry_run,
        CAST(:arguments AS jsonb), CAST(:repairs AS jsonb), :status, 1, :trace_id,
        now() + make_interval(secs => :lease), now() + make_interval(hours => :hours), now())
ON CONFLICT (tenant_id, idempotency_key) DO NOTHING RETURNING id
""")
_FIND = Statement("""
SELECT id, status, attempts, result::text, error::text, COALESCE(lease_until < now(), true) AS is_stale
FROM action_call WHERE idempotency_key = :key
""")
_AGAIN = Statement("""
UPDATE action_call SET status = 'running', attempts = attempts + 1, error = NULL, finished_at = NULL,
    lease_until = now() + make_interval(secs => :lease)
WHERE id = :id AND attempts = :attempts AND (status = 'failed' OR (status = 'running' AND lease_until < now()))
RETURNING id
""")
_SETTLE = Statement("""
UPDATE action_call SET status = :status, result = CAST(:result AS jsonb), error = CAST(:error AS jsonb), ms = :ms,
    finished_at = now(), lease_until = NULL
WHERE id = :id AND status = 'running'
""")
_CUSTOMER = Statement("""
SELECT c.id, c.name, c.attributes::text, v.recipient, g.channel
FROM conversation v JOIN customer c ON c.id = v.customer_id JOIN channel_config g ON g.id = v.channel_config_id
WHERE v.id = :conversation_id AND c.erased_at IS NULL
""")


async def opened(on: Transaction, call: NewCall) -> Known:
    """Record a call, unless its key is on record already: then what is known of that one."""
    status = "waiting" if call.waits else "running"
    rows = await _OPEN.fetch(
        on,
        id=new_id(),
        tenant_id=call.tenant_id,
        brand_id=call.brand_id,
        config_id=call.config_id,
        conversation_id=call.conversation_id,
        action=call.action,
        name=call.name,
        key=call.key,
        step=call.step,
        requested_by=call.requested_by,
        dry_run=call.dry_run,
        arguments=json_text(call.arguments),
        repairs=json_text(call.repairs),
        status=status,
        trace_id=call.trace_id,
        lease=call.lease_seconds,
        hours=APPROVAL_HOURS,
    )
    if rows:
        return Known(id=rows[0].id, status=status, is_new=True)
    return await known(on, call.key)


async def known(on: Transaction, key: str) -> Known:
    """What is on record under a key that is there."""
    row = (await _FIND.fetch(on, key=key))[0]
    return Known(
        id=row.id,
        status=row.status,
        is_stale=row.is_stale,
        attempts=row.attempts,
        result=msgspec.json.decode(row.result) if row.result else None,
        error=msgspec.json.decode(row.error) if row.error else None,
    )


async def taken_over(on: Transaction, call: Known, lease_seconds: float) -> bool:
    """Whether this process may run a call again that failed or whose process died; only one of several may."""
    return bool(await _AGAIN.fetch(on, id=call.id, attempts=call.attempts, lease=lease_seconds))


async def settle(
    on: Transaction,
    call_id: UUID,
    status: str,
    *,
    result: dict[str, Any] | None = None,
    error: dict[str, Any] | None = None,
    ms: float | None = None,
) -> None:
    """Record how a running call ended."""
    await _SETTLE.fetch(
        on,
        id=call_id,
        status=status,
        result=json_text(result) if result is not None else None,
        error=json_text(error) if error is not None else None,
        ms=ms,
    )


async def customer(on: Transaction, conversation_id: UUID) -> Customer:
    """Who writes in a conversation, by the record alone."""
    rows = await _CUSTOMER.fetch(on, conversation_id=conversation_id)
    if not rows:
        return Customer()
    row = rows[0]
    attributes: dict[str, Any] = msgspec.json.decode(row.attributes)
    return Customer(
        id=row.id,
        name=row.name,
        external_id=row.recipient,
        channel=row.channel,
        is_verified=attributes.get("verified") is True,
        attributes=attributes,
    )


def json_text(value: Any) -> str:
    """A value as the driver takes it for a JSONB column."""
    return msgspec.json.encode(value).decode()
