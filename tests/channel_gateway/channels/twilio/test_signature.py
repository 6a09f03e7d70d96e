"""Every way in which Twilio signs a webhook, and the ways in which others would like to."""

import hashlib
import json
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl, urlencode

import pytest
from pydantic import ValidationError
from twilio.request_validator import RequestValidator  # type: ignore[import-untyped]

from packages.core.domain.channels import Channel as Account
from services.channel_gateway.channels import Forged, WebhookRequest
from services.channel_gateway.channels.twilio import channel
from services.channel_gateway.channels.twilio.account import TwilioCredentials
from services.channel_gateway.channels.twilio.signature import OVERRIDES, signed
from tests.channel_gateway.channels.twilio.conftest import (
    TOKEN,
    WEBHOOK,
    cases,
    make_account,
    recorded,
    recorded_webhook,
    sign,
    webhook,
)

VECTORS = cases("signatures_expected")
KEY: dict[str, Any] = {
    "signing_key_id": "webhooks_sharedkey_example01",
    "signing_key_secret": "example-shared-key-secret-0001",
}


def passes(request: WebhookRequest, account: Account) -> bool:
    try:
        channel.verify(request, account)
    except Forged:
        return False
    return True


def vector_account(vector: dict[str, Any]) -> Account:
    """An account with the vector's token, which may be empty, and its signing key."""
    keys = vector.get("shared_keys") or {}
    opened = TwilioCredentials.model_construct(**make_account().credentials.__dict__)
    token = type(opened.auth_token)(vector["auth_token"])
    for identity, secret in keys.items():
        opened = opened.model_copy(update={"signing_key_id": identity, "signing_key_secret": type(token)(secret)})
    return replace(make_account(), credentials=opened.model_copy(update={"auth_token": token}))


@pytest.mark.parametrize("case", VECTORS, ids=[case["file"] for case in VECTORS])
def test_vector(case: dict[str, Any]) -> None:
    account = vector_account(recorded("signatures", case["file"]))
    assert passes(recorded_webhook(case["file"], "signatures"), account) is case["expected"]["valid"]


@pytest.mark.parametrize("file", [case["file"] for case in cases("expected")])
def test_recorded_webhooks_are_signed(file: str) -> None:
    request = recorded_webhook(file)
    assert passes(request, make_account())
    assert not passes(replace(request, body=request.body + b"&Extra=1"), make_account())


@pytest.mark.parametrize(
    "url", [WEBHOOK, f"{WEBHOOK}?message_id=m%201", WEBHOOK.replace(".com/", ".com:8443/"), "http://h.example/x?a=b&c="]
)
@pytest.mark.parametrize("values", [{}, {"Body": "Grüße ✓ 🍾", "Empty": ""}, {"a": "1", "A": "2", "B": " x "}])
def test_agrees_with_twilios_own_validator(url: str, values: dict[str, str]) -> None:
    body = urlencode(values).encode()
    signature = RequestValidator(TOKEN).compute_signature(url, values)
    headers = {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8", "X-Twilio-Signature": signature}
    assert passes(webhook(body, headers, url), make_account())
    assert RequestValidator(TOKEN).validate(url, values, sign(body, url))


def test_get_callback_signs_its_url_alone() -> None:
    url = f"{WEBHOOK}?MessageSid=SM1&SmsStatus=sent"
    headers = {"X-Twilio-Signature": RequestValidator(TOKEN).compute_signature(url, {})}
    assert passes(webhook(b"", headers, url, "GET"), make_account())
    assert not passes(webhook(b"Body=x", headers, url, "GET"), make_account())
    assert not passes(webhook(b"", headers, url + "&x=1", "GET"), make_account())


def json_request(document: object, claimed: str | None = None) -> WebhookRequest:
    body = json.dumps(document).encode()
    url = f"{WEBHOOK}?bodySHA256={claimed or hashlib.sha256(body).hexdigest()}"
    headers = {
        "Content-Type": "application/json",
        "X-Twilio-Signature": RequestValidator(TOKEN).compute_signature(url, {}),
    }
    return webhook(body, headers, url)


def test_json_body_is_covered_by_its_hash() -> None:
    request = json_request({"MessageSid": "SM1"})
    assert passes(request, make_account())
    assert not passes(replace(request, body=b"{}"), make_account())
    assert not passes(json_request({}, "0" * 64), make_account())


def test_signature_of_a_form_does_not_cover_json() -> None:
    body = urlencode({"MessageSid": "SM1"}).encode()
    headers = {"Content-Type": "application/json", "X-Twilio-Signature": sign(body)}
    assert not passes(webhook(body, headers), make_account())


def shared(key: str, algorithm: str = "HMAC_SHA256", secret: str = KEY["signing_key_secret"]) -> WebhookRequest:
    body = b"MessageSid=SM1&From=%2B12025550123"
    signature = RequestValidator(secret).compute_signature(WEBHOOK, dict(parse_qsl(body.decode())), "HMAC_SHA256")
    settings = f"key={key},algorithm={algorithm}"
    headers = {"X-Twilio-Signature": signature, "X-Twilio-Webhooks-Signature-Settings": settings}
    return webhook(body, headers | {"Content-Type": "application/x-www-form-urlencoded"})


def test_signing_key() -> None:
    assert passes(shared(KEY["signing_key_id"]), make_account(**KEY))
    assert not passes(shared("another"), make_account(**KEY))
    assert not passes(shared(KEY["signing_key_id"], "HMAC_SHA1"), make_account(**KEY))


def test_header_does_not_choose_the_scheme() -> None:
    by_token = recorded_webhook("sms_text.json")
    assert not passes(by_token, make_account(**KEY))
    assert not passes(shared(KEY["signing_key_id"], secret=TOKEN), make_account())


def test_public_url_of_the_channel_is_what_is_signed() -> None:
    outside = WEBHOOK.replace("hooks.example.com", "outside.example.org:8443")
    request = replace(webhook(b"A=1", {"X-Twilio-Signature": sign(b"A=1", outside)}), url=WEBHOOK)
    assert not passes(request, make_account())
    assert passes(request, make_account(settings={"public_url": "https://outside.example.org:8443"}))


def test_fragment_may_be_signed() -> None:
    assert passes(webhook(b"A=1", {"X-Twilio-Signature": sign(b"A=1", WEBHOOK + OVERRIDES)}), make_account())


def test_token_of_a_sub_account_is_another() -> None:
    request = webhook(b"A=1", {"X-Twilio-Signature": sign(b"A=1", token="the-parents-token")})
    assert not passes(request, make_account())


@pytest.mark.parametrize(
    "change",
    [
        {"auth_token": ""},
        {"from": "12025550100"},
        {"from": "whatsapp:12025550100"},
        {"from": "+1 202 555 0100"},
        {"account_sid": "SM00000000000000000000000000000001"},
        {"api_key_sid": "SK00000000000000000000000000000001"},
        {"signing_key_secret": "without an id"},
    ],
)
def test_credentials_that_cannot_work(change: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        TwilioCredentials.model_validate(
            {"account_sid": "AC" + "0" * 32, "auth_token": "t", "from": "+12025550100"} | change
        )


def test_no_secret_signs_nothing() -> None:
    request = webhook(b"A=1", {"X-Twilio-Signature": sign(b"A=1", token="")})
    empty = type(make_account().credentials.auth_token)("")
    assert not signed(request, WEBHOOK, empty, "", empty)
