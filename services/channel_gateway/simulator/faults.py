"""Faults to order: how often a platform refuses, stalls, drops a connection, or is late with its news."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

from packages.core.errors import InvalidInput
from services.channel_gateway.simulator.chance import DICE
from services.channel_gateway.simulator.records import Records

EVERY_CHANNEL = "*"
Rate = Annotated[float, Field(ge=0, le=1)]


class Faults(BaseModel):
    """What goes wrong with one channel. Rates are shares of all sends; at most one of them strikes a send."""

    model_config = ConfigDict(extra="forbid")

    rate_429: Rate = Field(0.0, description="refused for the platform's rate limit, in the platform's own form")
    rate_500: Rate = Field(0.0, description="refused with the platform's own server error")
    rate_502: Rate = Field(0.0, description="refused with an HTML page of a proxy")
    rate_timeout: Rate = Field(0.0, description="accepted, but never answered")
    rate_reset: Rate = Field(0.0, description="connection reset, not accepted")
    rate_reset_after: Rate = Field(0.0, description="accepted, then connection reset before the answer")
    errors: dict[str, Rate] = Field(
        default_factory=dict, description="the platform's own error codes, with their rates"
    )
    timeout_seconds: float = Field(60.0, gt=0, description="how long an unanswered send hangs")
    rate_failed: Rate = Field(0.0, description="accepted, reported as failed afterwards")
    rate_duplicate: Rate = Field(0.0, description="status webhooks that are posted twice")
    rate_batched: Rate = Field(0.1, description="status webhooks that take others along in the same request")
    rate_late: Rate = Field(0.0, description="status webhooks held back, so that later ones overtake them")
    status_delay_ms: int | None = Field(None, ge=0, description="between accepted, sent, delivered and read")
    statuses: list[str] = Field(["sent", "delivered", "read"], description="statuses that are reported, in order")

    @model_validator(mode="after")
    def _at_most_all(self) -> "Faults":
        if sum(self.rates.values()) > 1:
            raise ValueError("the rates of faults that exclude each other add up to more than 1")
        return self

    @property
    def rates(self) -> dict[str, float]:
        """Each fault that can strike a send, with its rate; the platform's own codes keep their names."""
        named = {name.removeprefix("rate_"): getattr(self, name) for name in _STRIKING}
        return {name: rate for name, rate in {**named, **self.errors}.items() if rate > 0}

    def strike(self) -> str | None:
        """The fault that befalls the next send, if any: 429, 500, 502, timeout, reset, reset_after or an error code."""
        point = DICE.random()
        for name, rate in self.rates.items():
            point -= rate
            if point < 0:
                return name
        return None


_STRIKING = ("rate_429", "rate_500", "rate_502", "rate_timeout", "rate_reset", "rate_reset_after")
_NONE = Faults()


class FaultBox:
    """The faults in force, by channel; they outlive the process."""

    def __init__(self, records: Records) -> None:
        self._records = records
        self._faults: dict[str, Faults] = {}

    async def load(self) -> None:
        """Take up what was in force."""
        stored = await self._records.note("faults") or {}
        self._faults = {channel: Faults.model_validate(values) for channel, values in stored.items()}

    def of(self, channel: str) -> Faults:
        """What is in force on a channel: its own, else that of every channel, else nothing."""
        return self._faults.get(channel) or self._faults.get(EVERY_CHANNEL) or _NONE

    async def put(self, values: dict[str, Any], channels: list[str]) -> None:
        """Replace the faults of `values["channel"]`, of every channel where it is absent.

        Raises:
            InvalidInput: there is no such channel.
        """
        channel = values.pop("channel", None) or EVERY_CHANNEL
        if channel not in (EVERY_CHANNEL, *channels):
            raise InvalidInput(f"No channel {channel!r} is simulated; there are: {', '.join(channels)}.")
        self._faults[channel] = Faults.model_validate(values)
        await self._keep()

    async def clear(self) -> None:
        """Everything works again."""
        self._faults = {}
        await self._keep()

    def shown(self) -> dict[str, Any]:
        """All that is in force."""
        return {channel: faults.model_dump() for channel, faults in self._faults.items()}

    async def _keep(self) -> None:
        await self._records.save(errands=[], sent=[], written=[], notes=[("faults", self.shown())])
