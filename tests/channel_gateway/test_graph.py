"""Calls of Meta's Graph API: addresses, errors, pauses."""

from typing import Any

import aiohttp
import pytest
from aiohttp import web

from services.channel_gateway import graph


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, "https://graph.facebook.com/v26.0/1/messages"),
        ({"api_version": "v24.0"}, "https://graph.facebook.com/v24.0/1/messages"),
        ({"api_base": "http://127.0.0.1:8002/"}, "http://127.0.0.1:8002/v26.0/1/messages"),
        ({"api_base": None, "api_version": ""}, "https://graph.facebook.com/v26.0/1/messages"),
    ],
)
def test_address(settings: dict[str, Any], expected: str) -> None:
    assert graph.address(settings, "/1/messages") == expected
    assert graph.address({}, "me", "https://graph.instagram.com") == "https://graph.instagram.com/v26.0/me"


def test_error_as_meta_writes_it() -> None:
    body = b"""{"error": {"message": "(#130429) Rate limit hit", "type": "OAuthException", "code": 130429,
        "error_data": {"messaging_product": "whatsapp", "details": "Throughput has been reached."},
        "error_subcode": 2494055, "fbtrace_id": "A1"}}"""
    answer = graph.read(400, body)
    assert answer.error == graph.GraphError(
        130429, 2494055, "(#130429) Rate limit hit", "Throughput has been reached.", "A1"
    )
    assert (answer.ok, answer.temporary, answer.reason) == (False, False, "Throughput has been reached.")


@pytest.mark.parametrize(
    ("status", "body", "ok", "temporary"),
    [
        (200, b'{"success": true}', True, False),
        (204, b"", True, False),
        (200, b'{"error": {"code": 1}}', False, False),
        (302, b"", False, False),
        (404, b"nothing", False, False),
        (429, b"", False, True),
        (502, b"<html>", False, True),
        (500, b'{"error": {"code": true}}', False, True),
        (500, b'{"error": {"code": 2}}', False, False),
        (500, b"[" * 5000, False, True),
    ],
)
def test_how_it_ended(status: int, body: bytes, ok: bool, temporary: bool) -> None:
    answer = graph.read(status, body)
    assert (answer.ok, answer.temporary) == (ok, temporary)
    assert isinstance(answer.object(), dict)
    assert answer.data() == []


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"Retry-After": "17"}, 17),
        ({"Retry-After": "Wed, 21 Oct 2026 07:28:00 GMT"}, None),
        ({"Retry-After": "9" * 30}, 86_400),
        ({"X-App-Usage": '{"call_count": 100, "estimated_time_to_regain_access": 2}'}, 120),
        ({"X-Business-Use-Case-Usage": '{"1": [{"estimated_time_to_regain_access": 5}, 7], "2": 7}'}, 300),
        ({"X-Business-Use-Case-Usage": '{"1": [{"estimated_time_to_regain_access": 0}]}'}, None),
        ({"X-Business-Use-Case-Usage": "not JSON"}, None),
        ({"X-App-Usage": "[1]"}, None),
    ],
)
def test_pause(headers: dict[str, str], seconds: float | None) -> None:
    assert graph.read(400, b"", headers).retry_after == seconds


def test_list() -> None:
    assert graph.read(200, b'{"data": [{"id": "1"}, 7]}').data() == [{"id": "1"}]


async def test_call_over_http() -> None:
    asked: list[web.Request] = []

    async def take(request: web.Request) -> web.StreamResponse:
        asked.append(request)
        if request.path == "/moved":
            return web.Response(status=302, headers={"Location": "/elsewhere"})
        if request.path == "/endless":
            return web.Response(body=b"x" * 5_000_000)
        return web.json_response({"got": await request.json(), "fields": request.query["fields"]})

    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", take)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    base = f"http://127.0.0.1:{runner.addresses[0][1]}"
    async with aiohttp.ClientSession() as http:
        answer = await graph.call(http, "POST", base, "t", body={"a": "é"}, params={"fields": "x"}, seconds=5)
        moved = await graph.call(http, "GET", f"{base}/moved", "t", seconds=5)
        endless = await graph.call(http, "GET", f"{base}/endless", "t", seconds=5)
    await runner.cleanup()
    assert answer.object() == {"got": {"a": "é"}, "fields": "x"}
    assert asked[0].headers["Authorization"] == "Bearer t"
    assert (moved.status, moved.ok, len(asked)) == (302, False, 3)
    assert endless.lost == "no_answer"
