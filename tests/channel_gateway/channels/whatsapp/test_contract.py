"""WhatsApp as a channel like every other."""

from pathlib import Path

from services.channel_gateway.channels import WebhookRequest
from services.channel_gateway.channels.whatsapp import channel
from tests.channel_gateway.conftest import APP_SECRET, signature, whatsapp_credentials
from tests.contracts.channel import ChannelContract

PAYLOADS = Path(__file__).parent / "payloads"


class TestWhatsApp(ChannelContract):
    channel = channel
    kind = "whatsapp"
    credentials = whatsapp_credentials()
    secrets = ("access_token", "app_secret", "verify_token")

    def signed(self, body: bytes) -> WebhookRequest:
        headers = {"x-hub-signature-256": signature(body, APP_SECRET)}
        return WebhookRequest(method="POST", url="https://x.example/", headers=headers, query={}, body=body)

    def body(self) -> bytes:
        return (PAYLOADS / "batch_two_accounts_duplicates_and_statuses.json").read_bytes()
