"""Connecting, disconnecting and diagnosing a number: what is asked, what is found, how sure it is."""

from dataclasses import replace
from typing import Any

import aiohttp
import pytest

from packages.core.domain.channels import Channel as Account
from packages.core.domain.channels import Finding
from services.channel_gateway.channels.whatsapp import channel
from tests.channel_gateway.channels.whatsapp.graph_double import NUMBER_ID, Answer, GraphDouble
from tests.channel_gateway.conftest import whatsapp_credentials
from tests.contracts.channel import account as account_of

WABA = "100000000000101"
HOOK = "https://parley.example/webhooks/whatsapp/01890000"
GOOD: dict[str, Any] = {
    "id": NUMBER_ID,
    "display_phone_number": "+1 202-555-0100",
    "verified_name": "Example Shop",
    "quality_rating": "GREEN",
    "name_status": "APPROVED",
    "status": "CONNECTED",
    "throughput": {"level": "STANDARD"},
    "whatsapp_business_manager_messaging_limit": "TIER_2K",
    "webhook_configuration": {"phone_number": HOOK, "application": "https://other.example/"},
    "health_status": {"can_send_message": "AVAILABLE", "entities": [{"entity_type": "WABA", "id": WABA}]},
}
APPS = {"data": [{"whatsapp_business_api_data": {"name": "Shop app", "id": "1"}}]}
TEMPLATES = {"data": [{"name": "hello", "status": "APPROVED"}, {"name": "cart", "status": "REJECTED"}]}


def connected(graph: GraphDouble, **settings: Any) -> Account:
    return replace(graph.account(**settings), webhook_url=HOOK)


def prepare(graph: GraphDouble, **changed: Any) -> None:
    graph.prepare(f"GET {NUMBER_ID}", Answer(200, GOOD | changed))
    graph.prepare(f"POST {NUMBER_ID}", Answer(200, {"success": True}))
    graph.prepare(f"GET {WABA}/subscribed_apps", Answer(200, APPS))
    graph.prepare(f"POST {WABA}/subscribed_apps", Answer(200, {"success": True}))
    graph.prepare(f"{WABA}/message_templates", Answer(200, TEMPLATES))


def by_check(findings: list[Finding]) -> dict[str, Finding]:
    return {finding.check: finding for finding in findings}


async def test_connect_subscribes_and_sets_the_webhook(graph: GraphDouble, http: aiohttp.ClientSession) -> None:
    prepare(graph)
    found = by_check(await channel.connect(connected(graph), http))
    assert {finding.level for finding in found.values()} == {"ok"}
    assert found.keys() == {"token", "subscription", "webhook"}
    assert graph.paths[1:] == [f"POST /v26.0/{WABA}/subscribed_apps", f"POST /v26.0/{NUMBER_ID}"]
    override = {"override_callback_uri": HOOK, "verify_token": whatsapp_credentials()["verify_token"]}
    assert graph.asked[-1].body == {"webhook_configuration": override}


async def test_number_of_the_operators_app_keeps_its_callback(graph: GraphDouble, http: aiohttp.ClientSession) -> None:
    prepare(graph)
    credentials = whatsapp_credentials() | {"app_secret": "", "verify_token": ""}
    shared = account_of(channel, "whatsapp", credentials, api_base=graph.url)
    found = by_check(await channel.connect(replace(shared, webhook_url=HOOK), http))
    assert "webhook" not in found
    assert f"POST /v26.0/{NUMBER_ID}" not in graph.paths


@pytest.mark.parametrize(
    ("answer", "level", "definite"),
    [
        (Answer(401, {"error": {"code": 190, "message": "Session has expired."}}), "error", True),
        (Answer(400, {"error": {"code": 100, "error_subcode": 33, "message": "does not exist"}}), "error", True),
        (Answer(400, {"error": {"code": 80007, "message": "Rate limit"}}), "warning", False),
        (Answer(400, {"error": {"code": 4242, "message": "New"}}), "warning", False),
        (Answer(502, "<html>"), "warning", False),
        (Answer(None), "warning", False),
    ],
)
async def test_only_the_platforms_own_word_condemns_a_token(
    graph: GraphDouble, http: aiohttp.ClientSession, answer: Answer, level: str, definite: bool
) -> None:
    prepare(graph)
    graph.prepare(f"GET {NUMBER_ID}", answer)
    [finding] = await channel.connect(connected(graph), http)
    assert (finding.level, finding.definite) == (level, definite)
    assert finding.remedy
    found = by_check(await channel.diagnose(connected(graph), http))
    assert found.keys() == {finding.check, "secret"}


