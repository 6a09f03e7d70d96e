"""Channels: the kinds, and a brand's account on one of them as an adapter sees it."""

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """What a channel can carry; what it cannot is planned around, not attempted.

    `text_limit` is in the channel's own unit (`text_unit`: characters or UTF-8 bytes); `window_hours` is the time after
    the customer's last message in which free text may be sent, None where there is no such rule; with `idempotent_send`
    a repeated send of the same message id shows nothing twice.
    """

    label: str
    text_limit: int
    text_unit: str = "characters"
    markdown: str = "none"
    window_hours: int | None = None
    media: tuple[str, ...] = ()
    quick_replies: int = 0
    typing: bool = False
    delivery_receipts: bool = False
    read_receipts: bool = False
    idempotent_send: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Channel:
    """A brand's account on a channel (a channel config), its credentials in clear. Never logged, never serialised."""

    id: str
    tenant_id: str
    brand_id: str
    kind: str
    name: str
    account_id: str | None
    credentials: Any = field(repr=False)
    settings: dict[str, Any] = field(default_factory=dict, repr=False)
    status: str = "active"
