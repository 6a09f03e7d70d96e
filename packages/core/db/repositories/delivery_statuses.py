"""What platforms say of messages after sending: sent, delivered, read, failed, or refused because of the window.

Statuses come late, early, doubled and in any order. They find their message by our own id, or by the platform's id of
any of its parts; those that come before the send is settled are kept for a day.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from packages.core.db.direct import Statement, Transaction
from packages.core.domain.messages import DeliveryStatus

UNSETTLED = "('published', 'sending', 'retry')"
_RANKED = [str(status) for status in sorted(DeliveryStatus, key=lambda status: status.rank)]
_WEIGHTS = [DeliveryStatus(status).rank for status in _RANKED]
_EARLY_BATCH = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class PlatformStatus:
    """A status as the platform reported it, for the message it names by our id or by its own.

    With our id, `part` says which of the message's parts it is about. With `covers_earlier` all earlier messages of the
    conversation have come as far.
    """

    channel_config_id: str
    external_id: str
    status: DeliveryStatus
    message_id: str | None = None
    part: int = 0
    covers_earlier: bool = False
    at: datetime | None = None
    error: dict[str, Any] | None = None


def highest(statuses: Iterable[PlatformStatus]) -> list[PlatformStatus]:
    """The one that counts of each message id of the platform's: a refusal outweighs the acceptance before it."""
    found: dict[tuple[str, str], PlatformStatus] = {}
    for status in statuses:
        key = (status.channel_config_id, status.external_id)
        if key not in found or _weight(status.status) > _weight(found[key].status):
            found[key] = status
    return list(found.values())


def _weight(status: DeliveryStatus) -> int:
    """A held message may be sent again, so it ranks low; as news of one that was sent, it ranks like a failure."""
    return (DeliveryStatus.FAILED if status is DeliveryStatus.HELD else status).rank


# `parts` and `window_closed` are the sender's notes in the payload: how many parts there are (one, if it says nothing),
# and that a repeat may not go as it is. A message is settled once the platform has all parts of it.
_APPLY = Statement(f"""
WITH r AS (
    SELECT * FROM jsonb_to_recordset(CAST(:rows AS jsonb))
        AS r(channel_config_id uuid, external_id text, status text, message_id uuid, part int, error jsonb, weight int)
), found AS (
    SELECT d.id, r.part AS number, r.* FROM r
        JOIN delivery d ON d.id = r.message_id AND d.channel_config_id = r.channel_config_id
    UNION ALL
    SELECT d.id, 0, r.* FROM r JOIN delivery d
        ON d.channel_config_id = r.channel_config_id AND d.external_id = r.external_id
    WHERE r.message_id IS NULL
    UNION ALL
    SELECT p.delivery_id, p.number, r.* FROM r JOIN delivery_part p
        ON p.channel_config_id = r.channel_config_id AND p.external_id = r.external_id
    WHERE r.message_id IS NULL
), best AS (
    SELECT DISTINCT ON (f.id) f.id, f.number, f.status, f.external_id, f.error, f.weight, m.status AS known,
           f.status = 'held' AND c.settings ? 'template_fallback' AND NOT d.payload ? 'window_closed' AS by_template
    FROM found f JOIN message_log m ON m.id = f.id JOIN delivery d ON d.id = f.id
    JOIN channel_config c ON c.id = f.channel_config_id
    ORDER BY f.id, f.weight DESC, f.number DESC
), settled AS (
    UPDATE delivery d SET
        state = CASE WHEN f.status = 'failed' THEN 'failed' WHEN f.by_template THEN 'retry'
            WHEN f.status = 'held' THEN 'held'
            WHEN GREATEST(d.parts_sent, f.number + 1) >= COALESCE(CAST(d.payload->>'parts' AS int), 1) THEN 'sent'
            ELSE d.state END,
        parts_sent = CASE WHEN f.status IN ('failed', 'held') THEN LEAST(d.parts_sent, f.number)
            ELSE GREATEST(d.parts_sent, f.number + 1) END,
        payload = CASE WHEN f.status = 'held' THEN d.payload || '{{"window_closed": true}}' ELSE d.payload END,
        external_id = CASE WHEN f.number = 0 THEN COALESCE(d.external_id, f.external_id) ELSE d.external_id END,
        error = f.error,
        next_attempt_at = CASE WHEN f.by_template THEN now() ELSE d.next_attempt_at END,
        settled_at = CASE WHEN f.status = 'held' THEN NULL
            WHEN f.status = 'failed' OR GREATEST(d.parts_sent, f.number + 1)
                >= COALESCE(CAST(d.payload->>'parts' AS int), 1) THEN COALESCE(d.settled_at, now()) END
    FROM best f WHERE d.id = f.id AND d.state <> 'void' AND CASE
        WHEN f.status = 'failed' THEN f.known IN ('queued', 'held', 'sent') OR f.number > 0
        WHEN f.status = 'held' THEN f.known IN ('queued', 'sent')
        WHEN f.status IN ('delivered', 'read') THEN d.state IN {UNSETTLED} OR d.state IN ('failed', 'held')
        ELSE d.state IN {UNSETTLED} END
), logged AS (
    UPDATE message_log m SET
        status = CASE WHEN f.by_template THEN 'queued' ELSE f.status END,
        external_id = CASE WHEN f.number = 0 THEN COALESCE(m.external_id, f.external_id) ELSE m.external_id END,
        error = CASE WHEN f.status IN ('failed', 'held') THEN f.error END
    FROM best f
    WHERE m.id = f.id AND NOT (f.known = 'held' AND f.status = 'sent')
        AND (CAST(:weights AS int[]))[array_position(CAST(:ranks AS text[]), m.status::text)] < f.weight
)
SELECT channel_config_id, external_id, id FROM found
""")  # noqa: S608 - constants


