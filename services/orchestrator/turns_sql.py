"""The statements of a turn: claim what is due, load it, commit or give it up."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import msgspec

from packages.core.db.base import new_id
from packages.core.db.direct import Statement, Transaction
from packages.core.db.repositories import deliveries
from packages.core.domain.conversations import Owner
from packages.core.domain.messages import OutboundResponse
from packages.core.domain.tenants import BrandProfile

HISTORY = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedMessage:
    """A message as the turn sees it. `is_open` marks customer messages that no reply has taken in yet."""

    id: UUID
    seq: int
    author: str
    kind: str
    text: str | None
    payload: str | None
    is_open: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class DueTurn:
    """A claimed turn: everything the engine needs, and what must still hold when it commits."""

    tenant_id: UUID
    conversation_id: UUID
    channel_config_id: UUID
    recipient: str
    owner: str
    epoch: int
    lease_token: UUID
    attempts: int
    voided: int
    traceparent: str | None
    brand: BrandProfile
    messages: list[LoggedMessage]


# A loose index scan over the tenants that have work, the most urgent of each, then round robin: one busy tenant
# takes its turn like every other.
_CLAIM = Statement("""
WITH RECURSIVE tenants AS (
    (SELECT tenant_id FROM pending_turn ORDER BY tenant_id LIMIT 1)
    UNION ALL
    SELECT (SELECT p.tenant_id FROM pending_turn p WHERE p.tenant_id > t.tenant_id ORDER BY p.tenant_id LIMIT 1)
    FROM tenants t WHERE t.tenant_id IS NOT NULL
), candidates AS (
    SELECT due.id, due.place, due.due_at FROM tenants t CROSS JOIN LATERAL (
        SELECT p.id, p.due_at, row_number() OVER (ORDER BY p.due_at) AS place FROM pending_turn p
        WHERE p.tenant_id = t.tenant_id AND p.due_at <= now() AND (p.lease_until IS NULL OR p.lease_until < now())
        ORDER BY p.due_at LIMIT :slots
    ) due
    WHERE t.tenant_id <> ALL(CAST(:busy AS uuid[]))
    ORDER BY due.place, due.due_at LIMIT :slots
), locked AS (
    SELECT id FROM pending_turn WHERE id IN (SELECT id FROM candidates)
        AND due_at <= now() AND (lease_until IS NULL OR lease_until < now())
    FOR UPDATE SKIP LOCKED
)
UPDATE pending_turn p SET lease_token = gen_random_uuid(), attempts = attempts + 1,
    lease_until = now() + make_interval(secs => :lease)
FROM locked WHERE p.id = locked.id
RETURNING p.conversation_id, p.lease_token, p.attempts, p.voided, p.traceparent
""")

_LOAD = Statement("""
SELECT c.id, c.tenant_id, c.channel_config_id, c.recipient, c.owner, c.epoch, c.brand_id,
       b.name AS brand_name, b.locale, b.timezone, b.knowledge_version, b.settings::text,
       p.display_name, p.tone, p.instructions, p.languages, p.greeting, p.sign_off, p.fallback_message,
       p.handover_message
