"""Fixtures of the Twilio channel: requests as recorded, accounts, and a stand-in for Twilio's API."""

import base64
import hashlib
import hmac
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import aiohttp
import pytest_asyncio
from aiohttp import web

from packages.core.domain.channels import Channel as Account
from services.channel_gateway.channels import WebhookRequest
from services.channel_gateway.channels.twilio import channel
from tests.contracts import channel as contract

HERE = Path(__file__).parent
TOKEN = "example-auth-token-0001"
SID = "AC00000000000000000000000000000001"
SMS_NUMBER = "+12025550100"
WHATSAPP_NUMBER = "whatsapp:+12025550100"
WEBHOOK = "https://hooks.example.com/webhooks/twilio/01890000-0000-7000-8000-000000000001"


def cases(name: str) -> list[dict[str, Any]]:
    """The descriptions of recorded data."""
    described: list[dict[str, Any]] = json.loads((HERE / f"{name}.json").read_text())
    return described


def recorded(folder: str, file: str) -> dict[str, Any]:
    """One file of recorded data."""
    data: dict[str, Any] = json.loads((HERE / folder / file).read_text())
    return data


def webhook(
    body: bytes,
    headers: dict[str, str],
    url: str = WEBHOOK,
    method: str = "POST",
) -> WebhookRequest:
    """A request as the gateway hands it to the channel."""
    query = dict(parse_qsl(urlsplit(url).query, keep_blank_values=True))
    lower = {name.lower(): value for name, value in headers.items()}
    return WebhookRequest(method=method, url=url, headers=lower, query=query, body=body)


def recorded_webhook(file: str, folder: str = "payloads") -> WebhookRequest:
    """A recorded request."""
    request = recorded(folder, file)["request"]
    return webhook(request["body"].encode(), request["headers"], request["url"], request["method"])


def sign(body: bytes, url: str = WEBHOOK, token: str = TOKEN) -> str:
    """`X-Twilio-Signature` of a form."""
    fields = sorted(set(parse_qsl(body.decode("latin-1"), keep_blank_values=True)))
    data = url + "".join(name + value for name, value in fields)
    digest = hmac.new(token.encode(), data.encode("utf-8", "surrogatepass"), hashlib.sha1).digest()
    return base64.b64encode(digest).decode()


def signed(body: bytes, url: str = WEBHOOK, token: str = TOKEN) -> WebhookRequest:
    """A form, signed."""
    headers = {"Content-Type": "application/x-www-form-urlencoded", "X-Twilio-Signature": sign(body, url, token)}
    return webhook(body, headers, url)


def credentials(sender: str = WHATSAPP_NUMBER, **more: str) -> dict[str, str]:
    """Credentials of a sender."""
    return {"account_sid": SID, "auth_token": TOKEN, "from": sender} | more


def make_account(sender: str = WHATSAPP_NUMBER, settings: dict[str, Any] | None = None, **more: str) -> Account:
    """An account as the directory serves it, with its webhook's address."""
    made = contract.account(channel, "twilio", credentials(sender, **more), **(settings or {}))
    return replace(made, webhook_url=WEBHOOK)


@dataclass
class Seen:
    """One request that reached the stand-in."""

    method: str
    path: str
    query: dict[str, str]
    form: list[tuple[str, str]]
    authorization: str | None
    json: Any = None

    @property
    def fields(self) -> dict[str, str]:
        return dict(self.form)


@dataclass
class Stand:
    """Stands in for Twilio's hosts: gives the prepared answers, by method and path or in turn."""

    url: str = ""
    answers: list[tuple[int | None, str, dict[str, str]]] = field(default_factory=list)
    by_path: dict[str, tuple[int | None, str, dict[str, str]]] = field(default_factory=dict)
    requests: list[Seen] = field(default_factory=list)

    def answer(self, status: int | None, body: Any = "", **headers: str) -> None:
        """Give this answer next; None closes the connection instead."""
        text = body if isinstance(body, str) else json.dumps(body)
        self.answers.append((status, text, headers))

    def at(self, path: str, status: int | None, body: Any = "", **headers: str) -> None:
        """Give this answer at a path (`GET /v1/x`)."""
        self.by_path[path] = (status, body if isinstance(body, str) else json.dumps(body), headers)

    async def take(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        is_json = "json" in request.content_type
        self.requests.append(
            Seen(
                request.method,
                request.path,
                dict(request.query),
                [] if is_json else parse_qsl(body.decode(), keep_blank_values=True),
                request.headers.get("Authorization"),
                json.loads(body) if is_json and body else None,
            )
        )
        status: int | None
        if found := self.by_path.get(f"{request.method} {request.path}"):
            status, text, headers = found
        elif self.answers:
            status, text, headers = self.answers.pop(0)
        else:
            status, text, headers = 404, json.dumps({"code": 20404, "message": "not found", "status": 404}), {}
        if status is None:
            assert request.transport is not None
            request.transport.close()
            return web.Response()
        return web.Response(status=status, text=text, headers=headers)

    def account(self, sender: str = WHATSAPP_NUMBER, settings: dict[str, Any] | None = None, **more: str) -> Account:
        """An account whose API is this stand-in."""
        return make_account(sender, {"api_base": self.url} | (settings or {}), **more)


@pytest_asyncio.fixture
async def twilio() -> AsyncIterator[Stand]:
    stand = Stand()
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", stand.take)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    stand.url = f"http://{host}:{port}"
    yield stand
    await runner.cleanup()


@pytest_asyncio.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session
