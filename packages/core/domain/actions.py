"""What the bot may do besides answering. Model output only ever asks; policy decides."""

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionRequest:
    """An action that a draft asks for. `idempotency_key` makes repeats of one turn step harmless."""

    name: str
    arguments: dict[str, Any] = field(default_factory=dict)
    idempotency_key: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionResult:
    """What an action gave; `data` is data for the draft, never instructions."""

    name: str
    ok: bool
    data: dict[str, Any] = field(default_factory=dict)
    error: str | None = None
