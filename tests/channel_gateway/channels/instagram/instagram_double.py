"""A local stand-in for graph.instagram.com and the content hosts: gives prepared answers, remembers the questions."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from packages.core.domain.channels import Channel as Account
from services.channel_gateway.channels.instagram import channel
from tests.contracts.channel import account

ACCOUNT_ID = "17841400000000001"
PERSON = "6120000000000001"
TOKEN = "EXAMPLE-ACCESS-TOKEN"
CREDENTIALS = {
    "account_id": ACCOUNT_ID,
    "access_token": TOKEN,
    "app_secret": "the-brands-own-app-secret",
    "verify_token": "the-brands-token",
}


@dataclass(frozen=True)
class Asked:
    """One request."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: Any


@dataclass
class Answer:
    """A prepared answer; status None hangs until the client goes away."""

    status: int | None = 200
    content: Any = None
    headers: dict[str, str] = field(default_factory=dict)


@dataclass
class InstagramDouble:
    """Answers each request with what is prepared for its method and path."""

    url: str = ""
    answers: dict[str, list[Answer]] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)

    def prepare(self, question: str, *answers: Answer) -> None:
        """The answers to `METHOD /path`, in turn; the last one stays."""
        self.answers[question] = list(answers)

    def account(self, **settings: Any) -> Account:
        return account(channel, "instagram", CREDENTIALS, **({"api_base": self.url} | settings))

    async def take(self, request: web.Request) -> web.StreamResponse:
        raw = await request.text()
        body = json.loads(raw) if raw else None
        self.asked.append(Asked(request.method, request.path, dict(request.query), dict(request.headers), body))
        prepared = self.answers.get(f"{request.method} {request.path}")
        if prepared is None:
            return web.json_response({"recipient_id": PERSON, "message_id": f"m-{len(self.asked)}"})
        answer = prepared.pop(0) if len(prepared) > 1 else prepared[0]
        if answer.status is None:
            await asyncio.sleep(5)
            return web.Response()
        if isinstance(answer.content, bytes):
            return web.Response(status=answer.status, body=answer.content, headers=answer.headers)
        return web.json_response(answer.content, status=answer.status, headers=answer.headers)


@asynccontextmanager
async def running_double() -> AsyncIterator[InstagramDouble]:
    """A stand-in on a free port."""
    double = InstagramDouble()
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", double.take)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    double.url = f"http://{host}:{port}"
    try:
        yield double
    finally:
        await runner.cleanup()