FROM conversation c JOIN brand b ON b.id = c.brand_id LEFT JOIN persona_profile p ON p.brand_id = b.id
WHERE c.id = ANY(:ids)
""")

_HISTORY = Statement(f"""
SELECT m.* FROM unnest(CAST(:ids AS uuid[])) AS c(id) CROSS JOIN LATERAL (
    SELECT m.conversation_id, m.id, m.seq, m.author, m.kind, m.text, m.content->>'payload' AS payload,
           m.direction = 'inbound' AND m.answered_by IS NULL AS is_open
    FROM message_log m
    WHERE m.conversation_id = c.id AND m.direction <> 'internal' AND m.status <> 'void'
    ORDER BY m.seq DESC LIMIT {HISTORY}
) m ORDER BY m.conversation_id, m.seq
""")  # noqa: S608 - the constant above


async def claim(on: Transaction, *, slots: int, lease_seconds: float, busy: Sequence[UUID]) -> list[DueTurn]:
    """Claim up to `slots` due turns, fairly across tenants, and load them: three statements however many they are.

    Args:
        busy: tenants that already have their share of this process.
    """
    claims = {
        row.conversation_id: row for row in await _CLAIM.fetch(on, slots=slots, lease=lease_seconds, busy=list(busy))
    }
    if not claims:
        return []
    ids = {"ids": list(claims)}
    histories: dict[UUID, list[LoggedMessage]] = {key: [] for key in claims}
    conversations = await _LOAD.fetch(on, **ids)
    for row in await _HISTORY.fetch(on, **ids):
        histories[row.conversation_id].append(
            LoggedMessage(
                id=row.id,
                seq=row.seq,
                author=row.author,
                kind=row.kind,
                text=row.text,
                payload=row.payload,
                is_open=row.is_open,
            )
        )
    return [_due_turn(row, claims[row.id], histories[row.id]) for row in conversations]


def _due_turn(row: Any, lease: Any, messages: list[LoggedMessage]) -> DueTurn:
    return DueTurn(
        tenant_id=row.tenant_id,
        conversation_id=row.id,
        channel_config_id=row.channel_config_id,
        recipient=row.recipient,
        owner=row.owner,
        epoch=row.epoch,
        lease_token=lease.lease_token,
        attempts=lease.attempts,
        voided=lease.voided,
        traceparent=lease.traceparent,
        brand=BrandProfile(
            id=str(row.brand_id),
            tenant_id=str(row.tenant_id),
            name=row.brand_name,
            locale=row.locale,
            timezone=row.timezone,
            knowledge_version=row.knowledge_version,
            settings=msgspec.json.decode(row.settings),
            display_name=row.display_name or row.brand_name,
            tone=row.tone or "",
            instructions=row.instructions or "",
            languages=tuple(row.languages or ()),
            greeting=row.greeting or "",
            sign_off=row.sign_off or "",
            fallback_message=row.fallback_message or "",
            handover_message=row.handover_message or "",
        ),
        messages=messages,
    )


class LostLease(Exception):
    """Another process has taken the turn over; whatever this one decided is void."""


_LOCK = Statement("""
SELECT c.epoch, c.owner, c.status, p.voided
FROM conversation c JOIN pending_turn p ON p.conversation_id = c.id
WHERE c.id = :conversation_id AND p.lease_token = :lease_token
FOR UPDATE OF c, p
""")

_VOID = Statement("""
UPDATE pending_turn SET lease_token = NULL, lease_until = NULL, voided = voided + 1, attempts = 0
WHERE conversation_id = :conversation_id
""")

_DROP = Statement("DELETE FROM pending_turn WHERE conversation_id = :conversation_id")

_FINISH = Statement("""
WITH dropped AS (
    DELETE FROM pending_turn WHERE conversation_id = :conversation_id AND :is_last
), again AS (
    UPDATE pending_turn SET lease_token = NULL, lease_until = NULL, voided = 0, attempts = 0, first_at = now()
    WHERE conversation_id = :conversation_id AND NOT :is_last
), answered AS (
    UPDATE message_log SET answered_by = :reply_id
    WHERE conversation_id = :conversation_id AND direction = 'inbound' AND answered_by IS NULL AND seq <= :up_to
    RETURNING id
), ledger AS (
    UPDATE inbound_ledger l SET state = 'answered', reason = NULL FROM answered a WHERE l.message_id = a.id
)
UPDATE conversation SET owner = 'offered', owner_reason = CAST(:reason AS text),
    offered_until = now() + make_interval(secs => :offer_seconds)
WHERE id = :conversation_id AND CAST(:reason AS text) IS NOT NULL
""")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What the engine decided: the words, what they rest on, and whether a person should take over."""

    text: str
    citations: Sequence[dict[str, Any]] = ()
    context: Sequence[dict[str, Any]] = ()
    trace: dict[str, Any] | None = None
    hand_over: str | None = None


