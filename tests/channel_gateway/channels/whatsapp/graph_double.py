"""A local stand-in for graph.facebook.com and its file host: gives prepared answers, remembers the questions."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from packages.core.domain.channels import Channel as Account
from services.channel_gateway.channels.whatsapp import channel
from tests.channel_gateway.conftest import whatsapp_credentials
from tests.contracts.channel import account

NUMBER_ID = "200000000000201"


@dataclass(frozen=True)
class Asked:
    """One request; `body` is its JSON, or the fields of its form."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: dict[str, Any]


@dataclass
class Answer:
    """A prepared answer; status None breaks the connection off instead."""

    status: int | None = 200
    content: Any = None
    headers: dict[str, str] = field(default_factory=dict)


@dataclass
class GraphDouble:
    """Answers each request with what is prepared for its path (and method), else accepts a message."""

    url: str = ""
    answers: dict[str, list[Answer]] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)

    def prepare(self, path: str, *answers: Answer) -> None:
        """Answers of a path below the version, in turn; the last one stays. `POST path` for one method only."""
        self.answers[path] = list(answers)

    @property
    def paths(self) -> list[str]:
        return [f"{asked.method} {asked.path}" for asked in self.asked]

    def account(self, **settings: Any) -> Account:
        return account(channel, "whatsapp", whatsapp_credentials(), api_base=self.url, **settings)

    async def take(self, request: web.Request) -> web.StreamResponse:
        asked = Asked(request.method, request.path, dict(request.query), dict(request.headers), await _body(request))
        self.asked.append(asked)
        path = request.path.removeprefix("/v26.0/")
        prepared = self.answers.get(f"{request.method} {path}") or self.answers.get(path)
        if prepared is None:
            return web.json_response({"messages": [{"id": f"wamid.out{len(self.asked)}"}]})
        answer = prepared.pop(0) if len(prepared) > 1 else prepared[0]
        if answer.status is None:
            assert request.transport is not None
            request.transport.close()
            return web.Response()
        if isinstance(answer.content, bytes):
            return web.Response(status=answer.status, body=answer.content, headers=answer.headers)
        text = answer.content if isinstance(answer.content, str) else json.dumps(answer.content)
        return web.Response(status=answer.status, text=text, content_type="application/json", headers=answer.headers)


async def _body(request: web.Request) -> dict[str, Any]:
    if request.content_type == "multipart/form-data":
        form = await request.post()
        fields: dict[str, Any] = {}
        for name, value in form.items():
            if isinstance(value, web.FileField):
                fields[name] = (value.filename, value.content_type, value.file.read())
            else:
                fields[name] = value
        return fields
    text = await request.text()
    body: dict[str, Any] = json.loads(text) if text else {}
    return body


@asynccontextmanager
async def running_double() -> AsyncIterator[GraphDouble]:
    """A stand-in on a free port."""
    double = GraphDouble()
    app = web.Application(client_max_size=32 * 1024 * 1024)
    app.router.add_route("*", "/{tail:.*}", double.take)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    double.url = f"http://{host}:{port}"
    try:
        yield double
    finally:
        await runner.cleanup()
