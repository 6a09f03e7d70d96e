"""What is sent for each kind of part, within the platform's limits, and what any answer means."""

import asyncio
from dataclasses import replace
from typing import Any

import aiohttp
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from packages.core.domain.messages import Button, Reaction, Signal, Template
from services.channel_gateway import graph as graph_api
from services.channel_gateway.channels import File, SendResult
from services.channel_gateway.channels.whatsapp import channel
from services.channel_gateway.channels.whatsapp.outbound import request_body, result
from services.channel_gateway.graph import GraphAnswer
from services.channel_gateway.simulator.platforms.whatsapp.validation import check as check_schema
from services.local.engines import free_port
from tests.channel_gateway.channels.whatsapp.graph_double import NUMBER_ID, Answer, GraphDouble
from tests.contracts.channel import part

NUMBER = "12025550100"
LINK = Button(title="Open", url="https://example.com/t/1")


async def _bytes() -> bytes:
    return b"12345678"


def file(kind: str = "image", media_type: str = "image/png", size: int = 8) -> File:
    url = "https://files.example.com/1"
    return File(kind=kind, media_type=media_type, filename="f.bin", size=size, url=url, read=_bytes)


def replies(count: int, prefix: str = "B") -> tuple[Button, ...]:
    return tuple(Button(title=f"{prefix}{number}") for number in range(count))


def body_of(text: str = "Choose", **more: Any) -> dict[str, Any]:
    body = request_body(part(text, **more), {"id": "1"}, {"name": "t", "language": {"code": "en"}})
    assert check_schema(body, NUMBER)
    return body


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
    ("buttons", "text", "form"),
    [
        (replies(1), "x", "button"),
        (replies(3), "x", "button"),
        (replies(3), "x" * 1024, "button"),
        (replies(3), "x" * 1025, "list"),
        (replies(4), "x", "list"),
        (replies(10), "x" * 4096, "list"),
        (replies(2, "same title beyond twenty characters "), "x", "list"),
        ((LINK,), "x", "cta_url"),
        ((LINK,), "", "cta_url"),
        ((*replies(2), LINK), "x", "button"),
    ],
)
def test_form_of_buttons(buttons: tuple[Button, ...], text: str, form: str) -> None:
    assert body_of(text, buttons=buttons)["interactive"]["type"] == form


@pytest.mark.parametrize(
    ("buttons", "text", "words"),
    [
        (replies(11), "x", "• B10"),
        ((LINK, LINK), "x", "Open: https://example.com/t/1"),
        ((LINK,), "x" * 1025, "Open: https://example.com/t/1"),
    ],
)
def test_what_fits_no_form_becomes_text(buttons: tuple[Button, ...], text: str, words: str) -> None:
    body = body_of(text, buttons=buttons)
    assert body["type"] == "text"
    assert words in body["text"]["body"]


def test_link_beside_replies_stands_in_the_text() -> None:
    body = body_of("x", buttons=(*replies(2), LINK))
    assert body["interactive"]["body"]["text"] == "x\nOpen: https://example.com/t/1"


def test_payload_comes_back_whole_and_titles_are_cut() -> None:
    button = Button(title="t" * 30, payload="p" * 256)
    [reply] = body_of(buttons=(button,))["interactive"]["action"]["buttons"]
    assert reply["reply"] == {"id": "p" * 256, "title": "t" * 20}
    rows = body_of(buttons=(Button(title="t" * 30, description="d" * 90), *replies(4)))["interactive"]["action"]
    row = rows["sections"][0]["rows"][0]
    assert (len(row["title"]), len(row["description"])) == (24, 72)


@pytest.mark.parametrize(
    ("sent", "caption", "kind"),
    [
        (file("image", "image/png"), "c", "image"),
        (file("image", "image/gif"), "", "document"),
        (file("video", "video/mp4"), "c", "video"),
        (file("video", "video/webm"), "", "document"),
        (file("audio", "audio/mpeg"), "", "audio"),
        (file("audio", "audio/mpeg"), "c", "document"),
        (file("sticker", "image/webp"), "", "sticker"),
        (file("document", "text/csv"), "c", "document"),
        (file("share", "text/html"), "", "document"),
    ],
)
def test_kind_of_file(sent: File, caption: str, kind: str) -> None:
    body = body_of(caption, file=sent)
    assert body["type"] == kind
    assert body[kind].get("caption", "") == caption
    assert ("filename" in body[kind]) == (kind == "document")


