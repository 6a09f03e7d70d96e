"""Web chat: no platform, but visitors' browsers, which fetch their messages from us."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import aiohttp
from pydantic import BaseModel, Field

from packages.core.domain.channels import Capabilities
from packages.core.domain.channels import Channel as Account
from packages.core.domain.messages import OutboundResponse
from services.channel_gateway.channels import Forged, Item, SendResult, WebhookRequest

Announce = Callable[[str, str, dict[str, Any]], Awaitable[None]]
"""Tells a visitor's open streams: channel config id, visitor, event `{type, data}`."""


class WebchatCredentials(BaseModel):
    """Where the widget may be embedded: origins such as `https://shop.example`, or `*`."""

    allowed_origins: list[str] = Field(default_factory=list, max_length=100)


class Webchat:
    """The web chat widget. A message reaches its visitor by being stored; `send` only wakes the open streams."""

    capabilities = Capabilities(
        label="Web chat",
        text_limit=100_000,
        markdown="none",
        typing=True,
        delivery_receipts=False,
        idempotent_send=True,
    )
    Credentials: type[BaseModel] = WebchatCredentials

    def __init__(self) -> None:
        self._announce: Announce | None = None

    def connect(self, announce: Announce) -> None:
        """Say how open streams are reached; until then visitors find their messages by polling."""
        self._announce = announce

    def account_id(self, credentials: BaseModel) -> str | None:
        """None: the URL names the channel config."""
        return None

    def challenge(self, request: WebhookRequest, account: Account) -> str | None:
        """None: nobody calls a webhook."""
        return None

    def verify(self, request: WebhookRequest, account: Account) -> None:
        """Refuse everything.

        Raises:
            Forged: always; visitors write through the session routes.
        """
        raise Forged("The web chat has no webhook; visitors write to /webchat/.")

    def parse(self, request: WebhookRequest) -> Sequence[Item]:
        """Nothing, for no webhook passes `verify`."""
        return ()

    async def send(self, message: OutboundResponse, account: Account, http: aiohttp.ClientSession) -> SendResult:
        """Wake the visitor's streams. Nobody listening is no failure: the message waits in the conversation."""
        if self._announce:
            await self._announce(
                message.channel_config_id, message.recipient, {"type": "message", "data": {"id": message.message_id}}
            )
        return SendResult(outcome="sent", external_id=message.message_id)