async def commit(
    on: Transaction,
    turn: DueTurn,
    reply: Reply,
    *,
    max_voids: int,
    offer_seconds: float,
    republish_seconds: float,
) -> OutboundResponse | None:
    """Commit a reply if it is still true: same lease, same epoch, no person in charge.

    After `max_voids` voided replies a customer who keeps writing is answered all the same; the newer messages then get
    a turn of their own.

    Returns:
        The message to publish after the commit, or None where the reply was void.

    Raises:
        LostLease: another process owns the turn now.
    """
    keys = {"conversation_id": turn.conversation_id, "lease_token": turn.lease_token}
    held = await _LOCK.fetch(on, **keys)
    if not held:
        raise LostLease(f"conversation {turn.conversation_id}")
    now_held = held[0]
    if now_held.owner == Owner.HUMAN or now_held.status != "open":
        await _DROP.fetch(on, conversation_id=turn.conversation_id)
        return None
    is_last = now_held.epoch == turn.epoch
    if not is_last and now_held.voided < max_voids:
        await _VOID.fetch(on, conversation_id=turn.conversation_id)
        return None
    draft = deliveries.Draft(
        id=new_id(),
        tenant_id=turn.tenant_id,
        brand_id=UUID(turn.brand.id),
        conversation_id=turn.conversation_id,
        channel_config_id=turn.channel_config_id,
        recipient=turn.recipient,
        author="bot",
        text=reply.text,
        epoch=now_held.epoch,
        citations=reply.citations,
        context=reply.context,
        trace=reply.trace,
        traceparent=turn.traceparent,
    )
    response = await deliveries.queue(on, draft, republish_seconds=republish_seconds)
    await _FINISH.fetch(
        on,
        conversation_id=turn.conversation_id,
        is_last=is_last,
        reply_id=draft.id,
        up_to=turn.messages[-1].seq,
        reason=reply.hand_over,
        offer_seconds=offer_seconds,
    )
    return response


_RENEW = Statement("""
UPDATE pending_turn SET lease_until = now() + make_interval(secs => :lease) WHERE lease_token = ANY(:tokens)
""")


async def renew(on: Transaction, turns: Sequence[DueTurn], *, lease_seconds: float) -> None:
    """Say that these turns are still being worked on."""
    await _RENEW.fetch(on, tokens=[turn.lease_token for turn in turns], lease=lease_seconds)


async def drop(on: Transaction, turn: DueTurn) -> None:
    """End a turn that turned out to have nothing to answer, unless a message has come in since."""
    await _DROP_IDLE.fetch(on, conversation_id=turn.conversation_id, lease_token=turn.lease_token, epoch=turn.epoch)


_DROP_IDLE = Statement("""
DELETE FROM pending_turn p USING conversation c
WHERE p.conversation_id = :conversation_id AND p.lease_token = :lease_token
    AND c.id = p.conversation_id AND c.epoch = :epoch
""")

_RELEASE = Statement("""
UPDATE pending_turn SET lease_token = NULL, lease_until = NULL,
    last_error = COALESCE(CAST(:error AS text), last_error),
    due_at = now() + make_interval(secs => :delay),
    attempts = attempts - (CAST(:error AS text) IS NULL)::int
WHERE conversation_id = ANY(:ids) AND lease_token = ANY(:tokens)
""")


async def release(on: Transaction, turns: Sequence[DueTurn], *, delay: float, error: str | None = None) -> None:
    """Give turns back: due again after `delay` seconds, at once for another process when this one shuts down."""
    await _RELEASE.fetch(
        on,
        ids=[turn.conversation_id for turn in turns],
        tokens=[turn.lease_token for turn in turns],
        delay=delay,
        error=error[:500] if error else None,
    )


_EXPIRED_OFFERS = Statement("""
SELECT c.id, c.tenant_id, c.brand_id, c.channel_config_id, c.recipient, c.epoch, b.locale
FROM conversation c JOIN brand b ON b.id = c.brand_id
WHERE c.owner = 'offered' AND c.offered_until <= now()
ORDER BY c.offered_until LIMIT 100 FOR UPDATE OF c SKIP LOCKED
""")

_TAKE_BACK = Statement("""
UPDATE conversation SET owner = 'bot', owner_reason = 'nobody took the offer', offered_until = NULL, epoch = epoch + 1
WHERE id = ANY(:ids)
""")


async def take_back_expired_offers(on: Transaction) -> Sequence[Any]:
    """Conversations that waited for a person until their deadline: the bot owns them again."""
    rows = await _EXPIRED_OFFERS.fetch(on)
    if rows:
        await _TAKE_BACK.fetch(on, ids=[row.id for row in rows])
    return rows
