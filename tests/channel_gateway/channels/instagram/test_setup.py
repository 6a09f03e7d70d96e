"""Connecting an account, and its diagnosis, as the platform answers."""

from dataclasses import replace

import aiohttp
import pytest

from packages.core.domain.channels import Finding
from services.channel_gateway.channels.instagram import channel
from services.channel_gateway.channels.instagram.setup import ESSENTIAL, FIELDS, told_without_asking
from tests.channel_gateway.channels.instagram.instagram_double import ACCOUNT_ID, CREDENTIALS, Answer, InstagramDouble
from tests.contracts.channel import account as channel_account

ME = "GET /v26.0/me"
SUBSCRIBE = "POST /v26.0/me/subscribed_apps"
SUBSCRIBED = "GET /v26.0/me/subscribed_apps"
OWN = {"user_id": ACCOUNT_ID, "username": "example.shop", "account_type": "BUSINESS", "id": "29000000000000001"}


def refusal(code: int, status: int = 400) -> Answer:
    return Answer(status, {"error": {"message": "no", "type": "OAuthException", "code": code, "fbtrace_id": "t"}})


def subscribed(*fields: str) -> Answer:
    return Answer(200, {"data": [{"id": "1", "name": "App", "subscribed_fields": list(fields)}]})


def levels(findings: list[Finding]) -> dict[str, str]:
    return {finding.check: finding.level for finding in findings}


@pytest.fixture
def connected(instagram: InstagramDouble) -> InstagramDouble:
    instagram.prepare(ME, Answer(200, OWN))
    instagram.prepare(SUBSCRIBE, Answer(200, {"success": True}))
    instagram.prepare(SUBSCRIBED, subscribed(*FIELDS["instagram"]))
    return instagram


async def test_connecting_subscribes_to_all_events(connected: InstagramDouble, http: aiohttp.ClientSession) -> None:
    findings = await channel.connect(connected.account(), http)
    assert levels(findings) == {"token": "ok", "subscription": "ok", "secret": "ok", "public_url": "info"}
    assert "@example.shop" in findings[0].message
    assert connected.asked[1].query["subscribed_fields"].split(",") == list(FIELDS["instagram"])


async def test_unknown_field_does_not_cost_the_others(connected: InstagramDouble, http: aiohttp.ClientSession) -> None:
    connected.prepare(SUBSCRIBE, refusal(100), Answer(200, {"success": True}))
    findings = await channel.connect(connected.account(), http)
    assert levels(findings)["subscription"] == "ok"
    assert connected.asked[2].query["subscribed_fields"] == ",".join(ESSENTIAL)


async def test_answer_in_a_list_is_read_too(connected: InstagramDouble, http: aiohttp.ClientSession) -> None:
    connected.prepare(ME, Answer(200, {"data": [OWN]}))
    assert levels(await channel.connect(connected.account(), http))["token"] == "ok"


async def test_page_of_a_facebook_login(connected: InstagramDouble, http: aiohttp.ClientSession) -> None:
    linked = {"id": ACCOUNT_ID, "username": "example.shop"}
    connected.prepare(ME, Answer(200, {"id": "1", "name": "Shop", "instagram_business_account": linked}))
    findings = await channel.connect(connected.account(login="facebook"), http)
    assert levels(findings)["token"] == "ok"
    assert "message_echoes" in connected.asked[1].query["subscribed_fields"]


async def test_page_without_an_instagram_account(connected: InstagramDouble, http: aiohttp.ClientSession) -> None:
    connected.prepare(ME, Answer(200, {"id": "1", "name": "Shop"}))
    [token, *_] = await channel.connect(connected.account(login="facebook"), http)
    assert (token.level, token.definite) == ("error", False)
    assert token.remedy


@pytest.mark.parametrize("code", [190, 102])
async def test_invalid_token_is_definite(connected: InstagramDouble, http: aiohttp.ClientSession, code: int) -> None:
    connected.prepare(ME, refusal(code))
    [token, *_] = await channel.connect(connected.account(), http)
    assert (token.level, token.definite) == ("error", True)
    assert [asked.path for asked in connected.asked] == ["/v26.0/me"]


@pytest.mark.parametrize("answer", [refusal(4), refusal(2, 500), Answer(502, b"<html>"), Answer(200, b"{}")])
async def test_unclear_answer_is_never_definite(
    connected: InstagramDouble, http: aiohttp.ClientSession, answer: Answer
) -> None:
    connected.prepare(ME, answer)
    findings = await channel.connect(connected.account(), http)
    assert not any(finding.definite for finding in findings)
    assert levels(findings)["token"] in {"warning", "error"}


async def test_unreachable_platform_is_a_warning(http: aiohttp.ClientSession) -> None:
    account = InstagramDouble(url="http://127.0.0.1:1").account()
    for findings in (await channel.connect(account, http), await channel.diagnose(account, http)):
        assert (levels(findings)["token"], findings[0].definite) == ("warning", False)
    await channel.disconnect(account, http)


async def test_token_of_another_account(connected: InstagramDouble, http: aiohttp.ClientSession) -> None:
    connected.prepare(ME, Answer(200, OWN | {"user_id": "17841499999999999"}))
    [token, *_] = await channel.diagnose(connected.account(), http)
    assert token.level == "error"
    assert "17841499999999999" in (token.remedy or "")


async def test_personal_account(connected: InstagramDouble, http: aiohttp.ClientSession) -> None:
    connected.prepare(ME, Answer(200, OWN | {"account_type": "PERSONAL"}))
    assert levels(await channel.diagnose(connected.account(), http))["account"] == "error"


@pytest.mark.parametrize(
    ("answer", "level"),
    [
        (subscribed(*FIELDS["instagram"]), "ok"),
        (subscribed("messages"), "info"),
        (subscribed("comments"), "error"),
        (Answer(200, {"data": []}), "error"),
        (refusal(2, 500), "warning"),
    ],
)
async def test_diagnosis_of_the_subscription(
    connected: InstagramDouble, http: aiohttp.ClientSession, answer: Answer, level: str
) -> None:
    connected.prepare(SUBSCRIBED, answer)
    findings = await channel.diagnose(connected.account(), http)
    assert levels(findings)["subscription"] == level
    assert all(asked.method == "GET" for asked in connected.asked)


@pytest.mark.parametrize(
    ("webhook_url", "level"), [("http://localhost:8001/webhooks/x", "error"), ("https://parley.example/x", "info")]
)
def test_address_that_meta_posts_to(webhook_url: str, level: str) -> None:
    account = replace(InstagramDouble().account(api_base=""), webhook_url=webhook_url)
    assert levels(told_without_asking(account))["public_url"] == level


def test_missing_secret_is_said() -> None:
    account = channel_account(channel, "instagram", CREDENTIALS | {"app_secret": ""})
    assert levels(told_without_asking(account))["secret"] == "info"


async def test_disconnecting_takes_the_subscription_back(
    connected: InstagramDouble, http: aiohttp.ClientSession
) -> None:
    connected.prepare("DELETE /v26.0/me/subscribed_apps", Answer(200, {"success": True}))
    await channel.disconnect(connected.account(), http)
    assert [asked.method for asked in connected.asked] == ["DELETE"]
