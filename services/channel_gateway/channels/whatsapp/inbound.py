"""WhatsApp webhooks to items. Pure; each item is read by itself, so that a bad one never blocks the others."""

import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import msgspec

from packages.core.domain.messages import Attachment, DeliveryStatus, InboundMessage, Sender, StatusUpdate
from services.channel_gateway.channels import Item, Unreadable
from services.channel_gateway.channels.whatsapp.payloads import Contact, Media, Message, Status

JSON = dict[str, Any]

_STATUSES = {
    "sent": DeliveryStatus.SENT,
    "delivered": DeliveryStatus.DELIVERED,
    "read": DeliveryStatus.READ,
    "played": DeliveryStatus.READ,
    "failed": DeliveryStatus.FAILED,
}
_MEDIA = ("image", "video", "audio", "document", "sticker")
# Fields that need no action: kind, the key of their list, and why.
_IGNORED = {
    "smb_message_echoes": ("echo", "message_echoes", "the business wrote this itself, in its app"),
    "calls": ("call", "calls", "calls are not handled"),
    "user_preferences": ("preference", "user_preferences", "marketing preferences are not handled"),
    "smb_app_state_sync": ("contact_sync", "state_sync", "contacts of the business app are not kept"),
}
_PREFIXES = (("group_", "group"), ("message_template", "template"), ("template_", "template"), ("account_", "account"))


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
    for entry in _objects(document.get("entry")):
        for change in _objects(entry.get("changes")):
            items.extend(_change(entry, change))
    return items or [_ignored(None, "other", document, "the webhook holds no item")]


def _change(entry: JSON, change: JSON) -> Iterator[Item]:
    field = change.get("field") or entry.get("field")  # one published sample has it a level too high
    value = change.get("value")
    if not isinstance(field, str) or not isinstance(value, dict):
        yield _ignored(None, "malformed", change, "malformed: a change without field or value")
        return
    metadata = value.get("metadata")
    account_id = _text(metadata.get("phone_number_id")) if isinstance(metadata, dict) else None
    if field == "messages":
        yield from _messages(account_id, value)
    elif field == "history":
        yield from _history(account_id, value)
    else:
        yield from _other(account_id, field, {"id": entry.get("id"), "time": entry.get("time"), **change}, value)


def _messages(account_id: str | None, value: JSON) -> Iterator[Item]:
    messages, statuses, errors = _list(value, "messages"), _list(value, "statuses"), _list(value, "errors")
    for raw in messages:
        try:
            message = msgspec.convert(raw, Message)
        except msgspec.ValidationError as error:
            yield _ignored(account_id, "malformed", raw, f"malformed message: {error}")
        else:
            yield _message(account_id, message, raw, _contact(message, value), errors)
    for raw in statuses:
        try:
            yield _status(account_id, msgspec.convert(raw, Status), raw)
        except msgspec.ValidationError as error:
            yield _ignored(account_id, "malformed", raw, f"malformed status: {error}")
    if errors and not messages and not statuses:
        reason = "; ".join(_error_text(error) for error in _objects(errors))
        yield _ignored(account_id, "channel_error", value, f"the platform reports: {reason}")
    if not messages and not statuses and not errors:
        yield _ignored(account_id, "other", value, "the change holds no message and no status")


def _message(account_id: str | None, message: Message, raw: JSON, contact: Contact | None, errors: list[Any]) -> Item:
    sender = _sender(message, contact)
    if sender is None:
        return _ignored(account_id, "malformed", raw, "malformed message: nobody sent it")
    kind, content = _content(message)
    extra = content.pop("extra", {})
    reply_to = None
    if context := message.context:
        reply_to = context.id
        if context.forwarded or context.frequently_forwarded:
            extra["forwarded"] = "many" if context.frequently_forwarded else True
        if context.referred_product:
            extra["referred_product"] = context.referred_product
    if message.referral:
        extra["referral"] = message.referral
    if kind == "unsupported":
        extra["type"] = message.type
        if found := (message.errors or errors):
            extra["errors"] = found
    event = kind if kind in {"reaction", "edit", "delete", "system", "unsupported"} else "message"
    return Item(
        account_id=account_id,
        external_id=message.id,
        kind=event,
        raw=raw,
        message=InboundMessage(
            channel_config_id="",
            external_id=message.id,
            sender=sender,
            kind=kind,
            reply_to=reply_to,
            conversation_id=message.group_id,
            sent_at=_time(message.timestamp),
            extra=extra,
            **content,
        ),
    )


