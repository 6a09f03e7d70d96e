"""The lean transport under the SDK, against a real HTTP server."""

import asyncio
from collections.abc import AsyncIterator

import httpx
import openai
import pytest
import pytest_asyncio
from aiohttp import web

from packages.rag import openai_api
from packages.rag.openai_api import Body


class Server:
    """Writes `pieces` with pauses; `is_cut` breaks the connection before the end. Keeps the requests' headers."""

    def __init__(self) -> None:
        self.url = ""
        self.pieces: list[bytes] = []
        self.pause = 0.0
        self.is_cut = False
        self.headers: list[dict[str, str]] = []
        self.bodies: list[object] = []

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.headers.append(dict(request.headers))
        self.bodies.append(await request.json())
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Set-Cookie": "a=b"})
        await response.prepare(request)
        for piece in self.pieces:
            await response.write(piece)
            await asyncio.sleep(self.pause)
        if self.is_cut:
            assert request.transport is not None
            request.transport.abort()
        return response

    async def elsewhere(self, _request: web.Request) -> web.Response:
        return web.Response(status=307, headers={"Location": f"{self.url}/here"})


@pytest_asyncio.fixture
async def server() -> AsyncIterator[Server]:
    server = Server()
    app = web.Application()
    app.router.add_post("/v1/here", server.answer)
    app.router.add_post("/v1/moved", server.elsewhere)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    server.url = f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
    yield server
    await runner.cleanup()


@pytest_asyncio.fixture
async def client(server: Server) -> AsyncIterator[openai.AsyncOpenAI]:
    client = openai_api.connect(
        base_url=server.url, api_key="sk-test", timeout=httpx.Timeout(0.5, pool=None), connections=2
    )
    yield client
    await client.close()


async def _gathered(body: Body, gather: float) -> list[bytes]:
    chunks = []
    while not body.is_read:
        chunks.append(await body.read(gather))
    await body.aclose()
    return [chunk for chunk in chunks if chunk]


async def test_the_request_bears_the_key_and_asks_for_nothing_compressed(
    server: Server, client: openai.AsyncOpenAI
) -> None:
    server.pieces = [b"whole ", b"answer"]
    assert await openai_api.post(client, "/here", {"text": "é"}) == b"whole answer"
    assert server.bodies == [{"text": "é"}]
    assert server.headers[0]["Authorization"] == "Bearer sk-test"
    assert server.headers[0]["Accept-Encoding"] == "identity"


async def test_no_cookie_is_kept(server: Server, client: openai.AsyncOpenAI) -> None:
    for _ in range(2):
        await openai_api.post(client, "/here", {})
    assert "Cookie" not in server.headers[1]


async def test_a_redirect_is_followed_with_its_body(server: Server, client: openai.AsyncOpenAI) -> None:
    server.pieces = [b"answer"]
    assert await openai_api.post(client, "/moved", {"text": "a"}) == b"answer"
    assert await _gathered(await openai_api.stream(client, "/moved", {"text": "b"}), 5.0) == [b"answer"]
    assert server.bodies == [{"text": "a"}, {"text": "b"}]


@pytest.mark.parametrize(("gather", "chunks"), [(0.0, [b"one", b"two", b"three"]), (5.0, [b"onetwothree"])])
async def test_pieces_come_one_by_one_or_gathered(
    server: Server, client: openai.AsyncOpenAI, gather: float, chunks: list[bytes]
) -> None:
    server.pieces, server.pause = [b"one", b"two", b"three"], 0.05
    body = await openai_api.stream(client, "/here", {})
    assert await _gathered(body, gather) == chunks


async def test_to_gather_ends_after_its_time(server: Server, client: openai.AsyncOpenAI) -> None:
    server.pieces, server.pause = [b"a"] * 6, 0.05
    body = await openai_api.stream(client, "/here", {})
    chunks = await _gathered(body, 0.12)
    assert b"".join(chunks) == b"aaaaaa"
    assert 2 <= len(chunks) <= 4


@pytest.mark.parametrize("gather", [0.0, 5.0])
async def test_a_broken_connection_is_an_error(server: Server, client: openai.AsyncOpenAI, gather: float) -> None:
    server.pieces, server.pause, server.is_cut = [b"a", b"b"], 0.05, True
    body = await openai_api.stream(client, "/here", {})
    with pytest.raises(httpx.TransportError):
        await _gathered(body, gather)


async def test_an_api_that_falls_silent_is_a_connection_error(server: Server, client: openai.AsyncOpenAI) -> None:
    server.pieces, server.pause = [b"a", b"b"], 2.0
    with pytest.raises(openai.APIConnectionError):
        await openai_api.post(client, "/here", {})


async def test_what_is_missing_is_said_by_its_status(client: openai.AsyncOpenAI) -> None:
    with pytest.raises(openai.NotFoundError):
        await openai_api.stream(client, "/nothing", {})
