"""Fields of a WhatsApp webhook beside `messages`: the brand's own words elsewhere, old threads, wishes, calls, groups.

After Meta's pages on the fields smb_message_echoes, history, user_preferences, calls and group_…_update.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any, TypeVar

import msgspec

from packages.core.domain.messages import InboundMessage, Sender
from services.channel_gateway.channels import Item
from services.channel_gateway.channels.whatsapp.content import objects, text
from services.channel_gateway.channels.whatsapp.errors import own_words
from services.channel_gateway.channels.whatsapp.items import (
    Change,
    digest,
    ignored,
    malformed,
    message_item,
    moment,
)
from services.channel_gateway.channels.whatsapp.payloads import Call, CallStatus, Group, Message, Preference

T = TypeVar("T")

_PREFERENCES = {
    "stop": "The customer does not want marketing messages any more.",
    "resume": "The customer wants marketing messages again.",
    "signup": "The customer signed up for marketing messages.",
}
_CALL_EVENTS = {"connect": "calls", "terminate": "ended the call with"}
_PLACEHOLDER = "A file of that time; it follows where WhatsApp still has it."


def _each(change: Change, key: str, kind: type[T], what: str) -> Iterator[tuple[T | Item, Any]]:
    """The members of a list, each converted or malformed by itself. An absent or empty list is an item, too."""
    found = change.value.get(key)
    if not isinstance(found, list) or not found:
        yield ignored(change, "other", change.whole, f"the change holds no {what}"), None
        return
    for raw in found:
        try:
            yield msgspec.convert(raw, kind), raw
        except msgspec.ValidationError as error:
            yield malformed(change, what, raw, error), raw


def _event(change: Change, kind: str, external_id: str, person: Sender, raw: Any, **fields: Any) -> Item:
    return Item(
        account_id=change.account_id,
        external_id=external_id,
        kind=kind,
        raw=raw,
        message=InboundMessage(channel_config_id="", external_id=external_id, sender=person, kind=kind, **fields),
    )


def _echoes(change: Change) -> Iterator[Item]:
    """What the business wrote itself, in its phone app."""
    for message, raw in _each(change, "message_echoes", Message, "echo"):
        if isinstance(message, Item):
            yield message
            continue
        person = change.person(message.to, message.to_user_id, message.to_parent_user_id)
        if (person is None and not message.group_id) or not message.id:
            yield malformed(change, "echo", raw, "it has no recipient or no id")
            continue
        yield message_item(change, message, raw, person or Sender(external_id=str(message.group_id)), echo=True)


def _history(change: Change) -> Iterator[Item]:
    """Old threads of a number that was connected; media follow later, as messages of the same field."""
    parts = objects(change.value.get("history"))
    for part in parts:
        for error in objects(part.get("errors")):
            yield ignored(change, "account", part, f"WhatsApp gives no history of the number: {own_words(error)}")
        for thread in objects(part.get("threads")):
            context = thread.get("context")
            ids = (context.get("wa_id"), context.get("user_id")) if isinstance(context, dict) else ()
            for message, raw in _each(_thread(change, thread), "messages", Message, "message"):
                yield _old(change, message, raw, (thread.get("id"), *ids))
    if "messages" in change.value:
        for message, raw in _each(change, "messages", Message, "message"):
            yield _old(change, message, raw, ())
    elif not parts:
        yield ignored(change, "history", change.whole, "the change holds no part of a history")


def _thread(change: Change, thread: Mapping[str, Any]) -> Change:
    """The change narrowed to one thread of a history."""
    value = {"metadata": change.value.get("metadata"), "messages": thread.get("messages")}
    return Change(change.business_id, change.account_id, change.field, value, dict(thread))


def _old(change: Change, message: Message | Item, raw: Any, customer: tuple[Any, ...]) -> Item:
    """An old message: of the thread's customer, or of the brand (which is its sender, or which names a recipient)."""
    if isinstance(message, Item):
        return message
    ours = text(message.to) is not None or text(message.to_user_id) is not None
    ours = ours or text(message.sender) in change.own_addresses
    ids: tuple[Any, ...] = (message.to, message.to_user_id) if ours else (message.sender, message.from_user_id)
    person = change.person(*(ids if any(map(text, ids)) and not (ours and customer) else customer))
    if person is None or not message.id:
        return malformed(change, "message", raw, "it has no customer or no id")
    if message.type != "media_placeholder":
        return message_item(change, message, raw, person, echo=ours, historic=True)
    # The file that may follow has the same id, and must not pass for a repeat of its placeholder.
    item = _event(
        change,
        "unsupported",
        f"{message.id}:placeholder",
        person,
        raw,
        text=_PLACEHOLDER,
        sent_at=moment(message.timestamp),
        historic=True,
        echo=ours,
        extra={"type": message.type},
    )
    return replace(item, kind="echo") if ours else item


def _preferences(change: Change) -> Iterator[Item]:
    """Whether people want marketing messages."""
    for wish, raw in _each(change, "user_preferences", Preference, "preference"):
        if isinstance(wish, Item):
            yield wish
            continue
        person = change.person(wish.wa_id, wish.user_id)
        if person is None:
            yield malformed(change, "preference", raw, "it is nobody's")
            continue
        extra = {"category": wish.category, "value": wish.value, "detail": wish.detail, "signup_id": wish.signup_id}
        yield _event(
            change,
            "preference",
            f"preference:{digest(raw)}",
            person,
            raw,
            text=_PREFERENCES.get(wish.value) or wish.detail or f"{wish.category}: {wish.value}",
            sent_at=moment(wish.timestamp),
            extra={key: value for key, value in extra.items() if value},
        )


