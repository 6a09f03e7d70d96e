"""Items of a WhatsApp webhook: how a person's message, and what needs no action, become one."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

import msgspec

from packages.core.domain.messages import InboundMessage, Sender
from services.channel_gateway.channels import Item
from services.channel_gateway.channels.whatsapp.content import content, objects, text
from services.channel_gateway.channels.whatsapp.errors import explanation
from services.channel_gateway.channels.whatsapp.payloads import Contact, Message

JSON = dict[str, Any]

_EVENTS = frozenset({"reaction", "edit", "delete", "system", "unsupported"})


@dataclass(frozen=True)
class Change:
    """One change of a webhook: the field that it is of, its value, and whose it is."""

    business_id: str | None
    account_id: str | None
    field: str
    value: JSON
    whole: JSON

    @cached_property
    def contacts(self) -> Mapping[str, Contact]:
        """The people who occur in it, by each of their ids; they are not in step with its messages."""
        found: dict[str, Contact] = {}
        for raw in objects(self.value.get("contacts")):
            try:
                contact = msgspec.convert(raw, Contact)
            except msgspec.ValidationError:  # a contact only adds a name
                continue
            for own in (contact.wa_id, contact.user_id):
                if known := text(own):
                    found.setdefault(known, contact)
        return found

    @cached_property
    def own_addresses(self) -> frozenset[str]:
        """Under what our side may occur as somebody's sender: the printed number's digits, and the number's id."""
        metadata = self.value.get("metadata")
        printed = text(metadata.get("display_phone_number")) if isinstance(metadata, dict) else None
        digits = "".join(character for character in printed or "" if character.isdigit())
        return frozenset(address for address in (digits, self.account_id) if address)

    def person(self, *ids: object) -> Sender | None:
        """A person under all their ids. The phone number leads as long as there is one; the business-scoped ids stand
        beside it, or alone. None without any id."""
        contact = next((self.contacts[own] for own in map(text, ids) if own and own in self.contacts), None)
        every: tuple[object, ...] = ids
        if contact:
            every = (*ids, contact.wa_id, contact.user_id, contact.parent_user_id)
        known = list(dict.fromkeys(found for own in every if (found := text(own))))
        if not known:
            return None
        profile = contact.profile if contact else None
        return Sender(
            external_id=known[0],
            name=profile.name if profile else None,
            username=profile.username if profile else None,
            alternative_ids=tuple(known[1:]),
        )


def message_item(
    change: Change, message: Message, raw: JSON, person: Sender, *, echo: bool = False, historic: bool = False
) -> Item:
    """The item of a message, of `person` or (an echo) to them."""
    kind, fields = content(message)
    extra = fields.pop("extra", {}) | _surroundings(message)
    if kind == "unsupported" and not message.errors and (errors := objects(change.value.get("errors"))):
        extra |= {"errors": errors, "explanation": explanation(errors[0])}
    event = "echo" if echo else kind if kind in _EVENTS else "message"
    return Item(
        account_id=change.account_id,
        external_id=message.id,
        kind=event,
        raw=raw,
        message=InboundMessage(
            channel_config_id="",
            external_id=message.id,
            sender=person,
            kind=kind,
            reply_to=message.context.id if message.context else None,
            conversation_id=message.group_id,
            addressed=bool(message.group_id) and _addressed(change, message),
            sent_at=moment(message.timestamp),
            historic=historic,
            echo=echo,
            extra=extra,
            **fields,
        ),
    )


def _surroundings(message: Message) -> JSON:
    """What comes with a message of any kind."""
    extra: JSON = {}
    if context := message.context:
        if context.forwarded or context.frequently_forwarded:
            extra["forwarded"] = "many" if context.frequently_forwarded else True
        if context.referred_product:
            extra["referred_product"] = context.referred_product
    if message.referral:
        extra["referral"] = message.referral
    if message.errors:
        extra |= {"errors": message.errors, "explanation": explanation(message.errors[0])}
    if message.history_context and (state := text(message.history_context.get("status"))):
        extra["history_status"] = state.lower()
    return extra


def _addressed(change: Change, message: Message) -> bool:
    """Whether a group's member speaks to us: answers one of our messages, or names our number."""
    if message.context and text(message.context.sender) in change.own_addresses:
        return True
    words = message.text.body if message.text else ""
    return any(f"@{address}" in words for address in change.own_addresses)


def ignored(change: Change | None, kind: str, raw: Any, reason: str, own_id: str | None = None) -> Item:
    """An item that needs no action. Its id says its kind, so that it can never be taken for a message's repeat; without
    an id of its own it comes from the content."""
    document = raw if isinstance(raw, dict) else {"item": raw}
    if own_id is None:
        own_id = digest(document)
    account_id = change.account_id if change else None
    return Item(account_id=account_id, external_id=f"{kind}:{own_id}", kind=kind, ignored=reason[:500], raw=document)


def malformed(change: Change, what: str, raw: Any, reason: object) -> Item:
    """An item that is in no known form."""
    return ignored(change, "malformed", raw, f"malformed {what}: {reason}")


def digest(document: Mapping[str, Any]) -> str:
    """An id of a document that has none: the same for the same content, whatever the order of its keys."""
    return hashlib.sha256(msgspec.json.encode(document, order="deterministic")).hexdigest()[:32]


def moment(value: str | int | None) -> datetime | None:
    """A time stamp: WhatsApp counts seconds, in a string; a few events in a number."""
    if value is None:
        return None
    try:
        return datetime.fromtimestamp(int(value), UTC)
    except (ValueError, OverflowError, OSError):
        return None
