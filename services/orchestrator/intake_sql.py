"""The statements of intake: a handful per batch, however many events it holds."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from packages.core.config import TurnSettings
from packages.core.db.base import new_id, now
from packages.core.db.direct import Statement, Transaction
from packages.core.db.repositories.deliveries import PlatformStatus, apply_statuses
from packages.core.domain.messages import MESSAGE_KINDS, InboundEvent, InboundMessage

ANSWERABLE = MESSAGE_KINDS - {"sticker", "share"}


class UnknownAccount(Exception):
    """The event names a channel config that does not exist, or is another tenant's."""


@dataclass(slots=True)
class Item:
    """An event on its way through the statements."""

    event: InboundEvent
    ledger_id: UUID
    message_id: UUID | None
    duplicate: bool = False
    state: str = "received"
    reason: str | None = None
    conversation_id: UUID | None = None

    @property
    def external_id(self) -> str:
        """The provider's id of the item."""
        return self.event.external_id


@dataclass(slots=True)
class Stored:
    """What a batch led to: `live` events to announce, and whether turns fell due."""

    taken: list[Item]
    kinds: dict[str, str]
    live: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    due: bool = False


async def store(on: Transaction, events: Sequence[InboundEvent], settings: TurnSettings) -> Stored:
    """Store a batch in one transaction.

    Raises:
        UnknownAccount: an event names a channel config that is not its tenant's.
    """
    items = [Item(event, new_id(), new_id() if event.message else None) for event in events]
    await _enter(on, items)
    fresh = [item for item in items if not item.duplicate]
    stored = Stored(items, {item.external_id: item.event.kind for item in items})
    messages = [item for item in fresh if item.event.message]
    if messages:
        await _converse(on, messages, settings, stored)
    statuses = [item for item in fresh if item.event.status]
    if statuses:
        await _report(on, statuses, stored)
    return stored


_ENTER = Statement("""
INSERT INTO inbound_ledger (id, tenant_id, channel_config_id, external_id, kind, state, reason, event, repeats,
                            message_id, received_at, created_at)
SELECT r.id, r.tenant_id, r.channel_config_id, r.external_id, r.kind, r.state, r.reason, r.event, r.repeats,
       r.message_id, r.received_at, now()
FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS r(id uuid, tenant_id uuid, channel_config_id uuid, external_id text,
    kind text, state text, reason text, event jsonb, repeats int, message_id uuid, received_at timestamptz)
JOIN channel_config c ON c.id = r.channel_config_id AND c.tenant_id = r.tenant_id
ORDER BY r.channel_config_id, r.external_id
ON CONFLICT (channel_config_id, external_id)
    DO UPDATE SET repeats = inbound_ledger.repeats + 1 + excluded.repeats
RETURNING id, channel_config_id, external_id, message_id, state, reason,
    (SELECT m.conversation_id FROM message_log m WHERE m.id = inbound_ledger.message_id) AS conversation_id
""")


async def _enter(on: Transaction, items: list[Item]) -> None:
    """Ledger rows for all; marks the repeats, within the batch and against what was there."""
    first: dict[tuple[str, str], Item] = {}
    rows: dict[tuple[str, str], dict[str, Any]] = {}
    for item in items:
        key = (item.event.channel_config_id, item.external_id)
        if key in first:
            rows[key]["repeats"] += 1
        else:
            first[key] = item
            rows[key] = _ledger_row(item)
    stored = {
        (str(row.channel_config_id), row.external_id): row
        for row in await _ENTER.fetch(on, rows=_json(list(rows.values())))
    }
    for item in items:
        key = (item.event.channel_config_id, item.external_id)
        if key not in stored:
            raise UnknownAccount(f"channel config {key[0]} is not one of tenant {item.event.tenant_id}")
        row = stored[key]
        item.duplicate = item is not first[key] or row.id != item.ledger_id
        item.state, item.reason = row.state, row.reason
        if item.duplicate:
            item.message_id, item.conversation_id = row.message_id, row.conversation_id


def _ledger_row(item: Item) -> dict[str, Any]:
    event = item.event
    return {
        "id": item.ledger_id,
        "tenant_id": event.tenant_id,
        "channel_config_id": event.channel_config_id,
        "external_id": event.external_id,
        "kind": event.kind[:32],
        "state": "ignored" if event.ignored else "received",
        "reason": event.ignored,
        "event": event,
        "repeats": 0,
        "message_id": item.message_id,
        "received_at": event.received_at or now(),
    }