def test_voice_note() -> None:
    assert body_of("", file=file("audio", "audio/ogg; codecs=opus"))["audio"] == {"id": "1", "voice": True}


def test_picture_with_buttons_is_one_message() -> None:
    body = body_of("Which?", file=file(), buttons=replies(2))
    assert body["interactive"]["header"] == {"type": "image", "image": {"id": "1"}}
    body = body_of("Which?", file=file("document", "application/pdf"), buttons=(LINK,))
    assert body["interactive"]["header"]["document"] == {"id": "1", "filename": "f.bin"}


@pytest.mark.parametrize("more", [{"template": Template(name="t")}, {"reaction": Reaction(target="wamid.1")}])
def test_no_context_where_it_has_no_effect(more: dict[str, Any]) -> None:
    assert "context" in body_of("x", reply_to="wamid.1")
    assert "context" not in body_of("", reply_to="wamid.1", **more)


_TITLES = st.text(min_size=1, max_size=40).filter(str.strip)
_BUTTON = st.builds(
    Button,
    title=_TITLES,
    payload=st.none() | st.text(min_size=1, max_size=200),
    url=st.none() | st.just("https://example.com/x"),
    description=st.none() | st.text(max_size=100),
)


@settings(max_examples=200, deadline=None)
@given(
    text=st.text(min_size=1, max_size=1100),
    buttons=st.lists(_BUTTON, max_size=10, unique_by=lambda button: button.payload or button.title),
    reply_to=st.none() | st.just("wamid.1"),
)
def test_every_body_is_within_the_documented_limits(text: str, buttons: list[Button], reply_to: str | None) -> None:
    assert check_schema(request_body(part(text, buttons=tuple(buttons), reply_to=reply_to)), NUMBER) == "12025550123"