async def apply_statuses(on: Transaction, statuses: Sequence[PlatformStatus]) -> dict[tuple[str, str], UUID]:
    """Raise messages to what the platforms say of them; never lower one. Settles sends that were in doubt.

    A refusal because of the window holds the message until the customer writes again, or has it sent anew as the
    account's fallback template. What names no message yet is kept for `apply_early`.

    Returns:
        The message ids found, by channel config id and the platform's message id.
    """
    rows = _json([_row(status) for status in highest(statuses)])
    found = {
        (str(row.channel_config_id), row.external_id): row.id
        for row in await _APPLY.fetch(on, rows=rows, ranks=_RANKED, weights=_WEIGHTS)
    }
    if covering := [
        {"id": message_id, "status": status.status}
        for status in statuses
        if status.covers_earlier and (message_id := found.get((status.channel_config_id, status.external_id)))
    ]:
        await _COVER.fetch(on, rows=_json(covering), ranks=_RANKED)
    early = [
        _row(status)
        for status in highest(statuses)
        if status.message_id is None and (status.channel_config_id, status.external_id) not in found
    ]
    if early:
        await _KEEP_EARLY.fetch(on, rows=_json(early), ranks=_RANKED)
    return found


def _row(status: PlatformStatus) -> dict[str, Any]:
    return {
        "channel_config_id": status.channel_config_id,
        "external_id": status.external_id,
        "status": status.status,
        "message_id": status.message_id,
        "part": status.part,
        "error": status.error,
        "weight": _weight(status.status),
    }


_COVER = Statement("""
UPDATE message_log m SET status = r.status
FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS r(id uuid, status text) JOIN message_log x ON x.id = r.id
WHERE m.conversation_id = x.conversation_id AND m.seq < x.seq AND m.direction = 'outbound'
    AND m.status IN ('sent', 'delivered')
    AND array_position(CAST(:ranks AS text[]), m.status::text) < array_position(CAST(:ranks AS text[]), r.status)
""")

_KEEP_EARLY = Statement("""
INSERT INTO early_status (id, tenant_id, channel_config_id, external_id, status, error, created_at)
SELECT gen_random_uuid(), c.tenant_id, c.id, r.external_id, r.status, r.error, now()
FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS r(channel_config_id uuid, external_id text, status text, error jsonb)
JOIN channel_config c ON c.id = r.channel_config_id
ORDER BY c.id, r.external_id
ON CONFLICT (channel_config_id, external_id) DO UPDATE SET status = excluded.status, error = excluded.error
    WHERE array_position(CAST(:ranks AS text[]), early_status.status::text)
        < array_position(CAST(:ranks AS text[]), excluded.status::text)
""")

_EARLY_KNOWN = Statement("""
SELECT e.id, e.channel_config_id, e.external_id, e.status, e.error::text FROM early_status e
WHERE EXISTS (SELECT 1 FROM delivery d WHERE d.channel_config_id = e.channel_config_id
              AND d.external_id = e.external_id)
    OR EXISTS (SELECT 1 FROM delivery_part p WHERE p.channel_config_id = e.channel_config_id
               AND p.external_id = e.external_id)
ORDER BY e.created_at LIMIT :limit
""")

_DROP_EARLY = Statement("DELETE FROM early_status WHERE id = ANY(:ids)")

_FORGET_EARLY = Statement("DELETE FROM early_status WHERE created_at < now() - interval '1 day'")


async def apply_early(on: Transaction) -> int:
    """Apply the statuses that came before the platform's id of their message was known; returns how many."""
    rows = await _EARLY_KNOWN.fetch(on, limit=_EARLY_BATCH)
    if not rows:
        return 0
    statuses = [
        PlatformStatus(
            channel_config_id=str(row.channel_config_id),
            external_id=row.external_id,
            status=DeliveryStatus(row.status),
            error=msgspec.json.decode(row.error) if row.error else None,
        )
        for row in rows
    ]
    await apply_statuses(on, statuses)
    await _DROP_EARLY.fetch(on, ids=[row.id for row in rows])
    return len(rows)


async def forget_early(on: Transaction) -> None:
    """Drop statuses of messages that were never sent from here."""
    await _FORGET_EARLY.fetch(on)


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()
