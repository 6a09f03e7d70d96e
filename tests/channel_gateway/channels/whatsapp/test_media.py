"""A customer's file: looked up by id, fetched from the platform's hosts alone, the token given to them alone."""

import json
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from packages.core.domain.messages import Attachment
from services.channel_gateway.channels import FileUnavailable
from services.channel_gateway.channels.whatsapp import channel
from services.channel_gateway.channels.whatsapp.media import _is_store, _trusted
from services.channel_gateway.channels.whatsapp.number import Number
from tests.channel_gateway.channels.whatsapp.graph_double import Answer, GraphDouble

EXCHANGES = Path(__file__).parent / "exchanges"
MEDIA_ID = "1003383421387256"
FILE = "/whatsapp_business/attachments/"
PICTURE = Attachment(kind="image", external_id=MEDIA_ID, media_type="image/jpeg", filename="a.jpg")


def lookup(graph: GraphDouble, **more: Any) -> Answer:
    """The recorded look-up, with its URL turned to the stand-in."""
    answer = json.loads((EXCHANGES / "media_lookup.json").read_text())["response"]["json"]
    answer["url"] = answer["url"].replace("https://lookaside.fbsbx.com", graph.url)
    return Answer(200, {**answer, **more})


async def fetched(graph: GraphDouble, http: aiohttp.ClientSession, attachment: Attachment = PICTURE) -> bytes:
    async with channel.download(attachment, graph.account(), http) as download:
        assert download.media_type == "image/jpeg"
        assert download.filename == "a.jpg"
        return b"".join([chunk async for chunk in download.chunks])


async def test_download(graph: GraphDouble, http: aiohttp.ClientSession) -> None:
    graph.prepare(MEDIA_ID, lookup(graph))
    graph.prepare(FILE, Answer(200, b"jpeg" * 50_000))
    async with channel.download(PICTURE, graph.account(), http) as download:
        assert download.size == 303833
    assert await fetched(graph, http) == b"jpeg" * 50_000
    asked, file = graph.asked[-2:]
    assert asked.path == f"/v26.0/{MEDIA_ID}"
    assert asked.query == {"phone_number_id": "200000000000201"}
    assert file.headers["Authorization"] == "Bearer EXAMPLE-ACCESS-TOKEN"
    assert file.headers["User-Agent"].startswith("Parley")


async def test_expired_url_is_looked_up_once_more(graph: GraphDouble, http: aiohttp.ClientSession) -> None:
    expired = json.loads((EXCHANGES / "media_download_expired.json").read_text())["response"]
    graph.prepare(MEDIA_ID, lookup(graph))
    graph.prepare(FILE, Answer(expired["status"], expired["text"]), Answer(200, b"jpeg"))
    assert await fetched(graph, http) == b"jpeg"
    assert [asked.path for asked in graph.asked] == [f"/v26.0/{MEDIA_ID}", FILE] * 2


async def test_file_that_is_gone(graph: GraphDouble, http: aiohttp.ClientSession) -> None:
    graph.prepare(MEDIA_ID, lookup(graph))
    graph.prepare(FILE, Answer(404, ""))
    with pytest.raises(FileUnavailable, match="no longer has the file") as found:
        await fetched(graph, http)
    assert not found.value.retryable
    assert len(graph.asked) == 4


@pytest.mark.parametrize(
    ("answer", "retryable"),
    [
        (Answer(400, {"error": {"code": 100, "error_subcode": 33, "message": "Object does not exist"}}), False),
        (Answer(401, {"error": {"code": 190, "message": "expired"}}), True),
        (Answer(400, {"error": {"code": 80007, "message": "rate"}}), True),
        (Answer(502, "<html>"), True),
        (Answer(None), True),
        (Answer(403, "<html>"), False),
    ],
)
async def test_refused_look_up(
    graph: GraphDouble, http: aiohttp.ClientSession, answer: Answer, retryable: bool
) -> None:
    graph.prepare(MEDIA_ID, answer)
    with pytest.raises(FileUnavailable) as found:
        await fetched(graph, http)
    assert found.value.retryable is retryable
    assert found.value.reason


