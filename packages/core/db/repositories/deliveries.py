"""The life of a message to a customer, from its commit to the platform's last word.

PostgreSQL is the truth and the stream only carries (docs/adr/0003): a sender claims in the database before it sends
and settles there afterwards, and whatever is unsettled when its `next_attempt_at` comes goes onto the stream again.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from packages.core.db.base import new_id
from packages.core.db.direct import Statement, Transaction
from packages.core.domain.conversations import Owner
from packages.core.domain.messages import DeliveryStatus, OutboundResponse

UNSETTLED = "('published', 'sending', 'retry')"


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A message that is about to be committed. `epoch` is set for the bot's words alone: those can become void."""

    tenant_id: UUID
    brand_id: UUID
    conversation_id: UUID
    channel_config_id: UUID
    recipient: str
    author: str
    text: str
    id: UUID = field(default_factory=new_id)
    author_id: UUID | None = None
    epoch: int | None = None
    citations: Sequence[dict[str, Any]] = ()
    context: Sequence[dict[str, Any]] = ()
    trace: dict[str, Any] | None = None
    reply_to: str | None = None
    traceparent: str | None = None

    def response(self) -> OutboundResponse:
        """What goes onto the stream."""
        return OutboundResponse(
            message_id=str(self.id),
            tenant_id=str(self.tenant_id),
            brand_id=str(self.brand_id),
            conversation_id=str(self.conversation_id),
            channel_config_id=str(self.channel_config_id),
            recipient=self.recipient,
            author=self.author,
            text=self.text,
            citations=tuple(self.citations),
            reply_to=self.reply_to,
            traceparent=self.traceparent,
        )


_QUEUE = Statement("""
WITH message AS (
    INSERT INTO message_log (id, tenant_id, conversation_id, direction, author, author_id, kind, text, content,
                             status, citations, context, trace, sent_at, created_at)
    VALUES (:id, :tenant_id, :conversation_id, 'outbound', :author, :author_id, 'text', :text, '{}', 'queued',
            CAST(:citations AS jsonb), CAST(:context AS jsonb), CAST(:trace AS jsonb), now(), now())
    RETURNING seq
), touched AS (
    UPDATE conversation SET last_message_at = now() WHERE id = :conversation_id
)
INSERT INTO delivery (id, tenant_id, conversation_id, channel_config_id, seq, epoch, payload, state, publishes,
                      attempts, in_doubt, next_attempt_at, created_at)
SELECT :id, :tenant_id, :conversation_id, :channel_config_id, seq, CAST(:epoch AS bigint), CAST(:payload AS jsonb),
       'published', 1, 0, 0, now() + make_interval(secs => :republish_seconds), now()
FROM message
""")


async def queue(on: Transaction, draft: Draft, *, republish_seconds: float) -> OutboundResponse:
    """Log a message and put it into the outbox. After the commit, publish what this returns.

    If that publishing is lost, the sweep (`take_due`) makes up for it after `republish_seconds`.
    """
    response = draft.response()
    await _QUEUE.fetch(
        on,
        id=draft.id,
        tenant_id=draft.tenant_id,
        conversation_id=draft.conversation_id,
        channel_config_id=draft.channel_config_id,
        author=draft.author,
        author_id=draft.author_id,
        text=draft.text,
        citations=_json(draft.citations),
        context=_json(draft.context),
        trace=_json(draft.trace) if draft.trace else None,
        epoch=draft.epoch,
        payload=_json(response),
        republish_seconds=republish_seconds,
    )
    return response


_TAKE_DUE = Statement(f"""
UPDATE delivery SET
    state = 'published',
    in_doubt = in_doubt + (state = 'sending')::int,
    publishes = publishes + 1,
    next_attempt_at = now() + make_interval(secs => LEAST(300, :republish_seconds * power(2, LEAST(publishes, 6))))
WHERE id IN (
    SELECT id FROM delivery WHERE state IN {UNSETTLED} AND next_attempt_at <= now()
    ORDER BY next_attempt_at LIMIT :limit FOR UPDATE SKIP LOCKED
)
RETURNING payload::text, seq
""")  # noqa: S608 - the constant above


async def take_due(on: Transaction, *, republish_seconds: float, limit: int = 500) -> list[OutboundResponse]:
    """Messages to publish again: nobody claimed them, their retry is due, or their sender died. In their order."""
    rows = await _TAKE_DUE.fetch(on, republish_seconds=republish_seconds, limit=limit)
    return [msgspec.json.decode(row.payload, type=OutboundResponse) for row in sorted(rows, key=lambda row: row.seq)]


