"""The life of a file: fetched from the platform, kept, read, shown, deleted.

A file that is to be fetched belongs to whoever claimed it until `next_attempt_at`; the number of the attempt is the
claim's fence, so what a late process still wants to write changes nothing. Sweeps over recent files go by the primary
key, whose ids are in the order of time.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import msgspec

from packages.core.db.direct import Statement, Transaction

LONGEST_TEXT = 20_000
"""Most characters that are kept of what was read in a file."""


def storage_key(tenant_id: UUID, conversation_id: UUID, media_id: UUID) -> str:
    """Where a file lies in the object store: below its conversation, so that all of one can go at once."""
    return f"{conversation_folder(tenant_id, conversation_id)}/{media_id}"


def conversation_folder(tenant_id: UUID, conversation_id: UUID) -> str:
    """The path of all files of a conversation in the object store."""
    return f"{tenant_id}/media/{conversation_id}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Claimed:
    """A file that this process alone fetches now. `attempt` counts from 1."""

    id: UUID
    tenant_id: UUID
    conversation_id: UUID
    channel_config_id: UUID
    message_id: UUID | None
    kind: str
    external_id: str | None
    url: str | None
    media_type: str | None
    filename: str | None
    size: int | None
    reading: str
    attempt: int


# The oldest of each account first, so that one account's flood does not hold up the others.
_CLAIM = Statement("""
WITH due AS (
    SELECT id, next_attempt_at, row_number() OVER (PARTITION BY channel_config_id ORDER BY next_attempt_at) AS place
    FROM (SELECT id, channel_config_id, next_attempt_at FROM media
          WHERE state = 'pending' AND next_attempt_at <= now() ORDER BY next_attempt_at LIMIT 500) AS oldest
), chosen AS (
    SELECT m.id FROM media m JOIN due d ON d.id = m.id WHERE m.state = 'pending' AND m.next_attempt_at <= now()
    ORDER BY d.place, d.next_attempt_at LIMIT :limit FOR UPDATE OF m SKIP LOCKED
)
UPDATE media m SET attempts = attempts + 1, next_attempt_at = now() + make_interval(secs => :lease_seconds)
FROM chosen c WHERE m.id = c.id
RETURNING m.id, m.tenant_id, m.conversation_id, m.channel_config_id, m.message_id, m.kind, m.external_id, m.url,
          m.media_type, m.filename, m.size, m.reading, m.attempts AS attempt
""")


async def claim(on: Transaction, *, limit: int, lease_seconds: float) -> list[Claimed]:
    """Files to fetch now, for this process alone until `lease_seconds` are over."""
    rows = await _CLAIM.fetch(on, limit=limit, lease_seconds=lease_seconds)
    return [Claimed(**dict(row.items())) for row in rows]


_READY = Statement("""
UPDATE media SET state = 'ready', media_type = :media_type, filename = :filename, size = :size, sha256 = :digest,
       storage_key = :storage_key, reading = :reading, url = NULL, error = NULL, next_attempt_at = now()
WHERE id = :id AND state = 'pending' AND attempts = :attempt RETURNING id
""")


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A file as it lies in the object store. `reading` is wanted or none."""

    media_type: str
    filename: str
    size: int
    sha256: str
    storage_key: str
    reading: str = "none"


async def settle_ready(on: Transaction, media_id: UUID, attempt: int, kept: Kept) -> bool:
    """The file is here. False if the claim is lost, so that the object must go again."""
    return bool(
        await _READY.fetch(
            on,
            id=media_id,
            attempt=attempt,
            media_type=kept.media_type,
            filename=kept.filename,
            size=kept.size,
            digest=kept.sha256,
            storage_key=kept.storage_key,
            reading=kept.reading,
        )
    )


_RETRY = Statement("""
UPDATE media SET error = CAST(:error AS jsonb), next_attempt_at = now() + make_interval(secs => :delay)
WHERE id = :id AND state = 'pending' AND attempts = :attempt RETURNING id
""")

_FAIL = Statement("""
UPDATE media SET state = 'failed', reading = 'none', url = NULL, error = CAST(:error AS jsonb)
WHERE id = :id AND state = 'pending' AND attempts = :attempt RETURNING id
""")


async def settle_retry(
    on: Transaction, media_id: UUID, attempt: int, error: Mapping[str, object], *, delay: float
) -> bool:
    """It did not work, and is tried again after `delay` seconds. False if the claim is lost."""
    return bool(await _RETRY.fetch(on, id=media_id, attempt=attempt, error=_json(error), delay=delay))