def _content(message: Message) -> tuple[str, dict[str, Any]]:
    """Our kind of message, and the fields of InboundMessage that this kind fills."""
    kind = message.type
    if kind == "text" and message.text:
        return "text", {"text": message.text.body}
    if kind in _MEDIA and (media := getattr(message, kind)):
        return kind, _media(kind, media)
    reader = _READERS.get(kind)
    content = reader(message) if reader else None
    return content if content else ("unsupported", {})


def _media(kind: str, media: Media) -> dict[str, Any]:
    extra = {name: True for name in ("voice", "animated") if getattr(media, name)}
    attachment = Attachment(
        kind=kind, external_id=_text(media.id), url=media.url, media_type=media.mime_type, filename=media.filename
    )
    return {"text": media.caption, "attachments": (attachment,), "extra": extra}


def _read_location(message: Message) -> tuple[str, dict[str, Any]] | None:
    return ("location", {"extra": {"location": message.location}}) if message.location else None


def _read_contacts(message: Message) -> tuple[str, dict[str, Any]] | None:
    if not message.contacts:
        return None
    cards = []
    for card in message.contacts:
        name = card.get("name")
        shown = {
            "name": name.get("formatted_name") if isinstance(name, dict) else None,
            "phones": [phone.get("phone") or phone.get("wa_id") for phone in _objects(card.get("phones"))],
            "vcard": card.get("vcard"),
        }
        cards.append({key: value for key, value in shown.items() if value})
    return "contacts", {"extra": {"contacts": cards}}


def _read_interactive(message: Message) -> tuple[str, dict[str, Any]] | None:
    interactive = message.interactive or {}
    reply = interactive.get(str(interactive.get("type")))
    if not isinstance(reply, dict):
        return None
    extra: dict[str, Any] = {"type": interactive["type"]}
    if "response_json" in reply:
        try:
            extra["form"] = msgspec.json.decode(str(reply["response_json"]))
        except msgspec.DecodeError:
            extra["form"] = {"unreadable": str(reply["response_json"])}
    text = reply.get("title") or reply.get("body")
    payload = reply.get("id") or reply.get("response")
    return "interactive", {"text": _text(text), "payload": _text(payload), "extra": extra}


def _read_button(message: Message) -> tuple[str, dict[str, Any]] | None:
    button = message.button
    return ("postback", {"text": button.text, "payload": button.payload}) if button else None


def _read_order(message: Message) -> tuple[str, dict[str, Any]] | None:
    if not message.order:
        return None
    text = message.order.get("text")
    return "interactive", {"text": _text(text) or None, "extra": {"type": "order", "order": message.order}}


def _read_reaction(message: Message) -> tuple[str, dict[str, Any]] | None:
    reaction = message.reaction
    if not reaction:
        return None
    extra = {} if reaction.emoji else {"removed": True}
    return "reaction", {"text": reaction.emoji or None, "target": reaction.message_id, "extra": extra}


def _read_system(message: Message) -> tuple[str, dict[str, Any]] | None:
    system = message.system
    if not system:
        return None
    known = {"type": system.type, "new_sender": _text(system.wa_id), "new_sender_user_id": _text(system.user_id)}
    return "system", {"text": system.body, "extra": {key: value for key, value in known.items() if value}}


def _read_edit(message: Message) -> tuple[str, dict[str, Any]] | None:
    if not message.edit:
        return None
    try:
        _, content = _content(msgspec.convert({"id": message.id, **message.edit.message}, Message))
    except msgspec.ValidationError:
        content = {}
    known: dict[str, Any] = {key: content[key] for key in ("text", "attachments") if key in content}
    return "edit", {**known, "target": message.edit.original_message_id}


def _read_revoke(message: Message) -> tuple[str, dict[str, Any]] | None:
    return ("delete", {"target": message.revoke.original_message_id}) if message.revoke else None


_READERS = {
    "location": _read_location,
    "contacts": _read_contacts,
    "interactive": _read_interactive,
    "button": _read_button,
    "order": _read_order,
    "reaction": _read_reaction,
    "system": _read_system,
    "edit": _read_edit,
    "revoke": _read_revoke,
}