async def test_webhook_that_is_not_taken_is_a_warning(graph: GraphDouble, http: aiohttp.ClientSession) -> None:
    prepare(graph)
    graph.prepare(
        f"POST {NUMBER_ID}", Answer(400, {"error": {"code": 2200, "message": "Callback verification failed"}})
    )
    graph.prepare(f"POST {WABA}/subscribed_apps", Answer(403, {"error": {"code": 200, "message": "Permissions error"}}))
    found = by_check(await channel.connect(connected(graph), http))
    assert {check: finding.level for check, finding in found.items()} == {
        "token": "ok",
        "subscription": "warning",
        "webhook": "warning",
    }
    assert "Callback verification failed" in found["webhook"].message


async def test_disconnect_takes_the_webhook_back(graph: GraphDouble, http: aiohttp.ClientSession) -> None:
    prepare(graph)
    await channel.disconnect(connected(graph), http)
    [asked] = graph.asked
    assert asked.body == {"webhook_configuration": {"override_callback_uri": ""}}


async def test_diagnosis_of_a_number_in_order(graph: GraphDouble, http: aiohttp.ClientSession) -> None:
    prepare(graph)
    found = by_check(await channel.diagnose(connected(graph), http))
    assert {check: finding.level for check, finding in found.items()} == {
        "token": "ok",
        "secret": "ok",
        "quality": "ok",
        "limit": "info",
        "throughput": "info",
        "webhook": "ok",
        "subscription": "ok",
        "templates": "ok",
    }
    assert "Example Shop" in found["token"].message
    assert "2k" in found["limit"].message
    assert "1 of 2" in found["templates"].message
    assert all(asked.method == "GET" for asked in graph.asked)


BLOCKED = {
    "entity_type": "BUSINESS",
    "can_send_message": "BLOCKED",
    "errors": [{"error_description": "No payment method", "possible_solution": "Add one"}],
}


@pytest.mark.parametrize(
    ("changed", "check", "level", "words"),
    [
        ({"quality_rating": "RED"}, "quality", "warning", "low"),
        ({"quality_rating": "YELLOW"}, "quality", "warning", "medium"),
        ({"quality_rating": None}, "quality", "info", "no quality rating"),
        ({"status": "BANNED"}, "number", "warning", "banned"),
        ({"account_mode": "SANDBOX"}, "number", "info", "test number"),
        ({"name_status": "DECLINED"}, "name", "warning", "declined"),
        (
            {"webhook_configuration": {"application": "https://x.example/"}},
            "webhook",
            "error",
            "https://x.example/, not to",
        ),
        ({"webhook_configuration": {"application": "https://parley.example/webhooks/meta"}}, "webhook", "ok", "meta"),
        ({"webhook_configuration": None}, "webhook", "info", "does not tell"),
        ({"health_status": {"entities": [BLOCKED]}}, "health", "error", "No payment method"),
        ({"health_status": {"entities": [{"can_send_message": "LIMITED"}]}}, "health", "warning", "limited"),
        ({"health_status": 7}, "subscription", "info", "not known"),
    ],
)
async def test_diagnosis_says_what_is_wrong(
    graph: GraphDouble, http: aiohttp.ClientSession, changed: dict[str, Any], check: str, level: str, words: str
) -> None:
    prepare(graph, **changed)
    finding = by_check(await channel.diagnose(connected(graph), http))[check]
    assert finding.level == level
    assert words in finding.message
    if level in {"warning", "error"}:
        assert finding.remedy


async def test_nobody_subscribed_and_no_template(graph: GraphDouble, http: aiohttp.ClientSession) -> None:
    prepare(graph)
    graph.prepare(f"GET {WABA}/subscribed_apps", Answer(200, {"data": []}))
    graph.prepare(f"{WABA}/message_templates", Answer(200, {"data": []}))
    found = by_check(await channel.diagnose(connected(graph), http))
    assert (found["subscription"].level, found["templates"].level) == ("error", "info")


async def test_older_version_without_the_newer_fields(graph: GraphDouble, http: aiohttp.ClientSession) -> None:
    prepare(graph)
    unknown_field = {"error": {"code": 100, "message": "(#100) Tried accessing nonexisting field (health_status)"}}
    graph.prepare(f"GET {NUMBER_ID}", Answer(400, unknown_field), Answer(200, {"id": NUMBER_ID}))
    found = by_check(await channel.diagnose(connected(graph, waba_id=WABA), http))
    assert found["token"].level == "ok"
    assert found["subscription"].level == "ok"


async def test_permission_for_the_business_account_is_missing(graph: GraphDouble, http: aiohttp.ClientSession) -> None:
    prepare(graph)
    denied = Answer(403, {"error": {"code": 200, "message": "Permissions error"}})
    graph.prepare(f"GET {WABA}/subscribed_apps", denied)
    graph.prepare(f"{WABA}/message_templates", denied)
    found = by_check(await channel.diagnose(connected(graph), http))
    assert (found["subscription"].level, found["templates"].level) == ("warning", "warning")
