"""The life of a message to a customer, from its commit to the platform's last word.

PostgreSQL is the truth and the stream only carries (docs/adr/0003): a sender claims in the database before it sends
and settles there afterwards, and whatever is unsettled when its `next_attempt_at` comes goes onto the stream again.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from packages.core.db.base import new_id
from packages.core.db.direct import Statement, Transaction
from packages.core.db.repositories.delivery_statuses import UNSETTLED, apply_early
from packages.core.domain.conversations import Owner
from packages.core.domain.messages import Attachment, Button, DeliveryStatus, OutboundResponse, Reaction, Template


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A message that is about to be committed. `epoch` is set for the bot's words alone: those can become void."""

    tenant_id: UUID
    brand_id: UUID
    conversation_id: UUID
    channel_config_id: UUID
    recipient: str
    author: str
    text: str = ""
    attachments: Sequence[Attachment] = ()
    buttons: Sequence[Button] = ()
    template: Template | None = None
    reaction: Reaction | None = None
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
            attachments=tuple(self.attachments),
            buttons=tuple(self.buttons),
            template=self.template,
            reaction=self.reaction,
            citations=tuple(self.citations),
            reply_to=self.reply_to,
            traceparent=self.traceparent,
        )

    @property
    def kind(self) -> str:
        """What the message is in the log: text, template, reaction, or its first file's kind."""
        if self.template:
            return "template"
        if self.reaction:
            return "reaction"
        return self.attachments[0].kind if self.attachments else "text"

    def content(self) -> dict[str, Any]:
        """What the log keeps beside the text."""
        kept = {"attachments": self.attachments, "buttons": self.buttons}
        single = {"template": self.template, "reaction": self.reaction, "reply_to": self.reply_to}
        return {name: value for name, value in (kept | single).items() if value}


