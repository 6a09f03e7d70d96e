"""What events do to what is there already: edits, deletions, reactions, moves, words from elsewhere, files to fetch."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import msgspec

from packages.core.db.base import new_id
from packages.core.db.direct import Statement, Transaction
from packages.core.domain.conversations import Owner
from packages.core.domain.messages import InboundEvent, InboundMessage

ANSWERED_ELSEWHERE = "answered in the brand's own app"
_READ = ("image/", "application/pdf", "text/", "application/vnd.", "application/msword")
_TARGETED = ("edit", "delete", "reaction")


@dataclass(frozen=True, slots=True)
class Event:
    """A message that tells of something: its row's id, its conversation, its account."""

    message: InboundMessage
    id: UUID
    conversation_id: UUID | None
    channel_config_id: str


async def apply(on: Transaction, events: Sequence[Event], overtaken: Sequence[Any]) -> None:
    """Let each event take effect, in order.

    Args:
        overtaken: edits, deletions and reactions that had come before their target, which is here now: rows with kind,
            text, target_id and sender_id.
    """
    changes = [
        _change(event.message.kind, event.message.text, event.message.sender.external_id)
        | {"account": event.channel_config_id, "target": event.message.target}
        for event in events
        if event.message.kind in _TARGETED and event.message.target
    ]
    changes += [_change(row.kind, row.text, row.sender_id) | {"target_id": row.target_id} for row in overtaken]
    for change in changes:  # one by one, because several may be about the same message; there are few
        await _change_target(on, change)
    for event in events:
        if event.message.moved_to:
            await _MOVE.fetch(on, id=event.conversation_id, address=event.message.moved_to)
        if event.message.echo and event.message.kind not in _TARGETED and not event.message.historic:
            await _ELSEWHERE.fetch(on, id=event.conversation_id, message_id=event.id, reason=ANSWERED_ELSEWHERE)


def _change(kind: str, words: str | None, sender_id: str | None) -> dict[str, Any]:
    return {
        "kind": kind,
        "text": words,
        "sender_id": sender_id or "",
        "account": None,
        "target": None,
        "target_id": None,
    }


_FIND = """
WITH target AS (
    SELECT m.id FROM message_log m JOIN conversation c ON c.id = m.conversation_id
    WHERE m.external_id = :target AND c.channel_config_id = :account AND m.kind NOT IN ('edit', 'delete', 'reaction')
    UNION ALL SELECT CAST(:target_id AS uuid) WHERE CAST(:target_id AS uuid) IS NOT NULL
)
"""

_EDIT = Statement(_FIND + """
UPDATE message_log m SET text = CAST(:text AS text), content = m.content || jsonb_build_object('edits',
    COALESCE(m.content->'edits', '[]') || jsonb_build_array(jsonb_build_object('text', m.text, 'until', now())))
FROM target t WHERE m.id = t.id AND NOT m.content ? 'deleted'
""")

# The words go from everywhere that we keep them; platforms ask for that, and the customer expects it.
_DELETE = Statement(_FIND + """
, gone AS (
    UPDATE message_log m SET text = NULL, content = '{"deleted": true}',
        status = CASE WHEN m.direction = 'inbound' THEN 'noted' ELSE m.status END
    FROM target t WHERE m.id = t.id RETURNING m.id
), files AS (
    UPDATE media f SET state = 'gone', url = NULL, external_id = NULL, text = NULL, next_attempt_at = now()
    FROM gone g WHERE f.message_id = g.id
)
UPDATE inbound_ledger l
SET event = (l.event - 'raw') #- '{message,text}' #- '{message,extra}' #- '{message,attachments}'
FROM gone g WHERE l.message_id = g.id
""")  # noqa: S608 - constants

_REACT = Statement(_FIND + """
UPDATE message_log m SET content = CASE WHEN CAST(:text AS text) IS NULL
    THEN jsonb_set(m.content, '{reactions}', COALESCE(m.content->'reactions', '{}') - CAST(:sender_id AS text))
    ELSE jsonb_set(m.content, '{reactions}', COALESCE(m.content->'reactions', '{}')
                                             || jsonb_build_object(CAST(:sender_id AS text), CAST(:text AS text))) END
FROM target t WHERE m.id = t.id AND NOT m.content ? 'deleted'
""")

_STATEMENTS = {"edit": _EDIT, "delete": _DELETE, "reaction": _REACT}


async def _change_target(on: Transaction, change: dict[str, Any]) -> None:
    statement = _STATEMENTS[change["kind"]]
    account = UUID(change["account"]) if change["account"] else None
    values = change | {"account": account, "text": change["text"] or None}
    await statement.fetch(on, **{name: values[name] for name in statement.names})


# Where the new address has an open conversation already, that one goes on and this one keeps its old address.
_MOVE = Statement("""
UPDATE conversation c SET recipient = :address
WHERE c.id = :id AND NOT EXISTS (SELECT 1 FROM conversation o WHERE o.channel_config_id = c.channel_config_id
                                 AND o.recipient = :address AND o.status = 'open')
""")