async def keep_failed(on: Transaction, event: InboundEvent, reason: str) -> bool:
    """A ledger row for an event that could not be stored, so that it can be seen and replayed.

    Returns:
        Whether there is one now; an event whose account is unknown belongs into nobody's ledger.
    """
    row = _ledger_row(Item(event, new_id(), None)) | {"state": "failed", "reason": reason[:500]}
    return bool(await _ENTER.fetch(on, rows=_json([row])))


@dataclass(slots=True)
class _Talk:
    """The messages of one conversation in a batch."""

    tenant_id: str
    channel_config_id: str
    recipient: str
    sender_ids: tuple[str, ...]
    name: str | None
    items: list[Item]
    customer_id: UUID | None = None
    last_at: datetime = field(default_factory=now)


async def _converse(on: Transaction, items: list[Item], settings: TurnSettings, stored: Stored) -> None:
    talks = _talks(items)
    await _customers(on, talks)
    conversations = await _conversations(on, talks)
    rows: list[dict[str, Any]] = []
    due: dict[UUID, dict[str, Any]] = {}
    for talk, conversation in zip(talks, conversations, strict=True):
        for item in talk.items:
            item.conversation_id = conversation.id
            row = _message_row(item, conversation.id)
            rows.append(row)
            stored.live.append((talk.tenant_id, _live(row)))
            if conversation.owner != "human" and _needs_answer(item.event):
                due[conversation.id] = {
                    "id": new_id(),
                    "tenant_id": talk.tenant_id,
                    "conversation_id": conversation.id,
                    "traceparent": item.event.traceparent,
                }
    await _LOG.fetch(on, rows=_json(rows))
    if due:
        stored.due = True
        await _DUE.fetch(
            on, rows=_json(list(due.values())), debounce=settings.debounce_seconds, max_wait=settings.max_wait_seconds
        )


def _talks(items: list[Item]) -> list[_Talk]:
    talks: dict[tuple[str, str], _Talk] = {}
    for item in items:
        message = _message(item)
        recipient = message.conversation_id or message.sender.external_id
        talk = talks.setdefault(
            (item.event.channel_config_id, recipient),
            _Talk(
                item.event.tenant_id,
                item.event.channel_config_id,
                recipient,
                (message.sender.external_id, *message.sender.alternative_ids),
                message.sender.name,
                [],
            ),
        )
        talk.items.append(item)
    return [talks[key] for key in sorted(talks)]  # one order of row locks everywhere: no deadlocks


_KNOWN = Statement("""
SELECT i.channel_config_id, i.external_id, i.customer_id
FROM unnest(CAST(:accounts AS uuid[]), CAST(:ids AS text[])) AS r(channel_config_id, external_id)
JOIN customer_identity i ON i.channel_config_id = r.channel_config_id AND i.external_id = r.external_id
""")

_NEW_CUSTOMERS = Statement("""
WITH r AS (
    SELECT r.*, c.brand_id FROM jsonb_to_recordset(CAST(:rows AS jsonb))
        AS r(id uuid, tenant_id uuid, channel_config_id uuid, name text)
    JOIN channel_config c ON c.id = r.channel_config_id AND c.tenant_id = r.tenant_id
)
INSERT INTO customer (id, tenant_id, brand_id, name, attributes, created_at)
SELECT id, tenant_id, brand_id, name, '{}', now() FROM r
""")

_NEW_IDENTITIES = Statement("""
INSERT INTO customer_identity (id, tenant_id, channel_config_id, external_id, customer_id, created_at)
SELECT gen_random_uuid(), r.tenant_id, r.channel_config_id, r.external_id, r.customer_id, now()
FROM jsonb_to_recordset(CAST(:rows AS jsonb))
    AS r(tenant_id uuid, channel_config_id uuid, external_id text, customer_id uuid)
ORDER BY r.channel_config_id, r.external_id
ON CONFLICT (channel_config_id, external_id) DO UPDATE SET external_id = excluded.external_id
RETURNING channel_config_id, external_id, customer_id
""")

_DROP_ORPHANS = Statement("DELETE FROM customer WHERE id = ANY(:ids)")


