"""The statements of a turn: claim what is due, load it, commit or give it up."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import msgspec

from packages.core.db.direct import Statement, Transaction
from packages.core.db.repositories import deliveries
from packages.core.domain.conversations import Owner
from packages.core.domain.messages import OutboundResponse
from packages.core.domain.tenants import BrandProfile
from services.orchestrator import seen
from services.orchestrator.seen import ReadFile

HISTORY = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedMessage:
    """A message as the turn sees it. `is_open` marks customer messages that no reply has taken in yet."""

    id: UUID
    seq: int
    author: str
    kind: str
    text: str | None
    external_id: str | None
    is_open: bool
    content: dict[str, Any] | None = None
    files: list[ReadFile] | None = None

    @property
    def seen(self) -> str:
        """The message as the model sees it in the history."""
        return seen.seen(self.kind, self.text, self.content or {}, self.files or ())

    @property
    def words(self) -> str:
        """What of it can be answered."""
        return seen.words(self.text, self.content or {}, self.files or ())


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
_CLAIM = Statement(f"""
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
), claimed AS (
    UPDATE pending_turn p SET lease_token = gen_random_uuid(), attempts = attempts + 1,
        lease_until = now() + make_interval(secs => :lease)
    FROM locked WHERE p.id = locked.id
    RETURNING p.conversation_id, p.lease_token, p.attempts, p.voided, p.traceparent
)
SELECT l.lease_token, l.attempts, l.voided, l.traceparent,
       c.id, c.tenant_id, c.channel_config_id, c.recipient, c.owner, c.epoch, c.brand_id,
       b.name AS brand_name, b.locale, b.timezone, b.knowledge_version, b.settings::text,
       p.display_name, p.tone, p.instructions, p.languages, p.greeting, p.sign_off, p.fallback_message,
       p.handover_message, history.messages::text
