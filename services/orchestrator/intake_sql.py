"""The statements of intake: a handful per batch, however many events it holds."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import msgspec

from packages.core.config import TurnSettings
from packages.core.db.base import new_id, now
from packages.core.db.direct import Statement, Transaction
from packages.core.db.repositories.deliveries import release_held
from packages.core.db.repositories.delivery_statuses import PlatformStatus, apply_statuses, highest
from packages.core.domain.conversations import Owner
from packages.core.domain.messages import MESSAGE_KINDS, DeliveryStatus, InboundEvent, InboundMessage
from services.orchestrator import intake_effects
from services.orchestrator.intake_people import Person, find_customers

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
    """What a batch led to: `live` events to announce, whether turns fell due, and whether files are to be fetched."""

    taken: list[Item]
    kinds: dict[str, str]
    live: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    due: bool = False
    files: bool = False


async def store(on: Transaction, events: Sequence[InboundEvent], settings: TurnSettings) -> Stored:
    """Store a batch in one transaction.

    Raises:
        UnknownAccount: an event names a channel config that is not its tenant's.
    """
    items = [Item(event, new_id(), new_id() if event.message else None) for event in events]
    await _enter(on, items)
    fresh = [item for item in items if not item.duplicate]
    stored = Stored(items, {item.external_id: item.event.kind for item in items})
    messages = await _without_own_echoes(on, [item for item in fresh if item.event.message])
    if messages:
        await _converse(on, messages, settings, stored)
    statuses = [item for item in fresh if item.event.status]
    if statuses:
        await _report(on, statuses, stored)
    return stored


_OURS = Statement("""
UPDATE inbound_ledger SET state = 'answered', reason = NULL, message_id = NULL WHERE id = ANY(:ids)
""")


async def _without_own_echoes(on: Transaction, items: list[Item]) -> list[Item]:
    """Leave out echoes of what we sent ourselves: they say that it was sent, and nothing else."""
    echoes = [item for item in items if _message(item).echo]
    if not echoes:
        return items
    ours = await intake_effects.own_sends(on, [item.event for item in echoes])
    found = [(item, sent) for item in echoes if (sent := ours.get((item.event.channel_config_id, item.external_id)))]
    if not found:
        return items
    statuses = [
        PlatformStatus(
            channel_config_id=item.event.channel_config_id,
            external_id=item.external_id,
            status=DeliveryStatus.SENT,
            message_id=str(sent),
        )
        for item, sent in found
    ]
    await apply_statuses(on, statuses)
    await _OURS.fetch(on, ids=[item.ledger_id for item, _ in found])
    for item, sent in found:
        item.state, item.message_id = "answered", sent
    own = {id(item) for item, _ in found}
    return [item for item in items if id(item) not in own]


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

    person: Person
    recipient: str
    items: list[Item]
    conversation_id: UUID | None = None
    owner: str = ""


async def _converse(on: Transaction, items: list[Item], settings: TurnSettings, stored: Stored) -> None:
    talks = _talks(items)
    await find_customers(on, [talk.person for talk in talks])
    await _conversations(on, talks)
    rows = [(talk, item, _message_row(item, talk)) for talk in talks for item in talk.items]
    files = intake_effects.files([(item.event, row) for _, item, row in rows])
    overtaken = await _LOG.fetch(on, rows=_json([row for _, _, row in rows]))
    if files:
        stored.files = True
        await intake_effects.keep_files(on, files)
    happened = [
        intake_effects.Event(message, row["id"], talk.conversation_id, item.event.channel_config_id)
        for talk, item, row in rows
        if (message := _message(item)).target or message.moved_to or message.echo
    ]
    if happened or overtaken:
        await intake_effects.apply(on, happened, overtaken)
    if heard := sorted({talk.conversation_id for talk in talks if _is_heard(talk) and talk.conversation_id}):
        await release_held(on, heard)
    if noted := [item for _, item, row in rows if row["status"] != "received"]:
        await _HANDLED.fetch(on, ids=[item.ledger_id for item in noted])
        for item in noted:
            item.state = "answered"
    stored.live += [(talk.person.tenant_id, _live(row)) for talk, _, row in rows]
    await _make_due(on, talks, {row["message_id"] for row in files if row["reading"] == "wanted"}, settings, stored)


def _talks(items: list[Item]) -> list[_Talk]:
    talks: dict[tuple[str, str], _Talk] = {}
    for item in items:
        message = _message(item)
        recipient = message.conversation_id or message.sender.external_id
        ids = (message.sender.external_id, *message.sender.alternative_ids)
        person = Person(item.event.tenant_id, item.event.channel_config_id, ids, message.sender.name)
        talk = talks.setdefault((item.event.channel_config_id, recipient), _Talk(person, recipient, []))
        talk.items.append(item)
    return [talks[key] for key in sorted(talks)]  # one order of row locks everywhere: no deadlocks


_CONVERSATIONS = Statement("""
INSERT INTO conversation (id, tenant_id, brand_id, channel_config_id, customer_id, recipient, status, owner, epoch,
                          last_message_at, last_customer_message_at, created_at)
