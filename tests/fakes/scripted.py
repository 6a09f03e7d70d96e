"""A platform of no protocol, over real HTTP: a channel that posts each part, and a server that answers by a script."""

import asyncio
from collections import defaultdict, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import aiohttp
from aiohttp import web
from aiohttp.test_utils import TestServer
from pydantic import BaseModel

from packages.core.domain.channels import Capabilities
from packages.core.domain.channels import Channel as Account
from services.channel_gateway.channels import Channel, Item, Part, SendResult, WebhookRequest


class NoCredentials(BaseModel):
    """Nothing is needed."""


class Scripted(Channel):
    """The adapter: what the server answers is the result."""

    capabilities: ClassVar[Capabilities] = Capabilities(label="Scripted", text_limit=100)
    Credentials = NoCredentials

    def __init__(self, rules: Capabilities | None = None) -> None:
        self.rules = rules or self.capabilities

    def capabilities_for(self, account: Account) -> Capabilities:
        """Whatever the test wants."""
        return self.rules

    def verify(self, request: WebhookRequest, account: Account) -> None:
        """There are no webhooks."""

    def parse(self, request: WebhookRequest) -> Sequence[Item]:
        """There are no webhooks."""
        return ()

    async def send(self, part: Part, account: Account, http: aiohttp.ClientSession) -> SendResult:
        """Post the part."""
        body = {
            "account": account.id,
            "id": part.correlation_id,
            "to": part.recipient,
            "text": part.text,
            "template": part.template.name if part.template else None,
        }
        try:
            async with http.post(f"{account.settings['api_base']}/send", json=body) as response:
                return SendResult(**await response.json())
        except aiohttp.ClientError as error:
            return SendResult(outcome="in_doubt", code="no_answer", reason=str(error))

    async def find(self, part: Part, account: Account, http: aiohttp.ClientSession) -> SendResult | None:
        """Ask whether the platform has it."""
        async with http.get(f"{account.settings['api_base']}/find/{part.correlation_id}") as response:
            if response.status != 200:
                return SendResult(outcome="in_doubt", code="not_asked", reason="The platform could not be asked.")
            found = await response.json()
        return SendResult(outcome="sent", external_id=found["id"]) if found["id"] else None


@dataclass
class Platform:
    """The server. A scripted answer is a SendResult's fields; `hang` takes the part and never says so.

    `unanswered_questions` is how many times it cannot say whether it has a message.
    `slow` are accounts whose sends take so many seconds.
    """

    script: deque[Any] = field(default_factory=deque)
    accepted: list[dict[str, Any]] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    asked: list[dict[str, Any]] = field(default_factory=list)
    slow: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))
    findable: bool = False
    unanswered_questions: int = 0
    _count: int = 0

    async def start(self) -> str:
        """Listen on a free port; returns the base URL."""
        app = web.Application()
        app.router.add_post("/send", self._send)
        app.router.add_get("/find/{id}", self._find)
        self._server = TestServer(app)
        await self._server.start_server()
        return str(self._server.make_url("")).rstrip("/")

    async def stop(self) -> None:
        """Close."""
        await self._server.close()

    @property
    def texts(self) -> list[str]:
        """What was accepted, in order."""
        return [body["text"] for body in self.accepted]

    async def _send(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        self.asked.append(body)
        if pause := self.slow[body["account"]]:
            await asyncio.sleep(pause)
        step = self.script.popleft() if self.script else None
        if isinstance(step, dict):
            return web.json_response(step)
        self.accepted.append(body)
        self.times.append(asyncio.get_running_loop().time())
        if step == "hang":
            await asyncio.sleep(5)
        return web.json_response({"outcome": "sent", "external_id": self._next()})

    @property
    def upcoming(self) -> str:
        """The id that the next accepted message will have."""
        return f"x.{self._count + 1}"

    def _next(self) -> str:
        self._count += 1
        return f"x.{self._count}"

    async def _find(self, request: web.Request) -> web.Response:
        if self.unanswered_questions > 0:
            self.unanswered_questions -= 1
            return web.Response(status=503)
        known = self.findable and any(body["id"] == request.match_info["id"] for body in self.accepted)
        return web.json_response({"id": "x.found" if known else None})
