"""Items of an Instagram webhook: how an event of a conversation, and what needs no action, become one."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import msgspec

from packages.core.domain.messages import InboundMessage, Sender
from services.channel_gateway.channels import Item
from services.channel_gateway.channels.instagram.content import text
from services.channel_gateway.channels.instagram.payloads import JSON, Event

_EVENTS = frozenset(
    {"reaction", "edit", "delete", "referral", "optin", "thread_control", "comment", "postback", "unsupported"}
)
_LATEST_SECONDS = 100_000_000_000
"""A number above it counts milliseconds: in seconds it would lie in the year 5138, in milliseconds in 1973."""


@dataclass(frozen=True, slots=True)
class Happened:
    """An event, whose account it is of, and between whom: `person` is never our own side."""

    account_id: str
    event: Event
    raw: JSON
    person: str
    by_us: bool
    standby: bool

    @property
    def at(self) -> datetime | None:
        """When it happened."""
        return moment(self.event.timestamp)

    def item(self, external_id: str, kind: str, **fields: Any) -> Item:
        """The item of a message or an event, of the person or (an echo) of our side."""
        return Item(
            account_id=self.account_id,
            external_id=external_id,
            kind="echo" if self.by_us else kind if kind in _EVENTS else "message",
            raw=self.raw,
            message=InboundMessage(
                channel_config_id="",
                external_id=external_id,
                sender=Sender(external_id=self.person),
                kind=kind,
                standby=self.standby,
                echo=self.by_us,
                sent_at=self.at,
                **fields,
            ),
        )

    def own_id(self, kind: str, mid: str | None = None) -> str:
        """The id of an event that has none: made of what it is about, or of its content."""
        return f"{kind}:{mid or digest(self.raw)}"


def ignored(account_id: str | None, kind: str, raw: Any, reason: str, own_id: str | None = None) -> Item:
    """An item that needs no action. Its id says its kind, so that it can never be taken for a message's repeat."""
    document = raw if isinstance(raw, dict) else {"item": raw}
    return Item(
        account_id=account_id,
        external_id=f"{kind}:{own_id or digest(document)}",
        kind=kind,
        ignored=reason[:500],
        raw=document,
    )


def malformed(account_id: str | None, what: str, raw: Any, reason: object) -> Item:
    """An item that is in no known form."""
    return ignored(account_id, "malformed", raw, f"malformed {what}: {reason}")


def digest(document: Mapping[str, Any]) -> str:
    """An id of a document that has none: the same for the same content, whatever the order of its keys."""
    return hashlib.sha256(msgspec.json.encode(document, order="deterministic")).hexdigest()[:32]


def moment(value: Any) -> datetime | None:
    """A time stamp: milliseconds, or seconds, in a number or a string."""
    known = text(value)
    if known is None:
        return None
    try:
        number = int(known)
        return datetime.fromtimestamp(number / 1000 if number > _LATEST_SECONDS else number, UTC)
    except (ValueError, OverflowError, OSError):
        return None