FROM claimed l JOIN conversation c ON c.id = l.conversation_id
JOIN brand b ON b.id = c.brand_id LEFT JOIN persona_profile p ON p.brand_id = b.id
CROSS JOIN LATERAL (
    SELECT COALESCE(json_agg(m ORDER BY m.seq), '[]') AS messages FROM (
        SELECT m.id, m.seq, m.author, m.kind, m.text, m.external_id, NULLIF(m.content, '{{}}') AS content,
               m.direction = 'inbound' AND m.answered_by IS NULL AND m.status = 'received' AS is_open,
               CASE WHEN m.content ? 'attachments' THEN (
                   SELECT json_agg(json_build_object('kind', f.kind, 'filename', f.filename,
                                                     'text', left(f.text, {seen.LONGEST_READ})) ORDER BY f.place)
                   FROM media f WHERE f.message_id = m.id
               ) END AS files
        FROM message_log m
        WHERE m.conversation_id = c.id AND m.direction <> 'internal' AND m.status <> 'void'
        ORDER BY m.seq DESC LIMIT {HISTORY}
    ) m
) history
""")  # noqa: S608 - the constant above

_decode_messages = msgspec.json.Decoder(list[LoggedMessage]).decode


async def claim(on: Transaction, *, slots: int, lease_seconds: float, busy: Sequence[UUID]) -> list[DueTurn]:
    """Claim up to `slots` due turns, fairly across tenants, and load them: one statement however many they are.

    Args:
        busy: tenants that already have their share of this process.
    """
    rows = await _CLAIM.fetch(on, slots=slots, lease=lease_seconds, busy=list(busy))
    return [_due_turn(row) for row in rows]


def _due_turn(row: Any) -> DueTurn:
    return DueTurn(
        tenant_id=row.tenant_id,
        conversation_id=row.id,
        channel_config_id=row.channel_config_id,
        recipient=row.recipient,
        owner=row.owner,
        epoch=row.epoch,
        lease_token=row.lease_token,
        attempts=row.attempts,
        voided=row.voided,
        traceparent=row.traceparent,
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
        messages=_decode_messages(row.messages),
    )


_ANSWERED = frozenset({"answer", "answer and go on"})


class LostLease(Exception):
    """Another process has taken the turn over; whatever this one decided is void."""


# All of a turn's end, or nothing, in one statement. What it decides rests on rows that it has locked, as they are then;
# what it writes joins those. The columns of the message and its delivery are those of `deliveries.queue`.
_COMMIT = Statement(f"""
WITH held AS (
    SELECT c.id, c.tenant_id, c.epoch, CASE
        WHEN c.owner = '{Owner.HUMAN}' OR c.status <> 'open' THEN 'drop'
        WHEN c.epoch = :epoch THEN 'answer'
        WHEN p.voided < :max_voids THEN 'void'
        ELSE 'answer and go on' END AS verdict
    FROM conversation c JOIN pending_turn p ON p.conversation_id = c.id
    WHERE c.id = :conversation_id AND p.lease_token = :lease_token
    FOR UPDATE OF c, p
), answering AS (
    SELECT id, tenant_id, epoch FROM held WHERE verdict IN ('answer', 'answer and go on')
), ended AS (
    DELETE FROM pending_turn p USING held h WHERE p.conversation_id = h.id AND h.verdict IN ('answer', 'drop')
), again AS (
    UPDATE pending_turn p SET lease_token = NULL, lease_until = NULL, attempts = 0,
        voided = CASE h.verdict WHEN 'void' THEN p.voided + 1 ELSE 0 END,
        first_at = CASE h.verdict WHEN 'void' THEN p.first_at ELSE now() END
    FROM held h WHERE p.conversation_id = h.id AND h.verdict IN ('void', 'answer and go on')
), message AS (
    INSERT INTO message_log (id, tenant_id, conversation_id, direction, author, kind, text, content, status,
                             citations, context, trace, sent_at, created_at)
    SELECT :reply_id, tenant_id, id, 'outbound', 'bot', 'text', :text, '{{}}', 'queued',
           CAST(:citations AS jsonb), CAST(:context AS jsonb), CAST(:trace AS jsonb), now(), now()
    FROM answering
    RETURNING seq
), queued AS (
    INSERT INTO delivery (id, tenant_id, conversation_id, channel_config_id, seq, epoch, payload, state, publishes,
                          attempts, in_doubt, next_attempt_at, created_at)
    SELECT :reply_id, a.tenant_id, a.id, :channel_config_id, m.seq, a.epoch, CAST(:payload AS jsonb),
           'published', 1, 0, 0, now() + make_interval(secs => :republish_seconds), now()
    FROM answering a, message m
), touched AS (
    UPDATE conversation c SET last_message_at = now(),
        owner = CASE WHEN CAST(:reason AS text) IS NULL THEN c.owner ELSE 'offered' END,
        owner_reason = COALESCE(CAST(:reason AS text), c.owner_reason),
        offered_until = CASE WHEN CAST(:reason AS text) IS NULL THEN c.offered_until
                             ELSE now() + make_interval(secs => :offer_seconds) END
    FROM answering a WHERE c.id = a.id
), answered AS (
    UPDATE message_log m SET answered_by = :reply_id FROM answering a
    WHERE m.conversation_id = a.id AND m.direction = 'inbound' AND m.answered_by IS NULL AND m.seq <= :up_to
    RETURNING m.id
), ledger AS (
    UPDATE inbound_ledger l SET state = 'answered', reason = NULL FROM answered a WHERE l.message_id = a.id
)
SELECT verdict FROM held
""")  # noqa: S608 - constants


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
    draft = deliveries.Draft(
        tenant_id=turn.tenant_id,
        brand_id=UUID(turn.brand.id),
        conversation_id=turn.conversation_id,
        channel_config_id=turn.channel_config_id,
        recipient=turn.recipient,
        author="bot",
        text=reply.text,
        citations=reply.citations,
        traceparent=turn.traceparent,
    )
    response = draft.response()
    held = await _COMMIT.fetch(
        on,
        conversation_id=turn.conversation_id,
        lease_token=turn.lease_token,
        epoch=turn.epoch,
        max_voids=max_voids,
        reply_id=draft.id,
        channel_config_id=turn.channel_config_id,
        text=reply.text,
        citations=_json(reply.citations),
        context=_json(reply.context),
        trace=_json(reply.trace) if reply.trace else None,
        payload=_json(response),
        republish_seconds=republish_seconds,
        up_to=turn.messages[-1].seq,
        reason=reply.hand_over,
        offer_seconds=offer_seconds,
    )
    if not held:
        raise LostLease(f"conversation {turn.conversation_id}")
    return response if held[0].verdict in _ANSWERED else None


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()


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