async def _customers(on: Transaction, talks: list[_Talk]) -> None:
    """Find or make the customer of each conversation, by any of the ids that the platform gave."""
    pairs = [(talk.channel_config_id, own_id) for talk in talks for own_id in talk.sender_ids]
    known: dict[tuple[str, str], UUID] = {}
    for row in await _KNOWN.fetch(
        on, accounts=[UUID(account) for account, _ in pairs], ids=[own_id for _, own_id in pairs]
    ):
        known[str(row.channel_config_id), row.external_id] = row.customer_id
    new: dict[UUID, _Talk] = {}
    for talk in talks:
        found = [known[pair] for own_id in talk.sender_ids if (pair := (talk.channel_config_id, own_id)) in known]
        talk.customer_id = found[0] if found else new_id()
        if not found:
            new[talk.customer_id] = talk
            for own_id in talk.sender_ids:
                known[talk.channel_config_id, own_id] = talk.customer_id
    if new:
        await _make_customers(on, new)
    await _make_identities(on, talks, known, set(new), set(pairs))


async def _make_customers(on: Transaction, new: dict[UUID, _Talk]) -> None:
    rows = [
        {"id": own, "tenant_id": talk.tenant_id, "channel_config_id": talk.channel_config_id, "name": talk.name}
        for own, talk in new.items()
    ]
    await _NEW_CUSTOMERS.fetch(on, rows=_json(rows))


async def _make_identities(
    on: Transaction,
    talks: list[_Talk],
    known: dict[tuple[str, str], UUID],
    new: set[UUID],
    pairs: set[tuple[str, str]],
) -> None:
    """Identities that are not there yet. If another process was faster, its customer is taken and ours dropped."""
    rows = [
        {
            "tenant_id": talk.tenant_id,
            "channel_config_id": talk.channel_config_id,
            "external_id": own_id,
            "customer_id": talk.customer_id,
        }
        for talk in talks
        for own_id in dict.fromkeys(talk.sender_ids)
        if talk.customer_id in new or (talk.channel_config_id, own_id) not in known
    ]
    if not rows:
        return
    unique = {(row["channel_config_id"], row["external_id"]): row for row in rows}
    owners: dict[tuple[str, str], UUID] = {}
    for row in await _NEW_IDENTITIES.fetch(on, rows=_json(list(unique.values()))):
        owners[str(row.channel_config_id), row.external_id] = row.customer_id
    orphans: list[UUID] = []
    for talk in talks:
        owner = owners.get((talk.channel_config_id, talk.sender_ids[0]))
        if owner and owner != talk.customer_id:
            if talk.customer_id in new:
                orphans.append(talk.customer_id)
            talk.customer_id = owner
    if orphans:
        await _DROP_ORPHANS.fetch(on, ids=orphans)


_CONVERSATIONS = Statement("""
INSERT INTO conversation (id, tenant_id, brand_id, channel_config_id, customer_id, recipient, status, owner, epoch,
                          last_message_at, last_customer_message_at, created_at)
SELECT r.id, r.tenant_id, c.brand_id, r.channel_config_id, r.customer_id, r.recipient, 'open', 'bot', 1, now(), now(),
       now()
FROM jsonb_to_recordset(CAST(:rows AS jsonb))
    AS r(id uuid, tenant_id uuid, channel_config_id uuid, customer_id uuid, recipient text)
JOIN channel_config c ON c.id = r.channel_config_id AND c.tenant_id = r.tenant_id
ORDER BY r.channel_config_id, r.recipient
ON CONFLICT (channel_config_id, recipient) WHERE status = 'open'
    DO UPDATE SET epoch = conversation.epoch + 1, last_message_at = now(), last_customer_message_at = now()
RETURNING id, owner, channel_config_id, recipient
""")


async def _conversations(on: Transaction, talks: list[_Talk]) -> list[Any]:
    """Each talk's open conversation, made if there is none, in the order of `talks`; its epoch grows."""
    rows = [
        {
            "id": new_id(),
            "tenant_id": talk.tenant_id,
            "channel_config_id": talk.channel_config_id,
            "customer_id": talk.customer_id,
            "recipient": talk.recipient,
        }
        for talk in talks
    ]
    found = {
        (str(row.channel_config_id), row.recipient): row for row in await _CONVERSATIONS.fetch(on, rows=_json(rows))
    }
    return [found[talk.channel_config_id, talk.recipient] for talk in talks]


_LOG = Statement("""
INSERT INTO message_log (id, tenant_id, conversation_id, direction, author, kind, text, content, external_id, status,
                         citations, context, sent_at, created_at)
SELECT r.id, r.tenant_id, r.conversation_id, 'inbound', 'customer', r.kind, r.text, r.content, r.external_id,
       'received', '[]', '[]', r.sent_at, now()
FROM ROWS FROM (
    jsonb_to_recordset(CAST(:rows AS jsonb)) AS (id uuid, tenant_id uuid, conversation_id uuid, kind text, text text,
        content jsonb, external_id text, sent_at timestamptz)
) WITH ORDINALITY AS r(id, tenant_id, conversation_id, kind, text, content, external_id, sent_at, place)
ORDER BY r.place
""")

