"""What a channel is. Each neighbour is one channel and exports `channel`, an object of this class.

A channel knows one platform's protocol and nothing else: storage, retries, rate limits, ownership, routing, the
splitting of texts and the checking of files lie outside, once for all. `verify` and `parse` are pure; everything
that takes `http` speaks to the platform, within a time limit that the caller sets.
"""

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

import aiohttp
from pydantic import BaseModel

from packages.core.domain.channels import Capabilities, Finding
from packages.core.domain.channels import Channel as Account
from packages.core.domain.messages import Attachment, Button, InboundMessage, Reaction, Signal, StatusUpdate, Template
from packages.core.errors import AppError


class Forged(AppError):
    """The request is not signed by the platform. Nothing of it is stored."""

    code = "bad_signature"
    status = 401


class Unreadable(AppError):
    """The request is authentic, but not in the platform's form at all."""

    code = "malformed_webhook"
    status = 400


class FileUnavailable(Exception):
    """A customer's file cannot be had. With `retryable` it may be later; `reason` is for people."""

    def __init__(self, reason: str, *, retryable: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.retryable = retryable


@dataclass(frozen=True, slots=True)
class WebhookRequest:
    """A webhook as it came: header names in lower case, the body's raw bytes, the URL as the public sees it."""

    method: str
    url: str
    headers: Mapping[str, str]
    query: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One item of a webhook, still to be routed by `account_id` (None: the account whose URL was called).

    `external_id` is unique per account and tells repeats apart. Exactly one of `message` (its channel_config_id still
    empty), `status` and `ignored` is set. `kind` is message, echo, status, one of EVENT_KINDS, or what was ignored:
    account, template, channel_error (these three show in the account's diagnosis), foreign, malformed, other …
    """

    account_id: str | None
    external_id: str
    kind: str
    message: InboundMessage | None = None
    status: StatusUpdate | None = None
    ignored: str | None = None
    raw: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """A file to send: its bytes are `read` when needed; `url` is a public address of it that lives for minutes."""

    kind: str
    media_type: str
    filename: str
    size: int
    url: str
    read: Callable[[], Awaitable[bytes]] = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """What goes to the platform in one request; a message is one part or several.

    `text` is in the platform's dialect, escaped and within its limit; `plain` is the same without any mark-up. A file's
    caption is its `text`. Exactly one of text alone, `file`, `template` and `reaction` is the content; `buttons` are
    within the channel's limits. `correlation_id` identifies the part on every repeat, and is what a platform may be
    given to say later what became of it. `author` is bot, agent or system.
    """

    correlation_id: str
    message_id: str
    conversation_id: str
    recipient: str
    author: str
    text: str = ""
    plain: str = ""
    file: File | None = None
    buttons: tuple[Button, ...] = ()
    template: Template | None = None
    reaction: Reaction | None = None
    reply_to: str | None = None
    outside_window: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SendResult:
    """How one send ended.

    sent: the platform took it (`external_id`; None for what has no id, such as a reaction). retry: it did not, and may
    later (`retry_after` seconds, if it said). held: not before the customer writes again. failed: it never will
    (`code`, `reason` in plain words). in_doubt: nobody knows, no answer came after it left.

    A retry or failure that holds for every message of the account has `scope` account; one that says that the account
    is out of order until somebody acts (token, permission, payment) is `account_down` as well. `moved_to` is the
    conversation's new address: the same part goes there.
    """

    outcome: Literal["sent", "retry", "held", "failed", "in_doubt"]
    external_id: str | None = None
    code: str | None = None
    reason: str | None = None
    retry_after: float | None = None
    scope: Literal["person", "account"] = "person"
    account_down: bool = False
    moved_to: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Download:
    """A customer's file on its way: what the platform says of it, and its bytes in pieces."""

    chunks: AsyncIterator[bytes]
    media_type: str | None = None
    filename: str | None = None
    size: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TemplateInfo:
    """A template as the platform lists it. `body`, `header`, `buttons` say how many variables each takes."""

    name: str
    language: str
    status: str
    category: str | None = None
    text: str = ""
    body: int = 0
    named: tuple[str, ...] = ()
    header: str | None = None
    header_parameters: int = 0
    buttons: int = 0


class Channel(ABC):
    """One platform."""

    capabilities: ClassVar[Capabilities]
    Credentials: ClassVar[type[BaseModel]]
    webhook_methods: ClassVar[tuple[str, ...]] = ("POST",)
    """Methods by which the platform delivers events."""

    def capabilities_for(self, account: Account) -> Capabilities:
        """What this account can carry, where accounts of one channel differ (an SMS and a WhatsApp number)."""
        return self.capabilities

    def account_id(self, credentials: BaseModel) -> str | None:
        """The platform's own id of the account, by which webhook items are routed; None where the URL alone does it."""
        return None

    def challenge(self, request: WebhookRequest, account: Account) -> str | None:
        """The body that answers the platform's handshake (GET); None where the platform has none.

        Raises:
            Forged: the verify token is wrong.
        """
        return None

    @abstractmethod
    def verify(self, request: WebhookRequest, account: Account) -> None:
        """Check the signature on the raw bytes, in constant time.

        Raises:
            Forged: it is missing or wrong.
        """

    @abstractmethod
    def parse(self, request: WebhookRequest) -> Sequence[Item]:
        """The items of a verified request, in its order. An item in no known form comes back as `ignored`.

        Raises:
            Unreadable: the body as a whole is not the platform's (not JSON, say).
        """

    @abstractmethod
    async def send(self, part: Part, account: Account, http: aiohttp.ClientSession) -> SendResult:
        """One attempt to deliver, in one request. Never raises for what the platform or the network does."""

    async def find(self, part: Part, account: Account, http: aiohttp.ClientSession) -> SendResult | None:
        """What became of a send whose answer was lost, where the platform can be asked.

        Returns:
            `sent`; None if it is not there, or the platform has no such question; `in_doubt` if it did not answer.
        """
        return None

    async def signal(  # noqa: B027 - optional
        self, signal: Signal, account: Account, http: aiohttp.ClientSession
    ) -> None:
        """Show typing, or mark as read. What goes wrong is of no consequence and does not raise."""

    async def accept(  # noqa: B027 - optional
        self, message: InboundMessage, account: Account, http: aiohttp.ClientSession
    ) -> None:
        """Tell the platform that a tap on a button was taken, where it waits for that. Does not raise."""

    def download(
        self, attachment: Attachment, account: Account, http: aiohttp.ClientSession
    ) -> AbstractAsyncContextManager[Download]:
        """A customer's file, from the platform's own hosts only (those of `settings.api_base` where that is set).

        Redirects are followed by hand: credentials go to the platform's API alone, and every hop's host is checked.

        Raises:
            FileUnavailable: on entering; the platform does not give it, or it lies elsewhere.
        """
        raise FileUnavailable("This channel has no files.")

    async def connect(self, account: Account, http: aiohttp.ClientSession) -> list[Finding]:
        """Check the credentials with the platform, and register `account.webhook_url` where it has an API for that."""
        return []

    async def disconnect(self, account: Account, http: aiohttp.ClientSession) -> None:  # noqa: B027 - optional
        """Take the registration back. Does not raise."""

    async def diagnose(self, account: Account, http: aiohttp.ClientSession) -> list[Finding]:
        """What is right and wrong with an account, as far as the platform can be asked; changes nothing."""
        return []

    async def templates(self, account: Account, http: aiohttp.ClientSession) -> list[TemplateInfo]:
        """The account's templates, where the channel has them.

        Raises:
            Unavailable: the platform does not answer, or refuses.
        """
        return []
