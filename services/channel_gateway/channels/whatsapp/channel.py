"""WhatsApp through Meta's Cloud API."""

import asyncio
from collections.abc import Sequence

import aiohttp
from pydantic import BaseModel, Field, SecretStr

from packages.core.domain.channels import Capabilities
from packages.core.domain.channels import Channel as Account
from packages.core.domain.messages import OutboundResponse
from services.channel_gateway import meta
from services.channel_gateway.channels import Forged, Item, SendResult, WebhookRequest
from services.channel_gateway.channels.whatsapp import inbound, outbound
from services.channel_gateway.rendering import parts

TIMEOUT_SECONDS = 10.0
_PART_ATTEMPTS = 3


class WhatsAppCredentials(BaseModel):
    """What connects a number. Where the operator's own Meta app serves, secret and verify token are left out."""

    phone_number_id: str = Field(min_length=1, max_length=100, json_schema_extra={"x-account-id": True})
    access_token: SecretStr
    app_secret: SecretStr = SecretStr("")
    verify_token: SecretStr = SecretStr("")


class WhatsApp:
    """The WhatsApp Business Platform, Cloud API."""

    capabilities = Capabilities(
        label="WhatsApp",
        text_limit=4096,
        markdown="whatsapp",
        window_hours=24,
        media=("image", "video", "audio", "document", "sticker"),
        quick_replies=3,
        typing=True,
        delivery_receipts=True,
        read_receipts=True,
    )
    Credentials: type[BaseModel] = WhatsAppCredentials

    def account_id(self, credentials: BaseModel) -> str | None:
        """The phone number id; the printed number may change its format."""
        assert isinstance(credentials, WhatsAppCredentials)
        return credentials.phone_number_id

    def challenge(self, request: WebhookRequest, account: Account) -> str | None:
        """Echo Meta's challenge.

        Raises:
            Forged: mode or verify token is wrong.
        """
        answer = meta.challenge(request.query, account.credentials.verify_token.get_secret_value())
        if answer is None:
            raise Forged("The verify token is not this channel's.")
        return answer

    def verify(self, request: WebhookRequest, account: Account) -> None:
        """Check `X-Hub-Signature-256` against the app's secret.

        Raises:
            Forged: it is missing or wrong.
        """
        secret = account.credentials.app_secret.get_secret_value()
        if not meta.signed(request.body, request.headers.get("x-hub-signature-256"), secret):
            raise Forged("The signature is missing or wrong.")

    def parse(self, request: WebhookRequest) -> Sequence[Item]:
        """Messages, statuses, and everything else as ignored items.

        Raises:
            Unreadable: the body is not a JSON object.
        """
        return inbound.parse(request.body)

    async def send(self, message: OutboundResponse, account: Account, http: aiohttp.ClientSession) -> SendResult:
        """Send the text with its sources, in as many messages as the platform's limit asks for.

        Once a first part is out, asking for a repeat of the whole would show it twice; later parts are therefore
        retried here, and given up as `failed` with a reason that says how far it got.
        """
        texts = parts(message.text, message.citations, self.capabilities.text_limit)
        first = await self._send_text(texts[0], message, account, http)
        if first.outcome != "sent":
            return first
        for number, text in enumerate(texts[1:], start=1):
            result = await self._send_again_and_again(text, message, account, http)
            if result.outcome not in {"sent", "in_doubt"}:
                reason = f"Only {number} of {len(texts)} parts were sent: {result.reason}"
                return SendResult(outcome="failed", external_id=first.external_id, code=result.code, reason=reason)
        return first

    async def _send_again_and_again(
        self, text: str, message: OutboundResponse, account: Account, http: aiohttp.ClientSession
    ) -> SendResult:
        result = await self._send_text(text, message, account, http)
        for _ in range(_PART_ATTEMPTS - 1):
            if result.outcome != "retry":
                break
            await asyncio.sleep(min(result.retry_after or 1.0, TIMEOUT_SECONDS))
            result = await self._send_text(text, message, account, http)
        return result

    async def _send_text(
        self, text: str, message: OutboundResponse, account: Account, http: aiohttp.ClientSession
    ) -> SendResult:
        base = str(account.settings.get("api_base") or "https://graph.facebook.com").rstrip("/")
        version = str(account.settings.get("api_version") or "v26.0")
        credentials = account.credentials
        return await outbound.post(
            http,
            f"{base}/{version}/{credentials.phone_number_id}/messages",
            credentials.access_token.get_secret_value(),
            outbound.request_body(message.recipient, text, message),
            TIMEOUT_SECONDS,
        )