async def settle_failed(on: Transaction, media_id: UUID, attempt: int, error: Mapping[str, object]) -> bool:
    """It never will work; agents see `error`, {code, message}. False if the claim is lost."""
    return bool(await _FAIL.fetch(on, id=media_id, attempt=attempt, error=_json(error)))


_TO_READ = Statement("""
SELECT id, conversation_id, message_id, kind, media_type, filename, storage_key FROM media
WHERE id = :id AND state = 'ready' AND reading = 'wanted'
""")

_READ = Statement("""
UPDATE media SET reading = :reading, text = CAST(:text AS text)
WHERE id = :id AND state = 'ready' AND reading = 'wanted' RETURNING id
""")


async def to_read(on: Transaction, media_id: UUID) -> Any | None:
    """The row of a file whose text is wanted (id, conversation_id, message_id, kind, media_type, filename,
    storage_key); None where there is nothing to do.
    """
    rows = await _TO_READ.fetch(on, id=media_id)
    return rows[0] if rows else None


async def settle_reading(on: Transaction, media_id: UUID, words: str | None) -> bool:
    """Keep what was read in a file; None means that it cannot be read. False if that is settled already."""
    reading = "failed" if words is None else "done"
    kept = words[:LONGEST_TEXT].replace("\x00", "") if words else None
    return bool(await _READ.fetch(on, id=media_id, reading=reading, text=kept))


# Waits for the other files of the burst, and for the burst itself; a turn that failed keeps its own time.
_HURRY = Statement("""
UPDATE pending_turn p
SET due_at = LEAST(p.due_at, GREATEST(now(), c.last_message_at + make_interval(secs => :debounce_seconds)))
FROM conversation c
WHERE c.id = :conversation_id AND p.conversation_id = c.id AND p.attempts = 0 AND NOT EXISTS (
    SELECT 1 FROM media f JOIN message_log m ON m.id = f.message_id
    WHERE f.reading = 'wanted' AND f.state IN ('pending', 'ready') AND m.conversation_id = c.id
      AND m.direction = 'inbound' AND m.answered_by IS NULL
)
RETURNING p.conversation_id
""")


async def hurry_turn(on: Transaction, conversation_id: UUID, *, debounce_seconds: float) -> bool:
    """The answer that waited for a file waits no longer, unless another file of the customer is still to be read."""
    return bool(await _HURRY.fetch(on, conversation_id=conversation_id, debounce_seconds=debounce_seconds))


_FILE = Statement("""
SELECT id, tenant_id, media_type, filename, size, state, storage_key, sha256 FROM media WHERE id = :id
""")


async def file(on: Transaction, media_id: UUID) -> Any | None:
    """What is needed to hand a file out: id, tenant_id, media_type, filename, size, state, storage_key, sha256."""
    rows = await _FILE.fetch(on, id=media_id)
    return rows[0] if rows else None


_BY_ID = Statement("""
SELECT id, kind, media_type, filename, size, state, storage_key FROM media
WHERE id = ANY(:ids) AND tenant_id = :tenant_id
""")


async def by_id(on: Transaction, tenant_id: UUID, ids: Sequence[UUID]) -> dict[UUID, Any]:
    """A tenant's files: kind, media_type, filename, size, state, storage_key of each, by id."""
    return {row.id: row for row in await _BY_ID.fetch(on, ids=list(ids), tenant_id=tenant_id)}


_OF_MESSAGES = Statement("""
SELECT id, message_id, place, kind, media_type, filename, size, state, error::text AS error, reading,
       left(text, :characters) AS text, length(text) > :characters AS is_cut
FROM media WHERE message_id = ANY(:ids) ORDER BY message_id, place
""")


async def of_messages(
    on: Transaction, message_ids: Sequence[UUID], *, characters: int = LONGEST_TEXT
) -> dict[UUID, list[Any]]:
    """The files of messages, by message, in their places.

    Returns:
        Rows with id, message_id, place, kind, media_type, filename, size, state, error ({code, message} as JSON),
        reading, text (at most so many characters of what was read in it) and is_cut.
    """
    found: dict[UUID, list[Any]] = {}
    if message_ids:
        for row in await _OF_MESSAGES.fetch(on, ids=list(message_ids), characters=characters):
            found.setdefault(row.message_id, []).append(row)
    return found