def _contact(message: Message, value: JSON) -> Contact | None:
    """The contact who sent the message: by id, never by position."""
    for raw in _list(value, "contacts"):
        try:
            contact = msgspec.convert(raw, Contact)
        except msgspec.ValidationError:
            continue
        same_phone = message.sender is not None and _text(contact.wa_id) == _text(message.sender)
        same_user = message.from_user_id is not None and contact.user_id == message.from_user_id
        if same_phone or same_user:
            return contact
    return None


def _sender(message: Message, contact: Contact | None) -> Sender | None:
    """The phone number leads as long as there is one; the business-scoped ids stand beside it, or alone."""
    ids = [message.sender, message.from_user_id, message.from_parent_user_id]
    if contact:
        ids += [contact.wa_id, contact.user_id, contact.parent_user_id]
    known = list(dict.fromkeys(text for text in map(_text, ids) if text))
    if not known:
        return None
    profile = contact.profile if contact else None
    return Sender(
        external_id=known[0],
        name=profile.name if profile else None,
        username=profile.username if profile else None,
        alternative_ids=tuple(known[1:]),
    )


def _status(account_id: str | None, status: Status, raw: JSON) -> Item:
    participant = (
        status.recipient_participant_id or status.participant_recipient_id or status.recipient_participant_user_id
    )
    external_id = f"{status.id}:{status.status}" + (f":{participant}" if participant else "")
    known = _STATUSES.get(status.status)
    if known is None:
        return Item(
            account_id=account_id,
            external_id=external_id,
            kind="status",
            ignored=f"unknown status {status.status[:50]!r}",
            raw=raw,
        )
    error: JSON = next(iter(_objects(status.errors)), {})
    return Item(
        account_id=account_id,
        external_id=external_id,
        kind="status",
        raw=raw,
        status=StatusUpdate(
            external_id=status.id,
            status=known,
            recipient=_text(status.recipient_id) or _text(status.recipient_user_id),
            correlation_id=status.biz_opaque_callback_data,
            at=_time(status.timestamp),
            error_code=_text(error.get("code")),
            error_message=_error_text(error) if error else None,
        ),
    )


def _history(account_id: str | None, value: JSON) -> Iterator[Item]:
    """Old threads of a number that was connected: kept in the ledger, never answered."""
    threads = [thread for part in _objects(value.get("history")) for thread in _objects(part.get("threads"))]
    messages = [message for holder in (*threads, value) for message in _objects(holder.get("messages"))]
    for raw in messages or [value]:
        yield _ignored(account_id, "history", raw, "history from before the number was connected")


def _other(account_id: str | None, field: str, change: JSON, value: JSON) -> Iterator[Item]:
    if field in _IGNORED:
        kind, key, reason = _IGNORED[field]
        for raw in _objects(value.get(key)) or [value]:
            yield _ignored(account_id, kind, raw, reason)
        return
    kind = next((kind for prefix, kind in _PREFIXES if field.startswith(prefix)), "other")
    if field.startswith("phone_number") or field in {"security", "business_capability_update"}:
        kind = "account"
    yield _ignored(account_id, kind, change, f"events of the field {field[:100]!r} are not handled")


def _ignored(account_id: str | None, kind: str, raw: Any, reason: str) -> Item:
    """An item that needs no action. Its id says its kind, so that it can never be taken for a message's repeat."""
    own = raw.get("id") if isinstance(raw, dict) and kind in {"echo", "history"} else None
    if not isinstance(own, str) or not own:
        own = hashlib.sha256(msgspec.json.encode(raw, order="deterministic")).hexdigest()[:32]
    document = raw if isinstance(raw, dict) else {"item": raw}
    return Item(account_id=account_id, external_id=f"{kind}:{own}", kind=kind, ignored=reason[:500], raw=document)


def _error_text(error: JSON) -> str:
    details = error.get("error_data")
    parts = [error.get("title") or error.get("message"), details.get("details") if isinstance(details, dict) else None]
    return ": ".join(dict.fromkeys(str(part) for part in parts if part)) or str(error.get("code"))


def _time(value: str | int | None) -> datetime | None:
    """WhatsApp counts seconds, in a string; a few events in a number."""
    if value is None:
        return None
    try:
        return datetime.fromtimestamp(int(value), UTC)
    except (ValueError, OverflowError, OSError):
        return None


def _text(value: Any) -> str | None:
    return str(value) if isinstance(value, str | int) else None


def _list(value: JSON, key: str) -> list[Any]:
    found = value.get(key)
    return found if isinstance(found, list) else []


def _objects(value: Any) -> list[JSON]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
