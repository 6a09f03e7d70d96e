"""The web chat as a channel like every other."""

from services.channel_gateway.channels import WebhookRequest
from services.channel_gateway.channels.webchat import channel
from tests.contracts.channel import ChannelContract


class TestWebchat(ChannelContract):
    channel = channel
    kind = "webchat"
    credentials = {"allowed_origins": ["https://shop.example"]}
    has_webhook = False

    def signed(self, body: bytes) -> WebhookRequest:
        return WebhookRequest(method="POST", url="https://x.example/", headers={"a": "b"}, query={}, body=body)

    def body(self) -> bytes:
        return b"{}"