_ATTACH = Statement("""
UPDATE media m SET message_id = :message_id, place = w.place
FROM unnest(CAST(:ids AS uuid[])) WITH ORDINALITY AS w(id, place)
WHERE m.id = w.id AND m.message_id IS NULL AND m.state = 'ready' AND m.direction = 'outbound'
  AND m.conversation_id = :conversation_id
RETURNING m.id, m.kind, m.media_type, m.filename, m.size
""")


async def attach(
    on: Transaction, conversation_id: UUID, message_id: UUID, media_ids: Sequence[UUID]
) -> dict[UUID, Any]:
    """Make uploads part of a message that is logged already: kind, media_type, filename, size of each, by id.

    What is missing in the answer is no unsent upload of this conversation; then the caller rolls back.
    """
    rows = await _ATTACH.fetch(on, ids=list(media_ids), message_id=message_id, conversation_id=conversation_id)
    return {row.id: row for row in rows}


_FORGET = Statement("""
UPDATE media SET state = 'gone', reading = 'none', url = NULL, external_id = NULL, filename = NULL, text = NULL,
       error = NULL, next_attempt_at = now()
WHERE message_id = ANY(:ids) AND state <> 'gone' RETURNING storage_key
""")


async def forget(on: Transaction, message_ids: Sequence[UUID]) -> list[str]:
    """Take the files of messages away: at once from everybody's sight; their objects by the gateway's sweep.

    Returns:
        Keys of the objects, for a caller that wants them gone without waiting for the sweep (after its commit).
    """
    rows = await _FORGET.fetch(on, ids=list(message_ids))
    return [row.storage_key for row in rows if row.storage_key]


@dataclass(frozen=True, slots=True)
class Leftover:
    """An object that nobody is to see any more."""

    id: UUID
    storage_key: str


_GONE = Statement("""
SELECT id, storage_key FROM media
WHERE id >= :since AND state = 'gone' AND storage_key IS NOT NULL LIMIT :limit
""")

# Gone before their objects are: an agent who sends one at this moment is told, instead of sending nothing.
_UNSENT = Statement("""
UPDATE media SET state = 'gone' WHERE id IN (
    SELECT id FROM media WHERE message_id IS NULL AND created_at < now() - make_interval(secs => :seconds)
    ORDER BY created_at LIMIT :limit FOR UPDATE SKIP LOCKED
)
RETURNING id, storage_key
""")

_CLEARED = Statement("UPDATE media SET storage_key = NULL, filename = NULL WHERE id = ANY(:ids) AND state = 'gone'")

_DROP = Statement("DELETE FROM media WHERE id = ANY(:ids) AND message_id IS NULL AND state = 'gone'")


async def leftovers(on: Transaction, *, days: float | None, limit: int = 200) -> list[Leftover]:
    """Objects of files that are gone, among the files of the last `days` (None: of all, which takes a while)."""
    since = first_id(days * 86_400) if days is not None else UUID(int=0)
    return [Leftover(row.id, row.storage_key) for row in await _GONE.fetch(on, since=since, limit=limit)]


async def cleared(on: Transaction, media_ids: Sequence[UUID]) -> None:
    """These objects are deleted."""
    await _CLEARED.fetch(on, ids=list(media_ids))


async def take_unsent(on: Transaction, *, seconds: float, limit: int = 200) -> list[Leftover]:
    """Uploads that were not sent for so long; nobody can send them any more. Delete their objects, then drop them."""
    rows = await _UNSENT.fetch(on, seconds=seconds, limit=limit)
    return [Leftover(row.id, row.storage_key or "") for row in rows]


async def drop(on: Transaction, media_ids: Sequence[UUID]) -> None:
    """Delete the rows of uploads that were taken so."""
    await _DROP.fetch(on, ids=list(media_ids))


_UNREAD = Statement("""
SELECT id, tenant_id FROM media
WHERE id >= :since AND state = 'ready' AND reading = 'wanted'
  AND next_attempt_at < now() - make_interval(secs => :stale_seconds)
ORDER BY id LIMIT :limit
""")


async def unread(on: Transaction, *, stale_seconds: float, limit: int = 500) -> list[tuple[UUID, UUID]]:
    """(tenant, file) of recent files that have waited to be read for so long: their job was lost."""
    rows = await _UNREAD.fetch(on, since=first_id(86_400), stale_seconds=stale_seconds, limit=limit)
    return [(row.tenant_id, row.id) for row in rows]


def first_id(seconds_ago: float) -> UUID:
    """The smallest id that could have been made so long ago (UUIDv7 begins with the time in milliseconds)."""
    return UUID(int=max(0, int((time.time() - seconds_ago) * 1000)) << 80)


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()
