"""Connecting a bot, and what the diagnosis says of one."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from packages.core.domain.channels import Channel as Account
from packages.core.domain.channels import Finding
from services.channel_gateway.channels.telegram import channel
from services.channel_gateway.channels.telegram.setup import ALLOWED_UPDATES, _public_url
from tests.channel_gateway.channels.telegram.bot_server import SECRET, TOKEN, WEBHOOK_URL, BotServer

EXCHANGES = Path(__file__).parent / "exchanges"
ME = (
    200,
    {"ok": True, "result": {"id": 123456789, "is_bot": True, "first_name": "Example Bot", "username": "example_bot"}},
)


def recorded(name: str) -> dict[str, Any]:
    exchange: dict[str, Any] = json.loads((EXCHANGES / f"{name}.json").read_text())
    return exchange


def info(**more: Any) -> tuple[int, Any]:
    known = {"url": WEBHOOK_URL, "has_custom_certificate": False, "pending_update_count": 0}
    return 200, {"ok": True, "result": {**known, "allowed_updates": list(ALLOWED_UPDATES), **more}}


def shown(findings: list[Finding]) -> dict[str, str]:
    """The worst level of each check."""
    order = ["ok", "info", "warning", "error"]
    levels: dict[str, str] = {}
    for finding in findings:
        levels[finding.check] = max(levels.get(finding.check, "ok"), finding.level, key=order.index)
        assert finding.message.endswith(".") or ": " in finding.message
        assert finding.level in {"ok", "info"} or finding.remedy or finding.check == "webhook"
        assert TOKEN not in finding.message
    return levels


async def test_connecting_registers_the_webhook(server: BotServer, http: aiohttp.ClientSession) -> None:
    server.answers = [ME]
    findings = await channel.connect(server.account(), http)
    assert shown(findings) == {"token": "ok", "secret": "ok", "webhook": "ok"}
    assert "@example_bot" in findings[0].message
    method, call = server.calls[1]
    wanted = recorded("set_webhook")["request"]["json"]
    assert method == "setWebhook"
    assert call | {"drop_pending_updates": False} == wanted | {"drop_pending_updates": False}


@pytest.mark.parametrize(
    ("answers", "credentials", "levels", "definite"),
    [
        ([(401, recorded("error_401")["response"]["json"])], {}, {"token": "error", "secret": "ok"}, True),
        ([(404, recorded("error_404_bad_token")["response"]["json"])], {}, {"token": "error", "secret": "ok"}, True),
        ([(502, "")], {}, {"token": "warning", "secret": "ok"}, False),
        ([(None, "")], {}, {"token": "warning", "secret": "ok"}, False),
        ([(200, {"ok": True, "result": 7})], {}, {"token": "warning", "secret": "ok"}, False),
        ([], {"bot_token": ""}, {"token": "error", "secret": "ok"}, True),
        ([ME], {"secret_token": ""}, {"token": "ok", "secret": "error", "webhook": "warning"}, False),
        ([ME], {"secret_token": "not allowed!"}, {"token": "ok", "secret": "error", "webhook": "warning"}, False),
        (
            [ME, (400, {"ok": False, "description": "Bad Request: bad webhook: Failed to resolve host"})],
            {},
            {"token": "ok", "secret": "ok", "webhook": "error"},
            False,
        ),
        ([ME, (500, "")], {}, {"token": "ok", "secret": "ok", "webhook": "warning"}, False),
    ],
)
async def test_connecting_what_cannot_be_connected(
    server: BotServer,
    http: aiohttp.ClientSession,
    answers: list[tuple[int | None, Any]],
    credentials: dict[str, str],
    levels: dict[str, str],
    definite: bool,
) -> None:
    server.answers = answers
    findings = await channel.connect(server.account(**credentials), http)
    assert shown(findings) == levels
    assert any(finding.definite for finding in findings) is definite


@pytest.mark.parametrize(
    ("webhook", "level", "words"),
    [
        ({}, "ok", ""),
        ({"url": ""}, "error", "nowhere"),
        ({"url": "https://other.example/hook/secret-path"}, "error", "other.example"),
        (recorded("webhook_info_with_error")["response"]["json"]["result"], "warning", "500 Internal Server Error"),
        ({"pending_update_count": 500}, "warning", "500 updates wait"),
        ({"last_error_message": "Connection refused", "last_error_date": 1750030100}, "ok", ""),
    ],
)
async def test_diagnosis_of_the_webhook(
    server: BotServer, http: aiohttp.ClientSession, webhook: dict[str, Any], level: str, words: str
) -> None:
    server.answers = [ME, info(**webhook)]
    findings = await channel.diagnose(server.account(), http)
    assert shown(findings)["webhook"] == level
    told = " ".join(finding.message for finding in findings if finding.check == "webhook")
    assert words in told
    assert "secret-path" not in told
    assert [method for method, _ in server.calls] == ["getMe", "getWebhookInfo"]


async def test_diagnosis_tells_which_updates_are_missing(server: BotServer, http: aiohttp.ClientSession) -> None:
    server.answers = [ME, info(allowed_updates=["message"])]
    findings = await channel.diagnose(server.account(), http)
    [missing] = [finding for finding in findings if finding.check == "subscription" and finding.level == "warning"]
    assert "message_reaction" in missing.message
    assert not missing.message.startswith("message,")


async def test_diagnosis_of_what_does_not_answer(server: BotServer, http: aiohttp.ClientSession) -> None:
    server.answers = [ME, (503, "")]
    assert shown(await channel.diagnose(server.account(), http))["webhook"] == "warning"
    server.answers = [(401, "")]
    assert shown(await channel.diagnose(server.account(), http))["token"] == "error"


@pytest.mark.parametrize(
    ("url", "level"),
    [
        ("https://hooks.example.com/webhooks/telegram/1", "ok"),
        ("https://hooks.example.com:8443/x", "ok"),
        ("https://hooks.example.com:9443/x", "error"),
        ("http://hooks.example.com/x", "error"),
        ("https://192.168.1.2/x", "error"),
        ("https://localhost/x", "error"),
        ("", "error"),
        ("https://[", "error"),
    ],
)
def test_the_public_address_is_what_telegram_takes(server: BotServer, url: str, level: str) -> None:
    account: Account = replace(server.account(), webhook_url=url, settings={})
    [finding] = _public_url(account)
    assert (finding.check, finding.level) == ("public_url", level)


@pytest.mark.parametrize(
    ("url", "methods"),
    [(WEBHOOK_URL, ["getWebhookInfo", "deleteWebhook"]), ("https://other.example/", ["getWebhookInfo"])],
)
async def test_disconnecting_takes_back_what_is_ours(
    server: BotServer, http: aiohttp.ClientSession, url: str, methods: list[str]
) -> None:
    server.answers = [info(url=url)]
    await channel.disconnect(server.account(), http)
    assert [method for method, _ in server.calls] == methods


async def test_disconnecting_does_not_raise(server: BotServer, http: aiohttp.ClientSession) -> None:
    server.answers = [(401, "")]
    await channel.disconnect(server.account(secret_token=SECRET), http)
    assert len(server.calls) == 1