@dataclass(frozen=True, slots=True)
class Claimed:
    """A message that this sender alone may send now. `attempts` counts this one; `in_doubt` repeats may be doubles."""

    response: OutboundResponse
    attempts: int
    in_doubt: int


@dataclass(frozen=True, slots=True)
class Claims:
    """What became of a batch of claims. `blocked` wait for an earlier message of their conversation."""

    claimed: list[Claimed]
    voided: list[OutboundResponse]
    blocked: list[OutboundResponse]


# Waits for locks instead of skipping them: the sweep publishes before it commits, so its rows are locked just when
# their entries come off the stream.
_CLAIM = Statement(f"""
WITH wanted AS (
    SELECT d.id, d.seq, d.payload, d.conversation_id, w.hold, d.in_doubt,
           d.epoch IS NOT NULL AND (d.epoch <> c.epoch OR c.owner = '{Owner.HUMAN}') AS is_void,
           EXISTS (SELECT 1 FROM delivery e WHERE e.conversation_id = d.conversation_id AND e.seq < d.seq
                   AND e.state IN {UNSETTLED}) AS is_blocked
    FROM unnest(CAST(:ids AS uuid[]), CAST(:holds AS float8[])) AS w(id, hold)
    JOIN delivery d ON d.id = w.id JOIN conversation c ON c.id = d.conversation_id
    WHERE d.state = 'published'
    ORDER BY d.seq
    FOR UPDATE OF d
), firsts AS (
    SELECT DISTINCT ON (conversation_id) id, hold FROM wanted WHERE NOT is_void AND NOT is_blocked
    ORDER BY conversation_id, seq
), claimed AS (
    UPDATE delivery d SET state = 'sending', claim_token = :token, attempts = attempts + 1,
           next_attempt_at = now() + make_interval(secs => f.hold)
    FROM firsts f WHERE d.id = f.id
    RETURNING d.id, d.attempts
)
SELECT w.id, w.payload::text, w.is_void, w.in_doubt, c.attempts
FROM wanted w LEFT JOIN claimed c ON c.id = w.id ORDER BY w.seq
""")  # noqa: S608 - constants


async def claim(on: Transaction, holds: Mapping[UUID, float], token: UUID) -> Claims:
    """Decide, for each message, whether it may be sent now, and by whom.

    Args:
        holds: messages as they came off the stream, and the seconds after which a claim that was not settled counts
            as in doubt; those already settled or claimed are silently left out.
        token: names the claiming process.
    """
    claims = Claims([], [], [])
    for row in await _CLAIM.fetch(on, ids=list(holds), holds=list(holds.values()), token=token):
        response = msgspec.json.decode(row.payload, type=OutboundResponse)
        if row.is_void:
            claims.voided.append(response)
        elif row.attempts is None:
            claims.blocked.append(response)
        else:
            claims.claimed.append(Claimed(response, row.attempts, row.in_doubt))
    if claims.voided:
        await _VOID.fetch(on, ids=[UUID(response.message_id) for response in claims.voided])
    return claims


# Takes replies back that a newer message or a person overtook; what they answered waits for a turn again.
_VOID = Statement(f"""
WITH voided AS (
    UPDATE delivery SET state = 'void', settled_at = now() WHERE id = ANY(:ids) AND state = 'published'
    RETURNING id, tenant_id, conversation_id
), logged AS (
    UPDATE message_log m SET status = '{DeliveryStatus.VOID}' FROM voided v WHERE m.id = v.id
), unanswered AS (
    UPDATE message_log m SET answered_by = NULL FROM voided v WHERE m.answered_by = v.id RETURNING m.id
), reopened AS (
    UPDATE inbound_ledger l SET state = 'received' FROM unanswered u WHERE l.message_id = u.id
)
INSERT INTO pending_turn (id, tenant_id, conversation_id, due_at, first_at, attempts, voided, created_at)
SELECT gen_random_uuid(), v.tenant_id, v.conversation_id, now(), now(), 0, 1, now()
FROM (SELECT DISTINCT tenant_id, conversation_id FROM voided) v JOIN conversation c ON c.id = v.conversation_id
WHERE c.owner <> '{Owner.HUMAN}'
ON CONFLICT (conversation_id) DO NOTHING
""")  # noqa: S608 - constants


@dataclass(frozen=True, slots=True, kw_only=True)
class Settlement:
    """How a claimed send ended. `delay` is in seconds until the next attempt of a retry or an in-doubt send."""

    message_id: str
    state: str
    external_id: str | None = None
    error: dict[str, Any] | None = None
    delay: float = 0.0


