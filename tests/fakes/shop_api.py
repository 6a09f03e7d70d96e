"""A brand's own system over real HTTP: orders, a webhook, and every way in which such systems fail."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

ORDER = {
    "order": {
        "id": "3348917502",
        "state": "in transit",
        "items": [{"name": "Jeans", "qty": 1}, {"name": "Boots", "qty": 2}],
    }
}


@dataclass
class Heard:
    """One request as it came."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class ShopAPI:
    """Answers by `fault`: "" (as it should), 500, html, hang, cut, large, redirect (to `target`), 429."""

    url: str = ""
    fault: str = ""
    target: str = ""
    answer: Any = field(default_factory=lambda: ORDER)
    heard: list[Heard] = field(default_factory=list)
    released: asyncio.Event = field(default_factory=asyncio.Event)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Any path."""
        body = await request.read()
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.heard.append(Heard(request.method, request.raw_path, headers, body))
        if self.fault == "hang":
            await self.released.wait()
        if self.fault == "redirect":
            raise web.HTTPFound(self.target)
        if self.fault == "html":
            return web.Response(text="<html>Oops</html>", content_type="text/html")
        if self.fault == "large":
            return web.Response(body=b"[" + b"1," * 400_000 + b"1]", content_type="application/json")
        if self.fault == "cut":
            assert request.transport is not None
            request.transport.abort()
        if self.fault.isdigit():
            return web.json_response({"error": "scripted"}, status=int(self.fault))
        return web.json_response(self.answer)


@asynccontextmanager
async def running() -> AsyncIterator[ShopAPI]:
    """A server on a free port."""
    shop = ShopAPI()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", shop.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    shop.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield shop
    finally:
        shop.released.set()
        await runner.cleanup()
