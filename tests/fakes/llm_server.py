"""An OpenAI-compatible chat endpoint over real HTTP, whose answers and failures a test scripts."""

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web


@dataclass(frozen=True)
class Reply:
    """One scripted answer.

    `status` other than 200 is an error with `error` as its message. `hang` names where the server falls silent:
    before the headers, before the first token, or in the middle. `broken` names how the stream is damaged: `json` (an
    event that is none), `cut` (the connection drops), `unfinished` (ends without a finish reason), `error` (an error
    event). `stream=False` answers with one JSON body although a stream was asked for. `calls` are what the
    model asks for natively, before its text: (name, arguments).
    """

    text: str = "I do not know."
    status: int = 200
    error: str = "scripted"
    retry_after: str | None = None
    hang: str = ""
    broken: str = ""
    stream: bool = True
    pause: float = 0.0
    calls: tuple[tuple[str, str], ...] = ()


@dataclass
class LLMServer:
    """Answers from `script`, then with `otherwise`; keeps the requests' bodies."""

    url: str = ""
    script: deque[Reply] = field(default_factory=deque)
    otherwise: Reply = Reply()
    requests: list[dict[str, Any]] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    released: asyncio.Event = field(default_factory=asyncio.Event)

    def answers(self, *replies: Reply | str) -> None:
        """Script the next answers."""
        self.script.extend(Reply(reply) if isinstance(reply, str) else reply for reply in replies)

    @property
    def last_prompt(self) -> list[dict[str, Any]]:
        """The messages of the latest request."""
        messages: list[dict[str, Any]] = self.requests[-1]["messages"]
        return messages

    async def chat(self, request: web.Request) -> web.StreamResponse:
        """POST /v1/chat/completions."""
        self.requests.append(await request.json())
        self.keys.append(request.headers.get("Authorization", ""))
        reply = self.script.popleft() if self.script else self.otherwise
        if reply.hang == "headers":
            await self.released.wait()
        if reply.status != 200:
            headers = {"Retry-After": reply.retry_after} if reply.retry_after else {}
            body = {"error": {"message": reply.error, "type": "scripted", "code": None}}
            return web.json_response(body, status=reply.status, headers=headers)
        if not reply.stream:
            choice = {"index": 0, "message": {"role": "assistant", "content": reply.text}, "finish_reason": "stop"}
            return web.json_response({"id": "1", "object": "chat.completion", "choices": [choice]})
        return await self._stream(request, reply)

    async def _stream(self, request: web.Request, reply: Reply) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        await response.write(_event({"role": "assistant", "content": ""}))
        for index, (name, arguments) in enumerate(reply.calls):
            function = {"name": name, "arguments": arguments[:5]}
            await response.write(
                _event({"tool_calls": [{"index": index, "id": f"call_{index}", "function": function}]})
            )
            rest = {"index": index, "function": {"arguments": arguments[5:]}}
            await response.write(_event({"tool_calls": [rest]}))
        if reply.hang == "first":
            await self.released.wait()
        pieces = [piece + " " for piece in reply.text.split(" ") if piece]
        for index, piece in enumerate(pieces):
            if index == len(pieces) // 2 and (reply.hang == "middle" or reply.broken):
                await self._damage(request, response, reply)
                return response
            await response.write(_event({"content": piece}))
            await asyncio.sleep(reply.pause)
        await response.write(_event({}, finish="stop"))
        usage = {"prompt_tokens": 11, "completion_tokens": len(pieces)}
        await response.write(f"data: {json.dumps({'choices': [], 'usage': usage})}\n\ndata: [DONE]\n\n".encode())
        return response

    async def _damage(self, request: web.Request, response: web.StreamResponse, reply: Reply) -> None:
        """End the stream before its end, as scripted."""
        if reply.hang == "middle":
            await self.released.wait()
        elif reply.broken == "json":
            await response.write(b'data: {"choices": [{"del\n\n')
        elif reply.broken == "error":
            await response.write(b'data: {"error": {"message": "model crashed"}}\n\n')
        elif reply.broken == "cut":
            assert request.transport is not None
            request.transport.abort()


def _event(delta: dict[str, Any], finish: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return f"data: {json.dumps({'id': '1', 'object': 'chat.completion.chunk', 'choices': [choice]})}\n\n".encode()


@asynccontextmanager
async def running() -> AsyncIterator[LLMServer]:
    """A server on a free port."""
    server = LLMServer()
    app = web.Application()
    app.router.add_post("/v1/chat/completions", server.chat)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    server.url = f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
    try:
        yield server
    finally:
        server.released.set()
        await runner.cleanup()
