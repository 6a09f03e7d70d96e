"""A person decides on a call that waits: it runs now, as it was asked for, or never."""

from datetime import timedelta
from uuid import UUID

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from packages.core.db.base import now
from packages.core.db.repository import get
from packages.core.db.session import Database
from packages.core.db.tables.actions import ActionCall, ActionConfig
from packages.core.db.tables.conversations import MessageLog
from packages.core.errors import Conflict
from services.orchestrator.acting import calls
from services.orchestrator.acting.runner import Actions, TurnContext
from services.orchestrator.actions import Customer, Identity
from services.orchestrator.auth.permissions import Principal
from services.orchestrator.brands import service as brands

APPROVED_SECONDS = 15.0
_EXPIRE = text("UPDATE action_call SET status = 'expired', finished_at = now() "
               "WHERE status = 'waiting' AND expires_at <= now()")  # fmt: skip


async def expire(session: AsyncSession) -> None:
    """Nobody decided in time: say so."""
    await session.execute(_EXPIRE)


async def deny(session: AsyncSession, principal: Principal, call_id: UUID, note: str) -> ActionCall:
    """The call never happens.

    Raises:
        NotFound: no such call. Conflict: it does not wait for a person.
    """
    call = await _decided(session, principal, call_id, note)
    call.status, call.finished_at = "denied", now()
    _note(session, call, f"{principal.identity.name} did not allow the action {call.name}.", note)
    await session.flush()
    return call


async def approve(database: Database, actions: Actions, principal: Principal, call_id: UUID, note: str) -> ActionCall:
    """The call happens now.

    The arguments are those that the person has seen; the customer's identity and the brand's settings are those of now.

    Raises:
        NotFound: no such call. Conflict: it does not wait for a person, or its action is not there any more.
    """
    async with database.tenant(principal.tenant_id) as session:
        call = await _decided(session, principal, call_id, note)
        config = await session.get(ActionConfig, call.config_id) if call.config_id else None
        brand = await brands.profile(session, call.brand_id)
        if config is None or not config.is_enabled:
            raise Conflict("The action was removed or switched off; it cannot be done any more.")
        configured = actions.configs.ready(config)
        tool = next((one for one in configured.tools if one.name == call.name), None)
        if tool is None:
            raise Conflict("The action has no such tool any more.")
        customer = await calls.customer(session, call.conversation_id) if call.conversation_id else Customer()
        if tool.identity is Identity.VERIFIED and not customer.is_verified:
            raise Conflict("This is only for customers whose identity was verified; this one's is not any more.")
        call.status, call.lease_until = "running", now() + timedelta(seconds=APPROVED_SECONDS + 2)
    context = TurnContext(
        tenant_id=call.tenant_id,
        brand=brand,
        conversation_id=call.conversation_id,
        requested_by="agent",
        seconds=APPROVED_SECONDS,
    )
    ran = await actions.execute(
        call.id,
        dict(call.arguments),
        actions.context(configured, tool, customer, context, call.id),
        configured,
        is_dry=call.dry_run,
    )
    async with database.tenant(principal.tenant_id) as session:
        call = await get(session, ActionCall, call_id)
        outcome = "It is done." if ran.result.ok else f"It failed: {ran.result.error}"
        _note(session, call, f"{principal.identity.name} allowed the action {call.name}. {outcome}", note)
    return call


async def _decided(session: AsyncSession, principal: Principal, call_id: UUID, note: str) -> ActionCall:
    """The waiting call, locked, with who decided; two people who decide at once come one after the other."""
    await get(session, ActionCall, call_id)
    locked = (
        select(ActionCall)
        .where(col(ActionCall.id) == call_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    call = (await session.scalars(locked)).one()
    if call.status != "waiting" or (call.expires_at is not None and call.expires_at <= now()):
        raise Conflict("This call does not wait for a decision, or not any more.")
    call.decided_by, call.decided_at, call.decision_note = principal.user_id, now(), note or None
    return call


def _note(session: AsyncSession, call: ActionCall, words: str, reason: str) -> None:
    """What happened, where the agents of the conversation see it; customers never do."""
    if call.conversation_id is None:
        return
    session.add(
        MessageLog(
            tenant_id=call.tenant_id,
            conversation_id=call.conversation_id,
            direction="internal",
            author="system",
            kind="text",
            text=f"{words} {reason}".strip()[:2000],
            content={"action_call_id": str(call.id)},
            status="received",
        )
    )
