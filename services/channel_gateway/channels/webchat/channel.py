"""Web chat: no platform, but visitors' browsers, which fetch their messages from us."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import aiohttp
from pydantic import BaseModel, Field

from packages.core.domain.channels import Capabilities
from packages.core.domain.channels import Channel as Account
from services.channel_gateway.channels import Channel, Forged, Item, Part, SendResult, WebhookRequest

Announce = Callable[[str, str, dict[str, Any]], Awaitable[None]]
"""Tells a visitor's open streams: channel config id, visitor, event `{type, data}`."""


class WebchatCredentials(BaseModel):
    """Where the widget may be embedded: origins such as `https://shop.example`, or `*`."""

    allowed_origins: list[str] = Field(default_factory=list, max_length=100)


class Webchat(Channel):
    """The web chat widget. A message reaches its visitor by being stored; `send` only wakes the open streams."""

    capabilities = Capabilities(
        label="Web chat",
        text_limit=100_000,
        media=dict.fromkeys(("image", "video", "audio", "document"), 25 * 1024 * 1024),
        caption_limit=100_000,
        typing=True,
        idempotent_send=True,
    )
    Credentials = WebchatCredentials

    def __init__(self) -> None:
        self._announce: Announce | None = None

    def reach_through(self, announce: Announce) -> None:
        """Say how open streams are reached; until then visitors find their messages by polling."""
        self._announce = announce

    def verify(self, request: WebhookRequest, account: Account) -> None:
        """Refuse everything.

        Raises:
            Forged: always; visitors write through the session routes.
        """
        raise Forged("The web chat has no webhook; visitors write to /webchat/.")

    def parse(self, request: WebhookRequest) -> Sequence[Item]:
        """Nothing, for no webhook passes `verify`."""
        return ()

    async def send(self, part: Part, account: Account, http: aiohttp.ClientSession) -> SendResult:
        """Wake the visitor's streams. Nobody listening is no failure: the message waits in the conversation."""
        if self._announce:
            await self._announce(account.id, part.recipient, {"type": "message", "data": {"id": part.message_id}})
        return SendResult(outcome="sent", external_id=part.message_id)