_ELSEWHERE = Statement(f"""
WITH dropped AS (
    DELETE FROM pending_turn WHERE conversation_id = :id
), answered AS (
    UPDATE message_log SET answered_by = :message_id
    WHERE conversation_id = :id AND direction = 'inbound' AND answered_by IS NULL RETURNING id
), ledger AS (
    UPDATE inbound_ledger l SET state = 'answered' FROM answered a WHERE l.message_id = a.id
)
UPDATE conversation SET owner = '{Owner.HUMAN}', owner_reason = :reason, offered_until = NULL, epoch = epoch + 1
WHERE id = :id AND status = 'open'
""")  # noqa: S608 - constants


# By the platform's id; or, while its answer to our send is still on the way, by conversation and words.
_OWN_SENDS = Statement("""
WITH r AS (
    SELECT * FROM jsonb_to_recordset(CAST(:rows AS jsonb))
        AS r(channel_config_id uuid, external_id text, recipient text, text text)
)
SELECT r.channel_config_id, r.external_id, d.id FROM r
JOIN delivery d ON d.channel_config_id = r.channel_config_id AND d.external_id = r.external_id
UNION ALL
SELECT r.channel_config_id, r.external_id, p.delivery_id FROM r
JOIN delivery_part p ON p.channel_config_id = r.channel_config_id AND p.external_id = r.external_id
UNION ALL
SELECT r.channel_config_id, r.external_id, d.id FROM r
JOIN conversation c ON c.channel_config_id = r.channel_config_id AND c.recipient = r.recipient AND c.status = 'open'
JOIN delivery d ON d.conversation_id = c.id AND d.state = 'sending'
JOIN message_log m ON m.id = d.id AND m.text = r.text
""")


async def own_sends(on: Transaction, echoes: Sequence[InboundEvent]) -> dict[tuple[str, str], UUID]:
    """Which echoes are of messages that we sent: our ids, by channel config and the platform's id."""
    rows = [
        {
            "channel_config_id": event.channel_config_id,
            "external_id": event.external_id,
            "recipient": message.conversation_id or message.sender.external_id,
            "text": message.text,
        }
        for event in echoes
        if (message := event.message)
    ]
    found = await _OWN_SENDS.fetch(on, rows=msgspec.json.encode(rows).decode())
    return {(str(row.channel_config_id), row.external_id): row.id for row in found}


def files(messages: Iterable[tuple[InboundEvent, dict[str, Any]]]) -> list[dict[str, Any]]:
    """Rows for the files of messages; the messages' rows get the ids. Shares (stories, posts) may not be kept."""
    rows: list[dict[str, Any]] = []
    for event, logged in messages:
        message = event.message
        if message is None or message.historic:
            continue
        attachments: list[dict[str, Any]] = []
        for place, attachment in enumerate(message.attachments):
            shown = msgspec.to_builtins(attachment)
            attachments.append(shown)
            if attachment.kind == "share" or not (attachment.external_id or attachment.url):
                continue
            shown["media_id"] = str(new_id())
            wanted = attachment.kind != "sticker" and (attachment.media_type or attachment.kind + "/").startswith(_READ)
            rows.append(
                {
                    "id": shown["media_id"],
                    "tenant_id": event.tenant_id,
                    "channel_config_id": event.channel_config_id,
                    "conversation_id": logged["conversation_id"],
                    "message_id": logged["id"],
                    "place": place,
                    "direction": logged["direction"],
                    "kind": attachment.kind[:32],
                    "external_id": attachment.external_id,
                    "url": attachment.url,
                    "media_type": (attachment.media_type or "")[:200] or None,
                    "filename": (attachment.filename or "")[:500] or None,
                    "size": attachment.size,
                    "reading": "wanted" if wanted or attachment.kind == "document" else "none",
                }
            )
        if attachments:
            logged["content"]["attachments"] = attachments
    return rows


_FILES = Statement("""
INSERT INTO media (id, tenant_id, conversation_id, channel_config_id, message_id, place, direction, kind, external_id,
                   url, media_type, filename, size, state, attempts, next_attempt_at, reading, created_at)
SELECT r.id, r.tenant_id, r.conversation_id, r.channel_config_id, r.message_id, r.place, r.direction, r.kind,
       r.external_id, r.url, r.media_type, r.filename, r.size, 'pending', 0, now(), r.reading, now()
FROM jsonb_to_recordset(CAST(:rows AS jsonb))
    AS r(id uuid, tenant_id uuid, conversation_id uuid, channel_config_id uuid, message_id uuid, place int,
         direction text, kind text, external_id text, url text, media_type text, filename text, size bigint,
         reading text)
""")


async def keep_files(on: Transaction, rows: Sequence[dict[str, Any]]) -> None:
    """Remember which files are to be fetched."""
    await _FILES.fetch(on, rows=msgspec.json.encode(rows).decode())
