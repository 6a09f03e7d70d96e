"""Connecting and diagnosing: what Twilio says clearly is definite, everything else is not."""

from dataclasses import replace
from typing import Any

import aiohttp
import pytest

from packages.core.domain.channels import Channel as Account
from packages.core.domain.channels import Finding
from packages.core.errors import Unavailable
from services.channel_gateway.channels.twilio import channel
from services.channel_gateway.channels.twilio.signature import OVERRIDES
from tests.channel_gateway.channels.twilio.conftest import SID, SMS_NUMBER, WEBHOOK, Stand

ACCOUNT = f"GET /2010-04-01/Accounts/{SID}.json"
NUMBERS = f"/2010-04-01/Accounts/{SID}/IncomingPhoneNumbers"
KEY: dict[str, Any] = {"api_key_sid": "SK" + "1" * 32, "api_key_secret": "s"}


def page(key: str, *items: dict[str, Any]) -> dict[str, Any]:
    """A list of one page, of either generation of Twilio's APIs."""
    return {key: list(items), "next_page_uri": None, "meta": {"key": key, "next_page_url": None}}


def number(url: str = "") -> dict[str, Any]:
    return {"sid": "PN1", "account_sid": SID, "phone_number": SMS_NUMBER, "sms_url": url}


def found(findings: list[Finding], check: str) -> Finding:
    return next(finding for finding in findings if finding.check == check)


@pytest.fixture
def sound(twilio: Stand) -> Stand:
    """A Twilio on which all is well, but for the webhook."""
    twilio.at(ACCOUNT, 200, {"sid": SID, "status": "active", "type": "Full"})
    twilio.at(f"GET {NUMBERS}.json", 200, page("incoming_phone_numbers", number()))
    twilio.at(f"POST {NUMBERS}/PN1.json", 200, number(WEBHOOK))
    twilio.at("GET /v1/Alerts", 200, page("alerts"))
    return twilio


async def test_connecting_sets_the_numbers_webhook(sound: Stand, http: aiohttp.ClientSession) -> None:
    findings = await channel.connect(sound.account(SMS_NUMBER), http)
    assert {finding.level for finding in findings} == {"ok"}
    [update] = [seen for seen in sound.requests if seen.method == "POST"]
    assert update.fields == {"SmsUrl": WEBHOOK + OVERRIDES, "SmsMethod": "POST"}


@pytest.mark.parametrize(
    ("status", "body", "level", "definite"),
    [
        (401, {"code": 20003, "message": "Authenticate", "status": 401}, "error", True),
        (200, {"sid": SID, "status": "suspended", "type": "Full"}, "error", True),
        (200, {"sid": SID, "status": "active", "type": "Trial"}, "ok", False),
        (403, {"code": 20006, "message": "Access Denied", "status": 403}, "warning", False),
        (429, {"code": 20429, "message": "Too Many Requests", "status": 429}, "warning", False),
        (500, "", "warning", False),
        (200, "<html>", "warning", False),
        (None, "", "warning", False),
    ],
)
async def test_token(
    sound: Stand, http: aiohttp.ClientSession, status: int | None, body: Any, level: str, definite: bool
) -> None:
    sound.at(ACCOUNT, status, body)
    finding = found(await channel.diagnose(sound.account(SMS_NUMBER), http), "token")
    assert (finding.level, finding.definite) == (level, definite)
    assert level == "ok" or finding.remedy


async def test_wrong_token_sets_nothing(sound: Stand, http: aiohttp.ClientSession) -> None:
    sound.at(ACCOUNT, 401, {"code": 20003})
    assert len(await channel.connect(sound.account(SMS_NUMBER), http)) == 1
    assert [seen.method for seen in sound.requests] == ["GET"]


@pytest.mark.parametrize(
    ("status", "level", "definite"), [(401, "error", True), (500, "warning", False), (200, "ok", False)]
)
async def test_api_key(sound: Stand, http: aiohttp.ClientSession, status: int, level: str, definite: bool) -> None:
    sound.at(f"GET /2010-04-01/Accounts/{SID}/Messages.json", status, page("messages"))
    findings = await channel.diagnose(sound.account(SMS_NUMBER, **KEY), http)
    keys = [finding for finding in findings if finding.check == "token" and "auth token" not in finding.message]
    assert [(finding.level, finding.definite) for finding in keys] == [(level, definite)]


@pytest.mark.parametrize(
    ("url", "level"),
    [
        (WEBHOOK, "ok"),
        (WEBHOOK + OVERRIDES, "ok"),
        ("https://demo.twilio.com/welcome/sms/reply/", "error"),
        ("", "error"),
    ],
)
async def test_webhook(sound: Stand, http: aiohttp.ClientSession, url: str, level: str) -> None:
    sound.at(f"GET {NUMBERS}.json", 200, page("incoming_phone_numbers", number(url)))
    assert found(await channel.diagnose(sound.account(SMS_NUMBER), http), "webhook").level == level