@pytest.mark.parametrize(("status", "retryable"), [(503, True), (429, True), (410, False)])
async def test_refused_file(graph: GraphDouble, http: aiohttp.ClientSession, status: int, retryable: bool) -> None:
    graph.prepare(MEDIA_ID, lookup(graph))
    graph.prepare(FILE, Answer(status, "no"))
    with pytest.raises(FileUnavailable) as found:
        await fetched(graph, http)
    assert found.value.retryable is retryable


@pytest.mark.parametrize(
    "url",
    ["https://evil.example/x", "http://lookaside.fbsbx.com/x", "https://lookaside.fbsbx.com.evil.example/", "", "//x"],
)
async def test_other_hosts_are_not_asked(graph: GraphDouble, http: aiohttp.ClientSession, url: str) -> None:
    graph.prepare(MEDIA_ID, lookup(graph, url=url))
    with pytest.raises(FileUnavailable, match="not WhatsApp's") as found:
        await fetched(graph, http)
    assert not found.value.retryable


async def test_redirect_is_followed_to_known_hosts_only(graph: GraphDouble, http: aiohttp.ClientSession) -> None:
    graph.prepare(MEDIA_ID, lookup(graph))
    graph.prepare(FILE, Answer(302, "", {"Location": "/elsewhere"}))
    graph.prepare("/elsewhere", Answer(200, b"moved"))
    assert await fetched(graph, http) == b"moved"
    graph.prepare(FILE, Answer(302, "", {"Location": "http://127.0.0.2:1/"}))
    with pytest.raises(FileUnavailable, match=r"127\.0\.0\.2"):
        await fetched(graph, http)


async def test_endless_redirects_end(graph: GraphDouble, http: aiohttp.ClientSession) -> None:
    graph.prepare(MEDIA_ID, lookup(graph))
    graph.prepare(FILE, Answer(302, "", {"Location": FILE}))
    with pytest.raises(FileUnavailable, match="redirects without end"):
        await fetched(graph, http)


@pytest.mark.parametrize(
    ("url", "trusted", "store"),
    [
        ("https://graph.facebook.com/v26.0/1", True, False),
        ("https://lookaside.fbsbx.com/x", True, True),
        ("https://lookaside.fbsbx.com:444/x", False, False),
        ("http://graph.facebook.com/", False, False),
        ("https://scontent.xx.fbcdn.net/x", False, True),
        ("https://mmg.whatsapp.net/x", False, True),
        ("https://evilfbcdn.net/x", False, False),
        ("https://user@evil.example/.fbcdn.net", False, False),
        ("https://[::1", False, False),
        ("https://x:99999999/", False, False),
    ],
)
async def test_hosts(http: aiohttp.ClientSession, url: str, trusted: bool, store: bool) -> None:
    number = Number(GraphDouble(url="https://graph.facebook.com").account(), http)
    assert (_trusted(number, url), _is_store(url)) == (trusted, store)


async def test_attachment_without_id(graph: GraphDouble, http: aiohttp.ClientSession) -> None:
    with pytest.raises(FileUnavailable, match="no id"):
        await fetched(graph, http, Attachment(kind="image"))


async def test_download_that_breaks_off(http: aiohttp.ClientSession) -> None:
    async def take(request: web.Request) -> web.StreamResponse:
        if request.path.startswith("/v26.0"):
            return web.json_response({"url": f"http://{request.host}/file", "mime_type": "image/jpeg"})
        response = web.StreamResponse(headers={"Content-Length": "1000"})
        await response.prepare(request)
        await response.write(b"half")
        assert request.transport is not None
        request.transport.close()
        return response

    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", take)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    broken = GraphDouble(url=f"http://127.0.0.1:{runner.addresses[0][1]}")
    with pytest.raises(FileUnavailable, match="broke off") as found:
        await fetched(broken, http)
    assert found.value.retryable
    await runner.cleanup()
