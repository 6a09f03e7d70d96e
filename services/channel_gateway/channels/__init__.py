"""What a channel is. Each neighbour is one channel and exports `channel`, an object of this interface.

A channel knows one platform's protocol and nothing else: storage, retries, rate limits, ownership and routing lie
outside, once for all. `verify` and `parse` are pure; `send` makes one request and says how it ended.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, runtime_checkable

import aiohttp
from pydantic import BaseModel

from packages.core.domain.channels import Capabilities
from packages.core.domain.channels import Channel as Account
from packages.core.domain.messages import InboundMessage, OutboundResponse, StatusUpdate
from packages.core.errors import AppError


class Forged(AppError):
    """The request is not signed by the platform. Nothing of it is stored."""

    code = "bad_signature"
    status = 401


class Unreadable(AppError):
    """The request is authentic, but not in the platform's form at all."""

    code = "malformed_webhook"
    status = 400


@dataclass(frozen=True, slots=True)
class WebhookRequest:
    """A webhook as it came: header names in lower case, the body's raw bytes."""

    method: str
    url: str
    headers: Mapping[str, str]
    query: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One item of a webhook, still to be routed by `account_id` (None: the account whose URL was called).

    `external_id` is unique per account and tells repeats apart. Exactly one of `message` (its channel_config_id still
    empty), `status` and `ignored` is set.
    """

    account_id: str | None
    external_id: str
    kind: str
    message: InboundMessage | None = None
    status: StatusUpdate | None = None
    ignored: str | None = None
    raw: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class SendResult:
    """How one send ended.

    sent: the platform took it (`external_id`). retry: it did not, and may later (`retry_after` seconds, if it said).
    failed: it never will (`code`, `reason` in plain words). in_doubt: nobody knows, no answer came after it left.
    """

    outcome: Literal["sent", "retry", "failed", "in_doubt"]
    external_id: str | None = None
    code: str | None = None
    reason: str | None = None
    retry_after: float | None = None


@runtime_checkable
class Channel(Protocol):
    """One platform."""

    capabilities: Capabilities
    Credentials: type[BaseModel]

    def account_id(self, credentials: BaseModel) -> str | None:
        """The platform's own id of the account, by which webhook items are routed; None where the URL alone does it."""
        ...

    def challenge(self, request: WebhookRequest, account: Account) -> str | None:
        """The body that answers the platform's handshake (GET); None where the platform has none.

        Raises:
            Forged: the verify token is wrong.
        """
        ...

    def verify(self, request: WebhookRequest, account: Account) -> None:
        """Check the signature on the raw bytes, in constant time.

        Raises:
            Forged: it is missing or wrong.
        """
        ...

    def parse(self, request: WebhookRequest) -> Sequence[Item]:
        """The items of a verified request, in its order. An item in no known form comes back as `ignored`.

        Raises:
            Unreadable: the body as a whole is not the platform's (not JSON, say).
        """
        ...

    async def send(self, message: OutboundResponse, account: Account, http: aiohttp.ClientSession) -> SendResult:
        """One attempt to deliver. Never raises for what the platform or the network does."""
        ...
