"""Twilio as a channel like every other."""

from services.channel_gateway.channels import WebhookRequest
from services.channel_gateway.channels.twilio import channel
from tests.channel_gateway.channels.twilio.conftest import credentials, recorded_webhook, signed
from tests.contracts.channel import ChannelContract


class TestTwilio(ChannelContract):
    channel = channel
    kind = "twilio"
    credentials = credentials()
    secrets = ("auth_token",)

    def signed(self, body: bytes) -> WebhookRequest:
        return signed(body)

    def body(self) -> bytes:
        return recorded_webhook("mms_ten_media.json").body
