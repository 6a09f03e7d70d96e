"""May this message go now? The one place that decides, for bot, agents, system and automation alike.

Platforms let a brand write freely only for some time after the customer's last words (docs/adr/0010). Outside of it a
message goes under the tag for human agents, as the account's approved template, or waits until the customer writes.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from packages.core.domain.channels import Capabilities
from packages.core.domain.messages import OutboundResponse, Template
from packages.core.domain.windows import Window, reply_window
from services.channel_gateway.formatting import shortened

WINDOW_CLOSED = "window_closed"
_PARAMETER_LIMIT = 900


@dataclass(frozen=True, slots=True)
class Go:
    """Send it; `outside_window` under the platform's tag for people's answers."""

    outside_window: bool = False


@dataclass(frozen=True, slots=True)
class Fallback:
    """Send the account's template in its place."""

    template: Template


@dataclass(frozen=True, slots=True)
class Hold:
    """Keep it until the customer writes again."""

    reason: str


Plan = Go | Fallback | Hold
_FREELY = Go()


def plan(
    response: OutboundResponse,
    capabilities: Capabilities,
    settings: Mapping[str, Any],
    *,
    heard_at: datetime | None,
    now: datetime,
    window_closed: bool = False,
    parts_sent: int = 0,
) -> Plan:
    """What may be done with a message.

    Args:
        settings: the account's. `template_fallback` {name, language, parameters} names a template (`parameters` 0 where
            it has none, else the text becomes the first one); `human_agent` false says that the platform did not grant
            the tag for human agents.
        heard_at: when the customer last wrote.
        window_closed: the platform refused the message for that already, whatever the clock says.
        parts_sent: parts that the customer has; what begins as free text does not go on as a template.
    """
    if response.template or (capabilities.window_hours is None and not window_closed):
        return _FREELY
    by_person = response.author == "agent" and settings.get("human_agent", True) is not False
    window = reply_window(capabilities, heard_at, now, by_person=by_person)
    if window.is_open and not window_closed:
        return Go(outside_window=True) if window.by_tag else _FREELY
    template = _fallback(response, capabilities, settings)
    if template and not parts_sent:
        return Fallback(template)
    return Hold(_reason(capabilities, window))


def _fallback(response: OutboundResponse, capabilities: Capabilities, settings: Mapping[str, Any]) -> Template | None:
    stated = settings.get("template_fallback")
    if not capabilities.templates or not isinstance(stated, Mapping) or not stated.get("name"):
        return None
    if response.reaction or response.attachments:
        return None
    takes_text = stated.get("parameters", 1) != 0
    words = " ".join(response.text.split())  # no platform takes line breaks in a parameter
    if takes_text and not words:
        return None
    body = (shortened(words, _PARAMETER_LIMIT),) if takes_text else ()
    return Template(name=str(stated["name"]), language=str(stated.get("language") or "en"), body=body)


def _reason(capabilities: Capabilities, window: Window) -> str:
    hours = capabilities.window_hours
    if hours is None:
        return "This message cannot be delivered until the customer writes again; the platform says so."
    since = "the customer has not written yet" if window.until is None else f"the last one is over {hours:g} hours old"
    return (
        f"This message cannot be delivered until the customer writes again: {capabilities.label} lets brands answer"
        f" within {hours:g} hours of a customer's message, and {since}."
    )