_SETTLE = Statement("""
WITH r AS (
    SELECT * FROM jsonb_to_recordset(CAST(:rows AS jsonb))
        AS r(message_id uuid, state text, external_id text, error jsonb, delay float8)
), settled AS (
    UPDATE delivery d SET
        state = r.state,
        external_id = COALESCE(r.external_id, d.external_id),
        error = r.error,
        next_attempt_at = now() + make_interval(secs => r.delay),
        settled_at = CASE WHEN r.state IN ('sent', 'failed') THEN now() END
    FROM r WHERE d.id = r.message_id AND d.claim_token = :token AND d.state IN ('sending', 'published')
    RETURNING d.id, d.state, d.external_id, d.error
)
UPDATE message_log m SET
    status = CASE WHEN s.state IN ('sent', 'failed') AND m.status = 'queued' THEN s.state ELSE m.status END,
    external_id = COALESCE(s.external_id, m.external_id),
    error = s.error
FROM settled s WHERE m.id = s.id
RETURNING m.id
""")


async def settle(on: Transaction, token: UUID, settlements: Sequence[Settlement]) -> set[str]:
    """Record how sends ended; returns the ids that were still this process's to settle."""
    rows = await _SETTLE.fetch(on, token=token, rows=_json(settlements))
    return {str(row.id) for row in rows}


_RELEASE_HELD = Statement("""
UPDATE delivery SET state = 'retry', next_attempt_at = now() WHERE conversation_id = ANY(:ids) AND state = 'held'
""")


async def release_held(on: Transaction, conversation_ids: Sequence[UUID]) -> None:
    """The customers wrote again: what waited for that may go now. The sweep publishes it, in its order."""
    await _RELEASE_HELD.fetch(on, ids=list(conversation_ids))


@dataclass(frozen=True, slots=True, kw_only=True)
class PlatformStatus:
    """A status as the platform reported it, for the message it names by our id or by its own."""

    channel_config_id: str
    external_id: str
    status: DeliveryStatus
    message_id: str | None = None
    covers_earlier: bool = False
    at: datetime | None = None
    error: dict[str, Any] | None = None


_APPLY_STATUSES = Statement(f"""
WITH r AS (
    SELECT * FROM jsonb_to_recordset(CAST(:rows AS jsonb))
        AS r(channel_config_id uuid, external_id text, status text, message_id uuid, error jsonb)
), found AS (
    SELECT d.id, r.* FROM r JOIN delivery d ON d.id = r.message_id AND d.channel_config_id = r.channel_config_id
    UNION ALL
    SELECT d.id, r.* FROM r JOIN delivery d
        ON d.channel_config_id = r.channel_config_id AND d.external_id = r.external_id
    WHERE r.message_id IS NULL
), settled AS (
    UPDATE delivery d SET
        state = CASE WHEN f.status = 'failed' THEN 'failed' WHEN d.state IN {UNSETTLED} THEN 'sent' ELSE d.state END,
        external_id = COALESCE(d.external_id, f.external_id),
        error = CASE WHEN f.status = 'failed' THEN f.error ELSE d.error END,
        settled_at = COALESCE(d.settled_at, now())
    FROM found f WHERE d.id = f.id AND (d.state IN {UNSETTLED} OR f.status = 'failed')
), logged AS (
    UPDATE message_log m SET
        status = f.status,
        external_id = COALESCE(m.external_id, f.external_id),
        error = CASE WHEN f.status = 'failed' THEN f.error ELSE NULL END
    FROM found f
    WHERE m.id = f.id AND array_position(CAST(:ranks AS text[]), m.status::text)
                        < array_position(CAST(:ranks AS text[]), f.status)
)
SELECT channel_config_id, external_id, id FROM found
""")  # noqa: S608 - constants

_RANKED = [str(status) for status in sorted(DeliveryStatus, key=lambda status: status.rank)]


async def apply_statuses(on: Transaction, statuses: Sequence[PlatformStatus]) -> dict[tuple[str, str], UUID]:
    """Raise messages to what the platforms say of them; never lower one. Settles sends that were in doubt.

    Args:
        statuses: at most one per message, its highest.

    Returns:
        The message ids found, by channel config id and the platform's message id.
    """
    rows = await _APPLY_STATUSES.fetch(on, rows=_json(statuses), ranks=_RANKED)
    return {(str(row.channel_config_id), row.external_id): row.id for row in rows}


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()