SELECT r.id, r.tenant_id, c.brand_id, r.channel_config_id, r.customer_id, r.recipient, 'open', 'bot', r.epoch, now(),
       CASE WHEN r.heard THEN now() END, now()
FROM jsonb_to_recordset(CAST(:rows AS jsonb))
    AS r(id uuid, tenant_id uuid, channel_config_id uuid, customer_id uuid, recipient text, heard bool, epoch int)
JOIN channel_config c ON c.id = r.channel_config_id AND c.tenant_id = r.tenant_id
ORDER BY r.channel_config_id, r.recipient
ON CONFLICT (channel_config_id, recipient) WHERE status = 'open'
    DO UPDATE SET epoch = conversation.epoch + excluded.epoch, last_message_at = now(),
        last_customer_message_at = COALESCE(excluded.last_customer_message_at, conversation.last_customer_message_at)
RETURNING id, owner, channel_config_id, recipient
""")


async def _conversations(on: Transaction, talks: list[_Talk]) -> None:
    """Each talk's open conversation, made if there is none; its epoch grows where the customer said something new."""
    rows = [
        {
            "id": new_id(),
            "tenant_id": talk.person.tenant_id,
            "channel_config_id": talk.person.channel_config_id,
            "customer_id": talk.person.customer_id,
            "recipient": talk.recipient,
            "heard": _is_heard(talk),
            "epoch": int(any(_changes_the_answer(_message(item)) for item in talk.items)),
        }
        for talk in talks
    ]
    found = {
        (str(row.channel_config_id), row.recipient): row for row in await _CONVERSATIONS.fetch(on, rows=_json(rows))
    }
    for talk in talks:
        row = found[talk.person.channel_config_id, talk.recipient]
        talk.conversation_id, talk.owner = row.id, row.owner
        for item in talk.items:
            item.conversation_id = row.id


# Edits and deletions may overtake the message that they are about: what waited for one of these comes back.
_LOG = Statement("""
WITH logged AS (
    INSERT INTO message_log (id, tenant_id, conversation_id, direction, author, kind, text, content, external_id,
                             status, citations, context, sent_at, created_at)
    SELECT r.id, r.tenant_id, r.conversation_id, r.direction, r.author, r.kind, r.text, r.content, r.external_id,
           r.status, '[]', '[]', r.sent_at, now()
    FROM ROWS FROM (
        jsonb_to_recordset(CAST(:rows AS jsonb)) AS (id uuid, tenant_id uuid, conversation_id uuid, direction text,
            author text, kind text, text text, content jsonb, external_id text, status text, sent_at timestamptz)
    ) WITH ORDINALITY AS r(id, tenant_id, conversation_id, direction, author, kind, text, content, external_id, status,
                           sent_at, place)
    ORDER BY r.place
    RETURNING id, external_id, conversation_id
)
SELECT e.id, e.kind, e.text, e.content->>'sender_id' AS sender_id, e.content->>'target' AS target,
       l.id AS target_id
FROM logged l JOIN message_log e ON e.content->>'target' = l.external_id AND e.kind IN ('edit', 'delete', 'reaction')
JOIN conversation a ON a.id = e.conversation_id JOIN conversation b ON b.id = l.conversation_id
WHERE a.channel_config_id = b.channel_config_id
ORDER BY e.seq
""")

_DUE = Statement("""
INSERT INTO pending_turn (id, tenant_id, conversation_id, due_at, first_at, attempts, voided, traceparent, created_at)
SELECT r.id, r.tenant_id, r.conversation_id, now() + make_interval(secs => r.wait), now(), 0, 0, r.traceparent, now()
FROM jsonb_to_recordset(CAST(:rows AS jsonb))
    AS r(id uuid, tenant_id uuid, conversation_id uuid, traceparent text, wait float8)
ORDER BY r.conversation_id
ON CONFLICT (conversation_id) DO UPDATE SET
    attempts = 0,
    due_at = LEAST(GREATEST(excluded.due_at, CASE WHEN pending_turn.attempts = 0 THEN pending_turn.due_at END),
                   GREATEST(now(), pending_turn.first_at + make_interval(secs => :max_wait)))
""")