@pytest.mark.parametrize(
    ("status", "body", "outcome"),
    [
        (200, b"", "in_doubt"),
        (200, b"{}", "in_doubt"),
        (200, b'{"messages": [{"id": 7}]}', "in_doubt"),
        (200, b'{"error": {"code": 190}}', "failed"),
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
    assert result(graph_api.read(status, body)).outcome == outcome


def refused(code: int, subcode: int | None = None) -> SendResult:
    error = graph_api.GraphError(code, subcode, "message", "details")
    return result(GraphAnswer(status=400, error=error, reason=error.text))


@pytest.mark.parametrize(
    ("codes", "outcome", "scope"),
    [
        ([2, 4, 80007, 130429, 131000, 131016, 131048, 131057, 131064, 133004, 368, 2494100], "retry", "account"),
        ([1, 131049, 131056, 134101], "retry", "person"),
        ([131047], "held", "person"),
        ([100, 130472, 130497, 131008, 131009, 131021, 131026, 131030, 131050, 131051, 131053], "failed", "person"),
        ([131055, 131062, 131063, 132000, 132001, 132005, 132007, 132008, 132012], "failed", "person"),
        ([132015, 132016, 132068, 132069, 134100, 134102, 135000, 137000, 123456789], "failed", "person"),
        ([0, 3, 10, 33, 190, 200, 299, 131005, 131031, 131037, 131042, 131045, 133010], "failed", "account"),
    ],
)
def test_codes(codes: list[int], outcome: str, scope: str) -> None:
    for code in codes:
        found = refused(code)
        assert (found.outcome, found.scope, found.code) == (outcome, scope, str(code))
        assert found.reason
        assert (found.retry_after is not None) == (outcome == "retry")
        assert found.account_down == (outcome == "failed" and scope == "account")


def test_number_that_does_not_exist_is_the_accounts_fault() -> None:
    assert refused(100, 33).account_down
    assert not refused(100, 1).account_down


async def test_platforms_own_pause_is_heeded(graph: GraphDouble, http: aiohttp.ClientSession) -> None:
    error = {"error": {"code": 80007, "message": "(#80007) Rate limit issues"}}
    usage = '{"1": [{"type": "messages", "call_count": 100, "estimated_time_to_regain_access": 3}]}'
    graph.prepare(f"{NUMBER_ID}/messages", Answer(400, error, {"X-Business-Use-Case-Usage": usage}))
    found = await channel.send(part("x"), graph.account(), http)
    assert (found.outcome, found.retry_after, found.scope) == ("retry", 180, "account")


@pytest.mark.parametrize(
    "failure", [Answer(None), Answer(200, {}), Answer(503, "gone"), Answer(500, {"error": {"code": 2}})]
)
async def test_failed_upload_is_no_doubt(graph: GraphDouble, http: aiohttp.ClientSession, failure: Answer) -> None:
    graph.prepare(f"{NUMBER_ID}/media", failure)
    found = await channel.send(part("c", file=file()), graph.account(), http)
    assert found.outcome == "retry"
    assert graph.paths == [f"POST /v26.0/{NUMBER_ID}/media"]


async def test_refused_upload_fails(graph: GraphDouble, http: aiohttp.ClientSession) -> None:
    graph.prepare(f"{NUMBER_ID}/media", Answer(400, {"error": {"code": 131053, "message": "Media upload error"}}))
    found = await channel.send(part("c", file=file()), graph.account(), http)
    assert (found.outcome, found.code) == ("failed", "131053")


async def test_file_goes_up_and_is_named_by_its_id(graph: GraphDouble, http: aiohttp.ClientSession) -> None:
    graph.prepare(f"{NUMBER_ID}/media", Answer(200, {"id": "77"}))
    found = await channel.send(part("c", file=file()), graph.account(), http)
    assert found.outcome == "sent"
    up, message = graph.asked
    assert up.body == {
        "messaging_product": "whatsapp",
        "type": "image/png",
        "file": ("f.bin", "image/png", b"12345678"),
    }
    assert message.body["image"] == {"id": "77", "caption": "c"}


async def test_large_file_goes_by_link(graph: GraphDouble, http: aiohttp.ClientSession) -> None:
    large = replace(file("document", "application/pdf"), size=17 * 1024 * 1024)
    await channel.send(part("", file=large), graph.account(), http)
    [asked] = graph.asked
    assert asked.body["document"] == {"link": large.url, "filename": "f.bin"}


async def test_silence_is_in_doubt(http: aiohttp.ClientSession) -> None:
    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(hang, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    found = result(await graph_api.call(http, "POST", url, "token", body={}, seconds=0.2))
    server.close()
    assert (found.outcome, found.code) == ("in_doubt", "no_answer")


@pytest.mark.parametrize("url", ["http://127.0.0.1:{port}/", "http://no-such-host.invalid/", "no url", "http://[::1"])
async def test_what_never_left_is_no_doubt(http: aiohttp.ClientSession, url: str) -> None:
    answer = await graph_api.call(http, "POST", url.format(port=free_port()), "token", body={}, seconds=5)
    assert (answer.lost, result(answer).outcome) == ("unreachable", "retry")


async def test_token_that_no_header_can_hold_never_left(graph: GraphDouble, http: aiohttp.ClientSession) -> None:
    answer = await graph_api.call(http, "GET", graph.url, "line\r\nbreak: 1", seconds=5)
    assert answer.lost == "unreachable"
    assert graph.asked == []


async def test_text_that_is_no_unicode_never_left(graph: GraphDouble, http: aiohttp.ClientSession) -> None:
    found = await channel.send(part("half a pair: \ud83d"), graph.account(), http)
    assert found.outcome == "retry"
    assert graph.asked == []


async def test_typing_without_a_message_is_not_attempted(graph: GraphDouble, http: aiohttp.ClientSession) -> None:
    await channel.signal(Signal(kind="typing", channel_config_id="c", recipient="1"), graph.account(), http)
    assert graph.asked == []


async def test_failed_signal_does_not_raise(graph: GraphDouble, http: aiohttp.ClientSession) -> None:
    graph.prepare(f"{NUMBER_ID}/messages", Answer(None))
    signal = Signal(kind="read", channel_config_id="c", recipient="1", external_id="wamid.1")
    await channel.signal(signal, graph.account(), http)
    assert len(graph.asked) == 1