async def test_number_of_another_account(sound: Stand, http: aiohttp.ClientSession) -> None:
    sound.at(f"GET {NUMBERS}.json", 200, page("incoming_phone_numbers"))
    finding = found(await channel.connect(sound.account(SMS_NUMBER), http), "webhook")
    assert finding.level == "warning"
    assert WEBHOOK in (finding.remedy or "")


async def test_sandbox_is_set_by_hand(sound: Stand, http: aiohttp.ClientSession) -> None:
    sound.at("GET /v2/Channels/Senders", 200, page("senders"))
    finding = found(await channel.connect(sound.account(), http), "webhook")
    assert finding.level == "info"
    assert WEBHOOK in (finding.remedy or "")


async def test_whatsapp_sender_gets_its_webhook(sound: Stand, http: aiohttp.ClientSession) -> None:
    sender = {"sid": "XE1", "sender_id": "whatsapp:+12025550100", "status": "ONLINE", "webhook": {}}
    sound.at("GET /v2/Channels/Senders", 200, page("senders", sender))
    sound.at("POST /v2/Channels/Senders/XE1", 202, sender)
    assert found(await channel.connect(sound.account(), http), "webhook").level == "ok"
    [update] = [seen for seen in sound.requests if seen.method == "POST"]
    assert update.json == {"webhook": {"callback_url": WEBHOOK + OVERRIDES, "callback_method": "POST"}}


async def test_disconnecting_leaves_foreign_webhooks_alone(sound: Stand, http: aiohttp.ClientSession) -> None:
    for url, updates in (("https://elsewhere.example/", []), (WEBHOOK + OVERRIDES, [""])):
        sound.at(f"GET {NUMBERS}.json", 200, page("incoming_phone_numbers", number(url)))
        await channel.disconnect(sound.account(SMS_NUMBER), http)
        assert [seen.fields["SmsUrl"] for seen in sound.requests if seen.method == "POST"] == updates


async def test_disconnecting_does_not_raise(twilio: Stand, http: aiohttp.ClientSession) -> None:
    await channel.disconnect(twilio.account(SMS_NUMBER), http)
    assert len(twilio.requests) == 1


async def test_alerts_of_our_webhook_alone(sound: Stand, http: aiohttp.ClientSession) -> None:
    elsewhere = {"sid": "NO1", "error_code": "11200", "request_url": "https://elsewhere.example/"}
    ours = {"sid": "NO2", "error_code": "11205", "request_url": f"{WEBHOOK}?message_id=1"}
    for alerts, level in (([elsewhere], "ok"), ([elsewhere, ours], "warning")):
        sound.at("GET /v1/Alerts", 200, page("alerts", *alerts))
        finding = found(await channel.diagnose(sound.account(SMS_NUMBER), http), "reachable")
        assert finding.level == level
    assert "11205" in finding.message


@pytest.mark.parametrize(
    ("url", "level"),
    [
        (WEBHOOK, "ok"),
        ("http://hooks.example.com/x", "warning"),
        ("https://localhost/x", "warning"),
        ("https://10.0.0.7/x", "warning"),
        ("https://gateway.internal/x", "warning"),
    ],
)
async def test_public_url(sound: Stand, http: aiohttp.ClientSession, url: str, level: str) -> None:
    account: Account = replace(sound.account(SMS_NUMBER), webhook_url=url)
    assert found(await channel.diagnose(account, http), "public_url").level == level


async def test_signing_key_is_told(sound: Stand, http: aiohttp.ClientSession) -> None:
    account = sound.account(SMS_NUMBER, signing_key_id="k", signing_key_secret="s")
    assert found(await channel.diagnose(account, http), "secret").level == "info"


CONTENT = {
    "sid": "HX" + "1" * 32,
    "friendly_name": "order_left",
    "language": "en",
    "variables": {"1": "Alex"},
    "types": {"twilio/text": {"body": "Hi {{1}}, order {{2}} left {{city}}. {{1}}!"}},
    "approval_requests": {"status": "APPROVED", "category": "UTILITY", "name": "order_left"},
}


async def test_templates(twilio: Stand, http: aiohttp.ClientSession) -> None:
    plain = {"sid": "HX" + "2" * 32, "types": None, "approval_requests": None}
    twilio.at("GET /v1/ContentAndApprovals", 200, page("contents", CONTENT, plain))
    first, second = await channel.templates(twilio.account(), http)
    assert (first.name, first.language, first.status, first.category) == ("order_left", "en", "approved", "utility")
    assert (first.body, first.named) == (2, ("city",))
    assert first.text.startswith("Hi {{1}}")
    assert (second.name, second.status, second.body) == ("HX" + "2" * 32, "unsubmitted", 0)


@pytest.mark.parametrize(("status", "body"), [(401, {"code": 20003}), (500, ""), (None, ""), (200, "<html>")])
async def test_templates_cannot_be_listed(
    twilio: Stand, http: aiohttp.ClientSession, status: int | None, body: Any
) -> None:
    twilio.at("GET /v1/ContentAndApprovals", status, body)
    with pytest.raises(Unavailable):
        await channel.templates(twilio.account(), http)
