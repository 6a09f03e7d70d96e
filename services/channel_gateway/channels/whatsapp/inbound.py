"""WhatsApp webhooks to items. Pure; each item is read by itself, so that a bad one never blocks the others."""

from collections.abc import Iterator
from typing import Any

import msgspec

from packages.core.domain.messages import DeliveryStatus, StatusUpdate
from services.channel_gateway.channels import Item, Unreadable
from services.channel_gateway.channels.whatsapp.account_events import account_event
from services.channel_gateway.channels.whatsapp.content import objects, text
from services.channel_gateway.channels.whatsapp.errors import explanation
from services.channel_gateway.channels.whatsapp.events import EVENTS
from services.channel_gateway.channels.whatsapp.items import (
    JSON,
    Change,
    ignored,
    malformed,
    message_item,
    moment,
)
from services.channel_gateway.channels.whatsapp.payloads import Message, Status

_STATUSES = {
    "sent": DeliveryStatus.SENT,
    "delivered": DeliveryStatus.DELIVERED,
    "read": DeliveryStatus.READ,
    "played": DeliveryStatus.READ,
    "failed": DeliveryStatus.FAILED,
}
_WINDOW_CLOSED = 131047
_DASHBOARD = "0"


def parse(body: bytes) -> list[Item]:
    """Every item of a webhook body, in its order.

    Raises:
        Unreadable: it is not a JSON object.
    """
    try:
        document = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Unreadable(f"The webhook's body is not JSON: {error}") from error
    if not isinstance(document, dict):
        raise Unreadable("The webhook's body is not a JSON object.")
    items: list[Item] = []
    for entry in objects(document.get("entry")):
        for change in objects(entry.get("changes")):
            items.extend(_items(entry, change))
    return items or [ignored(None, "other", document, "the webhook holds no item")]


def _items(entry: JSON, change: JSON) -> Iterator[Item]:
    field = change.get("field") or entry.get("field")  # one published sample has it a level too high
    value = change.get("value")
    if not isinstance(field, str) or not isinstance(value, dict):
        yield ignored(None, "malformed", change, "malformed: a change without field or value")
        return
    metadata = value.get("metadata")
    read = Change(
        business_id=text(entry.get("id")),
        account_id=text(metadata.get("phone_number_id")) if isinstance(metadata, dict) else None,
        field=field,
        value=value,
        whole={"id": entry.get("id"), "time": entry.get("time"), **change},
    )
    if read.business_id == _DASHBOARD:
        yield ignored(None, "other", read.whole, f"a test of Meta's app dashboard (field {field[:100]!r}) has arrived")
    elif field == "messages":
        yield from _messages(read)
    elif field in EVENTS:
        yield from EVENTS[field](read)
    else:
        yield account_event(read)


def _messages(change: Change) -> Iterator[Item]:
    messages, statuses = _list(change.value, "messages"), _list(change.value, "statuses")
    for raw in messages:
        yield _message(change, raw)
    for raw in statuses:
        yield _status(change, raw)
    if messages or statuses:
        return
    if errors := objects(change.value.get("errors")):
        reason = "; ".join(f"{explanation(error)} (code {error.get('code')})" for error in errors)
        yield ignored(change, "channel_error", change.value, f"WhatsApp reports of the number: {reason}")
    else:
        yield ignored(change, "other", change.value, "the change holds no message and no status")


def _message(change: Change, raw: Any) -> Item:
    try:
        message = msgspec.convert(raw, Message)
    except msgspec.ValidationError as error:
        return malformed(change, "message", raw, error)
    person = change.person(message.sender, message.from_user_id, message.from_parent_user_id)
    if person is None or not message.id:
        return malformed(change, "message", raw, "it has no sender or no id")
    return message_item(change, message, raw, person)


def _status(change: Change, raw: Any) -> Item:
    try:
        status = msgspec.convert(raw, Status)
    except msgspec.ValidationError as broken:
        return malformed(change, "status", raw, broken)
    if not status.id:
        return malformed(change, "status", raw, "it has no id")
    member = status.recipient_participant_id or status.participant_recipient_id or status.recipient_participant_user_id
    external_id = f"{status.id}:{status.status}" + (f":{member}" if member else "")
    error: JSON = next(iter(objects(status.errors)), {})
    known = _STATUSES.get(status.status)
    reason = None
    if known is None:
        reason = f"unknown status {status.status[:50]!r}"
    elif known is DeliveryStatus.FAILED and member:
        reason = f"one member of the group was not reached: {explanation(error)}"
    if known is None or reason:
        return Item(account_id=change.account_id, external_id=external_id, kind="status", ignored=reason, raw=raw)
    if known is DeliveryStatus.FAILED and error.get("code") == _WINDOW_CLOSED:
        known = DeliveryStatus.HELD
    return Item(
        account_id=change.account_id,
        external_id=external_id,
        kind="status",
        raw=raw,
        status=StatusUpdate(
            external_id=status.id,
            status=known,
            recipient=text(status.recipient_id) or text(status.recipient_user_id),
            correlation_id=status.biz_opaque_callback_data,
            at=moment(status.timestamp),
            error_code=text(error.get("code")),
            error_message=explanation(error) if error else None,
        ),
    )


def _list(value: JSON, key: str) -> list[Any]:
    found = value.get(key)
    return found if isinstance(found, list) else []
