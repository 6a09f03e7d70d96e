"""Channels: the kinds, and a brand's account on one of them as an adapter sees it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """A token bucket: `per_second` sends come in, up to `burst` are saved up."""

    per_second: float
    burst: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """What a channel can carry; what it cannot is planned around, not attempted.

    Limits of text are in the channel's own unit (`text_unit`: characters, bytes of UTF-8, or UTF-16 units); `markdown`
    names the dialect that our markdown subset is translated to. `window_hours` is the time after the customer's last
    message in which free text may be sent, `agent_window_hours` the same for words that a person wrote; None where
    there is no such rule. `media` maps each kind of file to its largest size in bytes. `buttons` are shown beneath a
    text, `list_rows` behind one button; what exceeds both becomes numbered lines of text. With `idempotent_send` a
    repeated send of the same message id shows nothing twice; with `reports_sends` the platform says afterwards what
    became of a send whose answer was lost.
    """

    label: str
    text_limit: int
    text_unit: str = "characters"
    markdown: str = "none"
    window_hours: float | None = None
    agent_window_hours: float | None = None
    media: Mapping[str, int] = field(default_factory=dict)
    caption_limit: int = 0
    buttons: int = 0
    button_limit: int = 0
    link_buttons: int = 0
    list_rows: int = 0
    templates: bool = False
    reactions: bool = False
    typing: bool = False
    read_marks: bool = False
    delivery_receipts: bool = False
    read_receipts: bool = False
    idempotent_send: bool = False
    reports_sends: bool = False
    account_rate: Rate | None = None
    person_rate: Rate | None = None
    group_rate: Rate | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Channel:
    """A brand's account on a channel (a channel config), its credentials in clear. Never logged, never serialised.

    `webhook_url` is the public address at which the platform reaches this account.
    """

    id: str
    tenant_id: str
    brand_id: str
    kind: str
    name: str
    account_id: str | None
    credentials: Any = field(repr=False)
    settings: dict[str, Any] = field(default_factory=dict, repr=False)
    status: str = "active"
    status_reason: str | None = None
    webhook_url: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was checked of an account: what is so, in plain words, and what to do where it is not good.

    `check` names what was looked at (token, webhook, subscription, secret, public_url, quality, templates, reachable);
    `level` is ok, info, warning or error. An error that the platform itself stated is `definite`: the account cannot
    work until somebody acts.
    """

    check: str
    level: str
    message: str
    remedy: str | None = None
    definite: bool = False
