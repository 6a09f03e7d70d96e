"""A stand-in for the WhatsApp send API over real HTTP, whose answers a test scripts."""

import asyncio
import itertools
from collections import deque
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestServer


@dataclass
class GraphAPI:
    """Answers sends in the order of `script`, then with success. An entry is (status, json), `hang` or `reset`."""

    script: deque[Any] = field(default_factory=deque)
    accepted: list[dict[str, Any]] = field(default_factory=list)
    attempts: int = 0

    async def start(self) -> str:
        """Listen on a free port; returns the base URL."""
        app = web.Application()
        app.router.add_post("/{version}/{phone}/messages", self._messages)
        self._server = TestServer(app)
        await self._server.start_server()
        return str(self._server.make_url("")).rstrip("/")

    async def stop(self) -> None:
        """Close."""
        await self._server.close()

    async def _messages(self, request: web.Request) -> web.StreamResponse:
        self.attempts += 1
        body = await request.json()
        step = self.script.popleft() if self.script else None
        if step == "hang":
            self.accepted.append(body)
            await asyncio.sleep(30)
        if step == "reset":
            assert request.transport
            request.transport.abort()
            return web.Response()
        if isinstance(step, tuple):
            return web.json_response(step[1], status=step[0])
        self.accepted.append(body)
        return web.json_response({"messaging_product": "whatsapp", "messages": [{"id": f"wamid.sent{next(_ids)}"}]})

    @property
    def message_ids(self) -> list[str]:
        """Our ids of what was accepted, in order."""
        return [body["biz_opaque_callback_data"] for body in self.accepted]


_ids = itertools.count(1)
