"""What a simulated platform is. Each neighbour is one and exports `platform`, a subclass of `Platform`.

A platform plays two parts: its customers, who write through it to a brand (`write`), and its API, which the brand's
messages are sent to (`routes`). What it owes the gateway (webhooks, mostly) are errands: the courier repeats
`carry` until it succeeds.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, Self

import aiohttp
import structlog
from pydantic import BaseModel, ConfigDict, Field, model_validator
from starlette.routing import BaseRoute

from packages.core.domain.channels import Channel
from services.channel_gateway.simulator.accounts import Accounts
from services.channel_gateway.simulator.courier import Courier, Receipt
from services.channel_gateway.simulator.faults import FaultBox
from services.channel_gateway.simulator.records import Errand, Records, Written
from services.channel_gateway.simulator.settings import SimulatorSettings
from services.channel_gateway.simulator.typing_marks import TypingMarks

log = structlog.get_logger(__name__)


class Line(BaseModel):
    """One message of a customer."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    sender: str | None = Field(None, alias="from", min_length=1, max_length=200, description="who writes")
    text: str | None = Field(None, max_length=65_536)
    name: str | None = Field(None, max_length=200, description="the writer's profile name")
    external_id: str | None = Field(None, min_length=1, max_length=400, description="the platform's id of the message")
    channel_config_id: str | None = Field(None, description="another account than the one in the URL (in a batch)")
    message: dict[str, Any] | None = Field(
        None, description="the platform's own form of it, for kinds other than text, such as {type, image: {…}}"
    )


class CustomerMessage(Line):
    """One message, or a batch of several, that customers write; and in which way the platform passes it on."""

    duplicates: int = Field(0, ge=0, le=100, description="how many times more than once it is passed on")
    batch: list[Line] = Field(default_factory=list, max_length=1000, description="further messages in the same webhook")
    reorder: bool = Field(False, description="a batch comes in reverse order; a single message may be overtaken")
    delay_ms: int = Field(0, ge=0, le=86_400_000, description="how long the platform holds it back")
    forged: bool = Field(False, description="signed with a false secret; attempted once, never repeated")
    mode: Literal["channel", "meta"] | None = Field(
        None, description="URL of the channel config, or of the app that serves many (default: as last time)"
    )
    headers: dict[str, str] = Field(default_factory=dict, description="more headers, or others than usual")

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if not self.lines:
            raise ValueError("give `text` and `from`, or a `batch`")
        for line in self.lines:
            if line.sender is None or (line.text is None and line.message is None):
                raise ValueError("each message needs `from`, and `text` or `message`")
        return self

    @property
    def lines(self) -> list[Line]:
        """All messages, in the order they were written."""
        own = [] if self.text is None and self.message is None else [self]
        return [*own, *self.batch]


@dataclass(frozen=True, slots=True)
class Writing:
    """What customers wrote, and the errands by which the gateway hears of it."""

    written: list[Written]
    errands: list[Errand]


@dataclass(frozen=True)
class Stage:
    """What every platform works with."""

    settings: SimulatorSettings
    accounts: Accounts
    records: Records
    courier: Courier
    faults: FaultBox
    http: aiohttp.ClientSession
    typing: TypingMarks = field(default_factory=TypingMarks)


class Platform(ABC):
    """One platform, for the life of one process."""

    kind: ClassVar[str]
    """The channel it plays."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage

    def routes(self) -> list[BaseRoute]:
        """Its API, at the platform's own paths."""
        return []

    @abstractmethod
    async def write(self, account: Channel, message: CustomerMessage) -> Writing:
        """Put a customer's message into the platform's form.

        Raises:
            InvalidInput, NotFound: it cannot be said on this platform.
        """

    @abstractmethod
    async def carry(self, errands: list[Errand]) -> Receipt:
        """One attempt for errands of one batch. Never raises for what the gateway or the network does."""

    async def start(self) -> None:
        """Begin whatever goes on beside requests."""
        log.debug("platform_started", platform=self.kind)

    async def stop(self) -> None:
        """End it."""
        log.debug("platform_stopped", platform=self.kind)
