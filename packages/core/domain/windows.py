"""The time in which a platform lets a brand answer a customer freely."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol


class Rules(Protocol):
    """The two rules of a channel's capabilities, in hours; None where there is no such rule."""

    @property
    def window_hours(self) -> float | None:
        """Hours after the customer's last message in which anything may be sent."""

    @property
    def agent_window_hours(self) -> float | None:
        """Hours in which a person may still answer, under the platform's tag for that."""


@dataclass(frozen=True, slots=True)
class Window:
    """Whether an answer may go now. `until` is the window's end, None without a rule or before the first message.

    With `by_tag` only words that a person wrote may go, and under the platform's tag.
    """

    is_open: bool
    until: datetime | None = None
    by_tag: bool = False


def reply_window(rules: Rules, heard_at: datetime | None, now: datetime, *, by_person: bool) -> Window:
    """The window as it is now.

    Args:
        heard_at: when the customer last wrote; None if they never did.
        by_person: whether a person wrote the answer, and the account may say so to the platform.
    """
    if rules.window_hours is None:
        return Window(True)
    if heard_at is None:
        return Window(False)
    until = heard_at + timedelta(hours=rules.window_hours)
    if now < until:
        return Window(True, until)
    if by_person and rules.agent_window_hours is not None:
        longer = heard_at + timedelta(hours=rules.agent_window_hours)
        return Window(now < longer, longer, by_tag=now < longer)
    return Window(False, until)
