"""WhatsApp through Meta's Cloud API."""

from collections.abc import Sequence

import aiohttp
from pydantic import BaseModel, Field, SecretStr

from packages.core.domain.channels import Capabilities, Rate
from packages.core.domain.channels import Channel as Account
from services.channel_gateway import meta
from services.channel_gateway.channels import Channel, Forged, Item, Part, SendResult, WebhookRequest
from services.channel_gateway.channels.whatsapp import inbound, outbound

TIMEOUT_SECONDS = 10.0
_MB = 1024 * 1024


class WhatsAppCredentials(BaseModel):
    """What connects a number. Where the operator's own Meta app serves, secret and verify token are left out."""

    phone_number_id: str = Field(min_length=1, max_length=100, json_schema_extra={"x-account-id": True})
    access_token: SecretStr
    app_secret: SecretStr = SecretStr("")
    verify_token: SecretStr = SecretStr("")


class WhatsApp(Channel):
    """The WhatsApp Business Platform, Cloud API."""

    capabilities = Capabilities(
        label="WhatsApp",
        text_limit=4096,
        markdown="whatsapp",
        window_hours=24,
        media={
            "image": 5 * _MB,
            "video": 16 * _MB,
            "audio": 16 * _MB,
            "document": 100 * _MB,
            "sticker": 500 * 1024,
        },
        caption_limit=1024,
        typing=True,
        delivery_receipts=True,
        read_receipts=True,
        reports_sends=True,
        account_rate=Rate(per_second=80, burst=80),
        person_rate=Rate(per_second=1 / 6, burst=45),
    )
    Credentials = WhatsAppCredentials

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

    async def send(self, part: Part, account: Account, http: aiohttp.ClientSession) -> SendResult:
        """Send one message."""
        base = str(account.settings.get("api_base") or "https://graph.facebook.com").rstrip("/")
        version = str(account.settings.get("api_version") or "v26.0")
        credentials = account.credentials
        return await outbound.post(
            http,
            f"{base}/{version}/{credentials.phone_number_id}/messages",
            credentials.access_token.get_secret_value(),
            outbound.request_body(part),
            TIMEOUT_SECONDS,
        )
