"""Meta's signature and handshake against recorded requests, served by the webhook routes."""

import json
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from services.channel_gateway.meta import challenge, channel_of, signed
from tests.channel_gateway.conftest import Gateway, MakeChannel

HERE = Path(__file__).parent
VECTORS = json.loads((HERE / "meta_vectors_expected.json").read_text())


@pytest.mark.parametrize("vector", VECTORS, ids=[vector["file"] for vector in VECTORS])
async def test_recorded_request(gateway: Gateway, make_channel: MakeChannel, vector: dict[str, Any]) -> None:
    recorded = json.loads((HERE / "meta_vectors" / vector["file"]).read_text())
    secrets = {"app_secret": recorded.get("app_secret", ""), "verify_token": recorded.get("verify_token", "")}
    path = f"/webhooks/whatsapp/{await make_channel(credentials=secrets)}"
    request, expected = recorded["request"], vector["expected"]
    query = urlsplit(request["url"]).query
    url = path + (f"?{query}" if query else "")
    data = request.get("body", "").encode()
    answer = await gateway.call(request["method"], url, data=data, headers=request["headers"])
    if "valid" in expected:
        wanted = [expected.get("status", 200), *expected.get("status_alternatives", [])] if expected["valid"] else [401]
    else:
        wanted = [expected["status"], *expected.get("status_alternatives", [])]
    assert answer.status in wanted
    if "body" in expected:
        assert answer.body == expected["body"].encode()
        assert answer.headers["Content-Type"].startswith(expected["content_type"])
        assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_empty_secret_signs_nothing() -> None:
    assert not signed(b"", "sha256=b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad", "")


def test_empty_token_accepts_nobody() -> None:
    assert challenge({"hub.mode": "subscribe", "hub.verify_token": "", "hub.challenge": "1"}, "") is None


@pytest.mark.parametrize(
    ("body", "channel"),
    [(b'{"object": "whatsapp_business_account"}', "whatsapp"), (b'{"object": "page"}', None), (b"{}", None)],
)
def test_channel_of(body: bytes, channel: str | None) -> None:
    assert channel_of(body) == channel