_DUE = Statement("""
INSERT INTO pending_turn (id, tenant_id, conversation_id, due_at, first_at, attempts, voided, traceparent, created_at)
SELECT r.id, r.tenant_id, r.conversation_id, now() + make_interval(secs => :debounce), now(), 0, 0, r.traceparent, now()
FROM jsonb_to_recordset(CAST(:rows AS jsonb))
    AS r(id uuid, tenant_id uuid, conversation_id uuid, traceparent text)
ORDER BY r.conversation_id
ON CONFLICT (conversation_id) DO UPDATE SET
    attempts = 0,
    due_at = LEAST(excluded.due_at,
                   GREATEST(now(), pending_turn.first_at + make_interval(secs => :max_wait)))
""")


def _message(item: Item) -> InboundMessage:
    assert item.event.message
    return item.event.message


def _message_row(item: Item, conversation_id: UUID) -> dict[str, Any]:
    message = _message(item)
    content: dict[str, Any] = dict(message.extra)
    if message.attachments:
        content["attachments"] = message.attachments
    for name in ("payload", "reply_to", "target"):
        if (value := getattr(message, name)) is not None:
            content[name] = value
    return {
        "id": item.message_id,
        "tenant_id": item.event.tenant_id,
        "conversation_id": conversation_id,
        "kind": message.kind[:32],
        "text": message.text,
        "content": content,
        "external_id": message.external_id,
        "sent_at": message.sent_at or item.event.received_at or now(),
    }


def _needs_answer(event: InboundEvent) -> bool:
    """Reactions, edits and the like need none; in groups the bot does not speak unasked."""
    message = event.message
    assert message
    in_group = message.conversation_id not in {None, message.sender.external_id}
    return message.kind in ANSWERABLE and not in_group


def _live(row: dict[str, Any]) -> dict[str, Any]:
    data = {name: row[name] for name in ("id", "conversation_id", "kind", "text", "sent_at")}
    return {"type": "message.received", "data": data | {"direction": "inbound", "author": "customer"}}


_IGNORE = Statement("""
UPDATE inbound_ledger SET state = 'ignored', reason = :reason WHERE id = ANY(:ids)
""")

_HANDLED = Statement("UPDATE inbound_ledger SET state = 'answered' WHERE id = ANY(:ids)")


async def _report(on: Transaction, items: list[Item], stored: Stored) -> None:
    """Delivery statuses: the highest of each message in the batch is applied; unknown messages are noted as such."""
    highest: dict[tuple[str, str], PlatformStatus] = {}
    tenants = {_status_key(item.event): item.event.tenant_id for item in items}
    for item in items:
        status = _platform_status(item.event)
        key = (status.channel_config_id, status.external_id)
        if key not in highest or status.status.rank > highest[key].status.rank:
            highest[key] = status
    found = await apply_statuses(on, list(highest.values()))
    known = [item for item in items if _status_key(item.event) in found]
    unknown = [item for item in items if _status_key(item.event) not in found]
    if known:
        await _HANDLED.fetch(on, ids=[item.ledger_id for item in known])
    if unknown:
        reason = "a status of a message that was not sent from here"
        await _IGNORE.fetch(on, ids=[item.ledger_id for item in unknown], reason=reason)
    for item in items:
        item.state = "answered" if item in known else "ignored"
    for key, message_id in found.items():
        data = {"message_id": message_id, "status": highest[key].status}
        stored.live.append((tenants[key], {"type": "delivery.updated", "data": data}))


def _status_key(event: InboundEvent) -> tuple[str, str]:
    assert event.status
    return event.channel_config_id, event.status.external_id


def _platform_status(event: InboundEvent) -> PlatformStatus:
    status = event.status
    assert status
    error = None
    if status.error_code or status.error_message:
        error = {"code": status.error_code, "message": status.error_message}
    return PlatformStatus(
        channel_config_id=event.channel_config_id,
        external_id=status.external_id,
        status=status.status,
        message_id=_own_id(status.correlation_id),
        at=status.at,
        error=error,
    )


def _own_id(value: str | None) -> str | None:
    """The correlation id if it is one of our message ids; other programs on the same account set their own."""
    try:
        return str(UUID(value)) if value else None
    except ValueError:
        return None


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()
