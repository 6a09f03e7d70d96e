"""Telegram as a channel like every other."""

import json
from pathlib import Path
from typing import Any

import pytest

from services.channel_gateway.channels import Forged, WebhookRequest
from services.channel_gateway.channels.telegram import channel
from tests.contracts.channel import ChannelContract, account

HERE = Path(__file__).parent
SECRET = "Example-secret_token-0001"
CREDENTIALS = {"bot_token": "000000000:EXAMPLE-BOT-TOKEN", "secret_token": SECRET}
SIGNATURES = json.loads((HERE / "signatures_expected.json").read_text())


class TestTelegram(ChannelContract):
    channel = channel
    kind = "telegram"
    credentials = CREDENTIALS
    secrets = ("bot_token", "secret_token")

    def signed(self, body: bytes) -> WebhookRequest:
        headers = {"x-telegram-bot-api-secret-token": SECRET}
        return WebhookRequest(method="POST", url="https://x.example/", headers=headers, query={}, body=body)

    def body(self) -> bytes:
        return (HERE / "payloads" / "photo_caption_with_url_entity.json").read_bytes()


@pytest.mark.parametrize("case", SIGNATURES, ids=[case["file"] for case in SIGNATURES])
def test_recorded_signature(case: dict[str, Any]) -> None:
    recorded = json.loads((HERE / "signatures" / case["file"]).read_text())
    headers = {name.lower(): value for name, value in recorded["request"]["headers"].items()}
    request = WebhookRequest(
        method="POST",
        url=recorded["request"]["url"],
        headers=headers,
        query={},
        body=recorded["request"]["body"].encode(),
    )
    own = account(channel, "telegram", CREDENTIALS | {"secret_token": recorded["secret_token"]})
    if case["expected"]["valid"]:
        channel.verify(request, own)
    else:
        with pytest.raises(Forged):
            channel.verify(request, own)


def test_without_a_secret_everything_is_forged() -> None:
    own = account(channel, "telegram", CREDENTIALS | {"secret_token": ""})
    headers = {"x-telegram-bot-api-secret-token": ""}
    with pytest.raises(Forged):
        channel.verify(WebhookRequest(method="POST", url="https://x/", headers=headers, query={}, body=b"{}"), own)


def test_the_token_is_no_account_id() -> None:
    assert channel.account_id(channel.Credentials.model_validate(CREDENTIALS)) is None
    assert "x-account-id" not in json.dumps(channel.Credentials.model_json_schema())