def _calls(change: Change) -> Iterator[Item]:
    """Calls, and how far our own calls have come. Their `statuses` are not those of messages."""
    has_statuses = bool(change.value.get("statuses"))
    if change.value.get("calls") or not has_statuses:
        for call, raw in _each(change, "calls", Call, "call"):
            yield call if isinstance(call, Item) else _call(change, call, raw)
    if has_statuses:
        for status, raw in _each(change, "statuses", CallStatus, "call status"):
            yield status if isinstance(status, Item) else _call_status(change, status, raw)


def _call(change: Change, call: Call, raw: Any) -> Item:
    ours = call.direction == "BUSINESS_INITIATED"
    person = change.person(*((call.to, call.to_user_id) if ours else (call.sender, call.from_user_id)))
    if person is None or not call.id:
        return malformed(change, "call", raw, "it has no caller or no id")
    extra = {"event": call.event, "direction": call.direction, "status": call.status, "duration": call.duration}
    return _event(
        change,
        "call",
        f"{call.id}:{call.event}",
        person,
        raw,
        text=_call_words(call, ours),
        sent_at=moment(call.timestamp),
        extra={"call_id": call.id, **{key: value for key, value in extra.items() if value is not None}},
    )


def _call_words(call: Call, ours: bool) -> str:
    if call.event == "connect":
        return "A call to the customer is being connected." if ours else "The customer is calling."
    if call.event != "terminate":
        return f"Call: {call.event}."
    if call.duration:
        return f"The call has ended after {call.duration} seconds."
    return "The call has ended without being answered."


def _call_status(change: Change, status: CallStatus, raw: Any) -> Item:
    person = change.person(status.recipient_id, status.recipient_user_id)
    if person is None or not status.id:
        return malformed(change, "call status", raw, "it has no recipient or no id")
    return _event(
        change,
        "call",
        f"{status.id}:{status.status}",
        person,
        raw,
        text=f"Call to the customer: {status.status.lower()}.",
        sent_at=moment(status.timestamp),
        extra={"call_id": status.id, "event": "status", "status": status.status},
    )


def _groups(change: Change) -> Iterator[Item]:
    """A group was made, renamed, closed, or its members changed."""
    for group, raw in _each(change, "groups", Group, "group"):
        if isinstance(group, Item):
            yield group
        elif not group.group_id:
            yield malformed(change, "group", raw, "it has no id")
        else:
            yield _group(change, group, raw)


def _group(change: Change, group: Group, raw: Any) -> Item:
    added, removed = _members(group.added_participants), _members(group.removed_participants)
    people = [text(group.wa_id) or text(group.user_id), *added, *removed]
    one = next((person for person in people if person), None)
    lists = {"added": added, "removed": removed, "failed": _members(group.failed_participants)}
    known = {"type": group.type, "subject": group.subject, "reason": group.reason, **lists, "errors": group.errors}
    return _event(
        change,
        "group",
        f"group:{digest(raw)}",
        # Whoever it is about; the group itself where it is about nobody.
        (change.person(one) if one else None) or Sender(external_id=group.group_id, name=group.subject),
        raw,
        conversation_id=group.group_id,
        text=_group_words(group, added, removed),
        sent_at=moment(group.timestamp),
        extra={key: value for key, value in known.items() if value},
    )


def _group_words(group: Group, added: list[str], removed: list[str]) -> str:
    words = {
        "group_create": f"The group {group.subject!r} was made." if group.subject else "The group was made.",
        "group_delete": "The group was deleted.",
        "group_join_request_created": "Somebody asks to join the group.",
        "group_join_request_revoked": "A request to join the group was taken back.",
        "group_suspend": "WhatsApp has suspended the group.",
        "group_suspend_cleared": "The group is no longer suspended.",
    }
    parts = [words.get(group.type, "")]
    parts += [f"Joined the group: {', '.join(added)}."] if added else []
    parts += [f"Left the group: {', '.join(removed)}."] if removed else []
    if group.errors:
        parts.append(f"WhatsApp reports: {own_words(group.errors[0])}.")
    return " ".join(part for part in parts if part) or f"Group event: {group.type}."


def _members(found: list[dict[str, Any]] | None) -> list[str]:
    ids = (
        text(member.get("wa_id")) or text(member.get("user_id")) or text(member.get("input")) for member in found or ()
    )
    return [own for own in ids if own]


def _contact_sync(change: Change) -> Iterator[Item]:
    for raw in objects(change.value.get("state_sync")) or [change.value]:
        yield ignored(change, "contact_sync", raw, "contacts of the business's phone app are not kept")


EVENTS: Mapping[str, Callable[[Change], Iterator[Item]]] = {
    "smb_message_echoes": _echoes,
    "message_echoes": _echoes,
    "history": _history,
    "user_preferences": _preferences,
    "calls": _calls,
    "group_lifecycle_update": _groups,
    "group_participants_update": _groups,
    "group_settings_update": _groups,
    "group_status_update": _groups,
    "smb_app_state_sync": _contact_sync,
}
"""How each field is read; what is not here is an event of the account."""