_QUEUE = Statement("""
WITH message AS (
    INSERT INTO message_log (id, tenant_id, conversation_id, direction, author, author_id, kind, text, content,
                             status, citations, context, trace, sent_at, created_at)
    VALUES (:id, :tenant_id, :conversation_id, 'outbound', :author, :author_id, :kind, :text,
            CAST(:content AS jsonb), 'queued', CAST(:citations AS jsonb), CAST(:context AS jsonb),
            CAST(:trace AS jsonb), now(), now())
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
        kind=draft.kind,
        text=draft.text or None,
        content=_json(content) if (content := draft.content()) else "{}",
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Claimed:
    """A message that this sender alone may send now, to where the conversation is now.

    `attempts` counts this one; a repeat `in_doubt` may be a double. The platform has `parts_sent` of its parts.
    `heard_at` is when the customer last wrote; with `window_closed` the platform said that it was too long ago.
    """

    response: OutboundResponse
    attempts: int
    in_doubt: int
    parts_sent: int = 0
    heard_at: datetime | None = None
    window_closed: bool = False
    created_at: datetime


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
    SELECT d.id, d.seq, d.payload, d.conversation_id, d.in_doubt, d.parts_sent, d.created_at, w.hold,
           c.recipient, c.last_customer_message_at,
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
SELECT w.id, w.payload::text, w.is_void, w.in_doubt, w.parts_sent, w.created_at, w.recipient,
       w.last_customer_message_at, c.attempts
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
            claims.claimed.append(_claimed(row, response))
    if claims.voided:
        await _VOID.fetch(on, ids=[UUID(response.message_id) for response in claims.voided])
    return claims


def _claimed(row: Any, response: OutboundResponse) -> Claimed:
    return Claimed(
        response=response if response.recipient == row.recipient else replace(response, recipient=row.recipient),
        attempts=row.attempts,
        in_doubt=row.in_doubt,
        parts_sent=row.parts_sent,
        heard_at=row.last_customer_message_at,
        window_closed=_WINDOW_CLOSED in row.payload,
        created_at=row.created_at,
    )


_WINDOW_CLOSED = '"window_closed": true'
"""As PostgreSQL writes what `apply_statuses` notes in a payload; quotes inside a text are escaped, so it is no text."""


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
    """How a claimed send ended: sent, failed, held, retry, or sending (nobody knows).

    `delay` is in seconds until the next attempt of a retry or an in-doubt send; one that is not `counted` was not an
    attempt. The platform has `parts_sent` of the message's parts: the first as `external_id`, later ones as in
    `part_ids` (number, the platform's id).
    """

    message_id: str
    state: str
    external_id: str | None = None
    parts_sent: int = 0
    part_ids: Sequence[tuple[int, str]] = ()
    error: dict[str, Any] | None = None
    delay: float = 0.0
    counted: bool = True


_SETTLE = Statement("""
WITH r AS (
    SELECT * FROM jsonb_to_recordset(CAST(:rows AS jsonb))
        AS r(message_id uuid, state text, external_id text, parts_sent int, error jsonb, delay float8, counted bool)
), settled AS (
    UPDATE delivery d SET
        state = r.state,
        external_id = COALESCE(r.external_id, d.external_id),
        parts_sent = GREATEST(d.parts_sent, r.parts_sent),
        attempts = d.attempts - (NOT r.counted)::int,
        error = r.error,
        next_attempt_at = now() + make_interval(secs => r.delay),
        settled_at = CASE WHEN r.state IN ('sent', 'failed') THEN now() END
    FROM r WHERE d.id = r.message_id AND d.claim_token = :token AND d.state IN ('sending', 'published')
    RETURNING d.id, d.channel_config_id, d.state, d.external_id, d.error
)
UPDATE message_log m SET
    status = CASE WHEN s.state IN ('sent', 'failed', 'held') AND m.status = 'queued' THEN s.state ELSE m.status END,
    external_id = COALESCE(s.external_id, m.external_id),
    error = s.error
FROM settled s WHERE m.id = s.id
RETURNING m.id, EXISTS (
    SELECT 1 FROM early_status e WHERE e.channel_config_id = s.channel_config_id AND e.external_id = s.external_id
) AS is_reported
""")


async def settle(on: Transaction, token: UUID, settlements: Sequence[Settlement]) -> set[str]:
    """Record how sends ended; returns the ids that were still this process's to settle.

    What the platform had said of them before is applied as well.
    """
    if with_parts := [row for settlement in settlements for row in _part_rows(settlement)]:
        await _KEEP_PARTS.fetch(on, rows=_json(with_parts), token=token)
    rows = await _SETTLE.fetch(on, token=token, rows=_json(settlements))
    if with_parts or any(row.is_reported for row in rows):
        await apply_early(on)
    return {str(row.id) for row in rows}


_KEEP_PARTS = Statement("""
INSERT INTO delivery_part (id, tenant_id, delivery_id, channel_config_id, number, external_id, created_at)
SELECT gen_random_uuid(), d.tenant_id, d.id, d.channel_config_id, r.number, r.external_id, now()
FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS r(message_id uuid, number int, external_id text)
JOIN delivery d ON d.id = r.message_id AND d.claim_token = :token
ON CONFLICT (channel_config_id, external_id) DO NOTHING
""")

_PROGRESS = Statement("""
WITH going AS (
    UPDATE delivery SET parts_sent = GREATEST(parts_sent, :parts_sent),
        external_id = COALESCE(CAST(:external_id AS text), external_id),
        payload = jsonb_set(payload, '{parts}', to_jsonb(CAST(:parts AS int))),
        next_attempt_at = now() + make_interval(secs => :hold)
    WHERE id = :message_id AND claim_token = :token AND state = 'sending'
    RETURNING id, external_id
)
UPDATE message_log m SET external_id = g.external_id FROM going g
WHERE m.id = g.id AND m.external_id IS DISTINCT FROM g.external_id
RETURNING m.id
""")


async def progress(on: Transaction, token: UUID, settlement: Settlement, *, parts: int, hold: float) -> None:
    """Note, before the next of several parts is sent, how far a message has come; a repeat then resumes there.

    Args:
        parts: how many the message has, so that a status of one is not taken for one of all.
        hold: seconds for which the claim is held from now on.
    """
    if rows := _part_rows(settlement):
        await _KEEP_PARTS.fetch(on, rows=_json(rows), token=token)
    await _PROGRESS.fetch(
        on,
        message_id=UUID(settlement.message_id),
        token=token,
        parts=parts,
        parts_sent=settlement.parts_sent,
        external_id=settlement.external_id,
        hold=hold,
    )


def _part_rows(settlement: Settlement) -> list[dict[str, Any]]:
    return [
        {"message_id": settlement.message_id, "number": number, "external_id": external_id}
        for number, external_id in settlement.part_ids
    ]


# Where the new address has an open conversation already, that one goes on and this one keeps its old address.
_MOVE = Statement("""
UPDATE conversation c SET recipient = :recipient
WHERE c.id = :id AND NOT EXISTS (SELECT 1 FROM conversation o WHERE o.channel_config_id = c.channel_config_id
                                 AND o.recipient = :recipient AND o.status = 'open')
""")


async def move(on: Transaction, conversation_id: UUID, recipient: str) -> None:
    """The conversation has a new address, to which all further messages go."""
    await _MOVE.fetch(on, id=conversation_id, recipient=recipient)


_IS_ANOTHERS = Statement("""
SELECT EXISTS (SELECT 1 FROM delivery WHERE channel_config_id = :account AND external_id = :external_id
               AND id <> :message_id)
    OR EXISTS (SELECT 1 FROM delivery_part WHERE channel_config_id = :account AND external_id = :external_id
               AND delivery_id <> :message_id) AS taken
""")


async def is_anothers(on: Transaction, message_id: UUID, account: UUID, external_id: str) -> bool:
    """Whether the platform's id is known as that of another message: two messages may say the same."""
    rows = await _IS_ANOTHERS.fetch(on, message_id=message_id, account=account, external_id=external_id)
    return bool(rows[0].taken)


_RELEASE_HELD = Statement("""
WITH released AS (
    UPDATE delivery SET state = 'retry', attempts = 0, next_attempt_at = now(), error = NULL,
        payload = payload - 'window_closed'
    WHERE conversation_id = ANY(:ids) AND state = 'held'
    RETURNING id
)
UPDATE message_log m SET status = 'queued', error = NULL FROM released r WHERE m.id = r.id
""")


async def release_held(on: Transaction, conversation_ids: Sequence[UUID]) -> None:
    """The customers wrote again: what waited for that may go now. The sweep publishes it, in its order."""
    await _RELEASE_HELD.fetch(on, ids=list(conversation_ids))


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()
