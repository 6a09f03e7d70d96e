"""The gateway's web chat as a browser meets it: sessions, messages with client ids, a resumable event stream."""

import asyncio
import json
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web


@dataclass
class WebChatDouble:
    """Keeps one conversation per session. `answers` are statuses given to POST …/messages before it works."""

    answers: list[int] = field(default_factory=list)
    sessions: list[str] = field(default_factory=list)
    taken: list[tuple[str, str, str]] = field(default_factory=list)
    written: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    streams: list[asyncio.Queue[dict[str, Any] | None]] = field(default_factory=list)
    valid: set[str] = field(default_factory=set)
    port: int = 0
    _runner: web.AppRunner | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def start(self) -> None:
        app = web.Application()
        app.router.add_post("/webchat/{config}/sessions", self._session)
        app.router.add_post("/webchat/{config}/messages", self._message)
        app.router.add_get("/webchat/{config}/messages", self._list)
        app.router.add_get("/webchat/{config}/stream", self._stream)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port).start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        self.hang_up()
        if self._runner is not None:
            await self._runner.cleanup()

    def say(self, token: str, text: str, author: str = "bot") -> None:
        """The brand (or the visitor in another tab) writes."""
        thread = self.written.setdefault(token, [])
        message = {"id": f"{token}-{len(thread) + 1}", "seq": len(thread) + 1, "author": author, "text": text}
        thread.append(message)
        for stream in self.streams:
            stream.put_nowait(message)

    def hang_up(self) -> None:
        for stream in self.streams:
            stream.put_nowait(None)

    def _token(self, request: web.Request) -> str:
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if token not in self.valid:
            raise web.HTTPUnauthorized
        return token

    async def _session(self, _request: web.Request) -> web.Response:
        token = f"session-{len(self.sessions) + 1}"
        self.sessions.append(token)
        self.valid.add(token)
        return web.json_response({"session_token": token, "customer_id": token}, status=201)

    async def _message(self, request: web.Request) -> web.Response:
        token = self._token(request)
        if self.answers:
            return web.Response(status=self.answers.pop(0))
        body = await request.json()
        self.taken.append((token, body["client_id"], body["text"]))
        return web.json_response({}, status=202)

    async def _list(self, request: web.Request) -> web.Response:
        thread = self.written.get(self._token(request), [])
        after = int(request.query["after"])
        return web.json_response({"items": [message for message in thread if message["seq"] > after]})

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        self._token(request)
        queue: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()
        self.streams.append(queue)
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        await response.write(b": hello\n\nevent: typing\ndata: {}\n\n")
        while (message := await queue.get()) is not None:
            data = json.dumps(message)
            await response.write(f"id: {message['seq']}\nevent: message\ndata: {data}\n\n".encode())
        self.streams.remove(queue)
        return response