async def _make_due(
    on: Transaction, talks: list[_Talk], unread: set[UUID], settings: TurnSettings, stored: Stored
) -> None:
    """A turn for each conversation that waits for the bot; later where a file has to be read first."""
    due: dict[UUID, dict[str, Any]] = {}
    for talk in talks:
        for item in talk.items:
            if talk.owner == Owner.HUMAN or not _needs_answer(_message(item)) or not talk.conversation_id:
                continue
            row = due.setdefault(
                talk.conversation_id,
                {
                    "id": new_id(),
                    "tenant_id": talk.person.tenant_id,
                    "conversation_id": talk.conversation_id,
                    "wait": settings.debounce_seconds,
                },
            )
            row["traceparent"] = item.event.traceparent
            if item.message_id in unread:
                row["wait"] = max(settings.debounce_seconds, settings.file_wait_seconds)
    if due:
        stored.due = True
        await _DUE.fetch(on, rows=_json(list(due.values())), max_wait=settings.max_wait_seconds)


def _message(item: Item) -> InboundMessage:
    assert item.event.message
    return item.event.message


def _message_row(item: Item, talk: _Talk) -> dict[str, Any]:
    message = _message(item)
    content: dict[str, Any] = dict(message.extra)
    if message.attachments:
        content["attachments"] = message.attachments
    for name in ("payload", "reply_to", "target", "moved_to"):
        if (value := getattr(message, name)) is not None:
            content[name] = value
    for name in ("historic", "standby", "echo"):
        if getattr(message, name):
            content[name] = True
    if message.target:
        content["sender_id"] = message.sender.external_id
    if _is_group(message):
        content["sender"] = {"id": message.sender.external_id, "name": message.sender.name}
    return {
        "id": item.message_id,
        "tenant_id": item.event.tenant_id,
        "conversation_id": talk.conversation_id,
        "direction": "outbound" if message.echo else "inbound",
        "author": "agent" if message.echo else "customer",
        "kind": message.kind[:32],
        "text": message.text,
        "content": content,
        "external_id": message.external_id,
        "status": "sent" if message.echo else "received" if _needs_answer(message) else "noted",
        "sent_at": message.sent_at or item.event.received_at or now(),
    }


def _is_group(message: InboundMessage) -> bool:
    return message.conversation_id not in {None, message.sender.external_id}


def _is_present(message: InboundMessage) -> bool:
    """Whether the customer says it now, to the brand, through this app."""
    return not (message.echo or message.historic or message.standby)


def _needs_answer(message: InboundMessage) -> bool:
    """Reactions, edits and the like need none; in groups the bot does not speak unasked."""
    return message.kind in ANSWERABLE and _is_present(message) and (message.addressed or not _is_group(message))


def _changes_the_answer(message: InboundMessage) -> bool:
    """Whether a reply that is under way would be out of date."""
    return _needs_answer(message) or (message.kind in {"edit", "delete"} and _is_present(message))


def _is_heard(talk: _Talk) -> bool:
    """Whether the customer wrote, which is what opens the platforms' windows for replies."""
    return any(_message(item).kind in MESSAGE_KINDS and _is_present(_message(item)) for item in talk.items)


def _live(row: dict[str, Any]) -> dict[str, Any]:
    data = {name: row[name] for name in ("id", "conversation_id", "kind", "text", "sent_at", "direction", "author")}
    kind = "message.received" if row["direction"] == "inbound" else "message.sent"
    return {"type": kind, "data": data}


_IGNORE = Statement("""
UPDATE inbound_ledger SET state = 'ignored', reason = :reason WHERE id = ANY(:ids)
""")

_HANDLED = Statement("UPDATE inbound_ledger SET state = 'answered' WHERE id = ANY(:ids)")


async def _report(on: Transaction, items: list[Item], stored: Stored) -> None:
    """Delivery statuses: the highest of each message in the batch is applied; unknown messages are noted as such."""
    tenants = {_status_key(item.event): item.event.tenant_id for item in items}
    statuses = highest(_platform_status(item.event) for item in items)
    reported = {(status.channel_config_id, status.external_id): status.status for status in statuses}
    found = await apply_statuses(on, statuses)
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
        data = {"message_id": message_id, "status": reported[key]}
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
        part=_part(status.correlation_id),
        covers_earlier=status.covers_earlier,
        at=status.at,
        error=error,
    )


def _own_id(value: str | None) -> str | None:
    """The message id in a correlation id (`<id>` or `<id>:<part>`); other programs on the account set their own."""
    try:
        return str(UUID(value.partition(":")[0])) if value else None
    except ValueError:
        return None


def _part(value: str | None) -> int:
    """The part's number in a correlation id; the first part has none."""
    number = (value or "").partition(":")[2]
    return int(number) if number.isascii() and number.isdigit() and len(number) < 5 else 0


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()
