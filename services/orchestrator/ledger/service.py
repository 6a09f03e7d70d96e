"""Replay: an item of the ledger is taken in once more, exactly once."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

import asyncpg
import msgspec
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession

from packages.core.config import TurnSettings
from packages.core.db.tables.ledger import InboundLedger
from packages.core.domain.conversations import ConversationStatus, Owner
from packages.core.domain.messages import InboundEvent
from packages.core.errors import Conflict
from packages.core.http import is_away
from services.orchestrator import intake_sql
from services.orchestrator.conversations import repository as conversations
from services.orchestrator.ledger import repository
from services.orchestrator.ledger.schemas import Replayed


@dataclass(slots=True)
class Outcome:
    """What a replay led to, and the live events to announce after the commit."""

    replayed: Replayed
    live: list[tuple[str, dict[str, Any]]]


async def replay(session: AsyncSession, ledger_id: UUID, settings: TurnSettings) -> Outcome:
    """Take an item in again: one that never became a message as if it came now, one that waits for an answer as due.

    Raises:
        NotFound: no such item.
        Conflict: it was answered, is with a person, or still cannot be taken in.
    """
    row = await repository.locked(session, ledger_id)
    if row.state == "answered":
        raise Conflict("This item was answered; there is nothing to do again.")
    if row.message_id is not None:
        return Outcome(await _due_again(session, row, row.message_id), [])
    return await _taken_anew(session, row, settings)


async def _due_again(session: AsyncSession, row: InboundLedger, message_id: UUID) -> Replayed:
    message, conversation = await repository.message_and_conversation(session, message_id)
    if message is None or conversation is None:
        raise Conflict("The message of this item was erased.")
    if conversation.status != ConversationStatus.OPEN or conversation.owner == Owner.HUMAN:
        raise Conflict("A person has this conversation, or it is resolved; the bot does not answer there.")
    message.answered_by = None
    row.state, row.reason = "received", None
    await session.flush()
    await conversations.make_due(session, conversation.id)
    return Replayed(id=row.id, state=row.state, reason=None, message_id=message_id, conversation_id=conversation.id)


async def _taken_anew(session: AsyncSession, row: InboundLedger, settings: TurnSettings) -> Outcome:
    try:
        event = msgspec.convert(row.event, InboundEvent)
    except msgspec.ValidationError as error:
        raise Conflict(f"What the ledger holds of this item cannot be read: {error}") from error
    if event.ignored:
        raise Conflict(f"This item needs no action: {event.ignored}")
    await session.delete(row)
    await session.flush()
    try:
        stored = await intake_sql.store(session, [event], settings)
    except intake_sql.UnknownAccount as error:
        raise Conflict(f"This item still cannot be taken in: {error}") from error
    except (DBAPIError, asyncpg.PostgresError) as error:
        if is_away(error):
            raise
        raise Conflict(f"This item still cannot be taken in: {error}") from error
    item = stored.taken[0]
    replayed = Replayed(
        id=item.ledger_id,
        state=item.state,
        reason=item.reason,
        message_id=item.message_id,
        conversation_id=item.conversation_id,
    )
    return Outcome(replayed, stored.live)
