"""Sending over real HTTP to a local stand-in that gives WhatsApp's recorded answers."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from aiohttp import web

from packages.core.domain.channels import Channel as Account
from services.channel_gateway.channels import SendResult
from services.channel_gateway.channels.whatsapp import channel
from services.channel_gateway.channels.whatsapp.outbound import post, read_answer, request_body
from tests.channel_gateway.conftest import whatsapp_credentials
from tests.contracts.channel import MESSAGE_ID, account, part

HERE = Path(__file__).parent
CASES = json.loads((HERE / "exchanges_expected.json").read_text())
OUTCOMES = {
    "accepted": "sent",
    "retry": "retry",
    "permanent": "failed",
    "channel_down": "failed",
    "unknown": "in_doubt",
}


def exchange(file: str) -> dict[str, Any]:
    recorded: dict[str, Any] = json.loads((HERE / "exchanges" / file).read_text())
    return recorded


@dataclass
class Graph:
    """Stands in for graph.facebook.com: gives the prepared answers in turn, then accepts everything."""

    url: str = ""
    answers: list[tuple[int | None, str]] = field(default_factory=list)
    requests: list[tuple[str, str | None, dict[str, Any]]] = field(default_factory=list)

    async def take(self, request: web.Request) -> web.StreamResponse:
        self.requests.append((request.path, request.headers.get("Authorization"), await request.json()))
        if not self.answers:
            return web.json_response({"messages": [{"id": f"wamid.out{len(self.requests)}"}]})
        status, text = self.answers.pop(0)
        if status is None:  # no answer at all
            assert request.transport is not None
            request.transport.close()
            return web.Response()
        return web.Response(status=status, text=text, content_type="application/json")

    @property
    def account(self) -> Account:
        return account(channel, "whatsapp", whatsapp_credentials(), api_base=self.url)


@pytest_asyncio.fixture
async def graph() -> AsyncIterator[Graph]:
    stand_in = Graph()
    app = web.Application()
    app.router.add_post("/{version}/{number}/messages", stand_in.take)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    stand_in.url = f"http://{host}:{port}"
    yield stand_in
    await runner.cleanup()


async def send(graph: Graph, text: str = "Your order has left.", **more: Any) -> SendResult:
    async with aiohttp.ClientSession() as http:
        return await channel.send(part(text, **more), graph.account, http)


@pytest.mark.parametrize("case", CASES, ids=[case["file"] for case in CASES])
async def test_recorded_exchange(graph: Graph, case: dict[str, Any]) -> None:
    recorded, expected = exchange(case["file"]), case["expected"]
    answer = recorded["response"]
    text = json.dumps(answer["json"]) if "json" in answer else answer.get("text", "")
    graph.answers = [(answer["status"], text)]
    wanted = recorded["request"]["json"]
    recipient = wanted.get("to") or wanted["recipient"]
    reply_to = wanted.get("context", {}).get("message_id")
    result = await send(graph, wanted["text"]["body"], recipient=recipient, reply_to=reply_to)
    assert result.outcome == OUTCOMES[expected["outcome"]]
    assert result.external_id == expected.get("external_id")
    if "code" in expected:
        assert result.code == str(expected["code"])
    if result.outcome != "sent":
        assert result.reason
    path, token, body = graph.requests[0]
    assert path == recorded["request"]["url"].removeprefix("https://graph.facebook.com")
    assert token == "Bearer EXAMPLE-ACCESS-TOKEN"
    assert body.pop("biz_opaque_callback_data") == MESSAGE_ID
    wanted["text"].setdefault("preview_url", False)
    assert body == wanted


@pytest.mark.parametrize(
    ("recipient", "address"),
    [
        ("12025550123", {"recipient_type": "individual", "to": "+12025550123"}),
        ("+12025550123", {"recipient_type": "individual", "to": "+12025550123"}),
        ("US.10000000000000000001", {"recipient_type": "individual", "recipient": "US.10000000000000000001"}),
        ("US.ENT.1000000000000", {"recipient_type": "individual", "recipient": "US.ENT.1000000000000"}),
        ("Y2FwaV9ncm91cDo=", {"recipient_type": "group", "to": "Y2FwaV9ncm91cDo="}),
    ],
)
def test_address(recipient: str, address: dict[str, str]) -> None:
    body = request_body(part("x", recipient))
    assert {key: body[key] for key in ("recipient_type", "to", "recipient") if key in body} == address


@pytest.mark.parametrize(
    ("status", "body", "outcome"),
    [
        (200, b"", "in_doubt"),
        (200, b"{}", "in_doubt"),
        (200, b'{"messages": [{"id": 7}]}', "in_doubt"),
        (500, b"\xff", "retry"),
        (503, b"[]", "retry"),
        (429, b"", "retry"),
        (404, b"not found", "failed"),
        (400, b'{"error": "text"}', "failed"),
        (400, b'{"error": {"code": "190"}}', "failed"),
        (400, b'{"error": {"code": 999999999}}', "failed"),
        (500, b'{"error": {"code": 131000}}', "retry"),
    ],
)
def test_any_answer_has_a_meaning(status: int, body: bytes, outcome: str) -> None:
    assert read_answer(status, body).outcome == outcome


def test_retry_after_header_is_heeded() -> None:
    assert read_answer(429, b"", "17").retry_after == 17


async def test_silence_is_in_doubt() -> None:
    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(hang, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    async with aiohttp.ClientSession() as http:
        result = await post(http, url, "token", {}, 0.2)
    server.close()
    assert (result.outcome, result.code) == ("in_doubt", "no_answer")
