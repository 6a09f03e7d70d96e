"""A gateway on a real port, with real engines, and channel configs as the API stores them."""

import asyncio
import hashlib
import hmac
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import aiohttp
import msgspec
import pytest
import pytest_asyncio
import uvicorn
from aiohttp import web
from fastapi import FastAPI
from redis.asyncio import Redis

from packages.core import streams
from packages.core.crypto import SecretBox
from packages.core.db.session import Database
from packages.core.db.tables.channels import ChannelConfig
from packages.core.domain.messages import InboundEvent
from services.channel_gateway.app import create_app
from services.channel_gateway.settings import GatewaySettings
from tests.conftest import Engines
from tests.factories.accounts import TenantWithBrand, make_tenant

SECRET_KEY = "a-key-for-tests-with-32-characters-or-more"
APP_SECRET = "the-brands-own-app-secret"
META_SECRET = "the-operators-app-secret"


class Server(uvicorn.Server):
    """uvicorn inside a test: signals stay pytest's."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@dataclass(frozen=True)
class Answer:
    """A whole HTTP answer."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


async def whole(response: aiohttp.ClientResponse) -> Answer:
    """Read an answer to its end."""
    return Answer(response.status, response.headers, await response.read())


@dataclass(frozen=True)
class Gateway:
    """A running gateway and a client for it."""

    app: FastAPI
    url: str
    http: aiohttp.ClientSession

    async def post(self, path: str, body: bytes, secret: str | None = APP_SECRET, **headers: str) -> Answer:
        """POST a body, signed as Meta does unless `secret` is None."""
        signed = {"X-Hub-Signature-256": signature(body, secret)} if secret else {}
        all_headers = {"Content-Type": "application/json", **signed, **headers}
        async with self.http.post(self.url + path, data=body, headers=all_headers) as response:
            return await whole(response)

    async def call(self, method: str, path: str, **more: Any) -> Answer:
        """Any other request."""
        async with self.http.request(method, self.url + path, **more) as response:
            return await whole(response)


def signature(body: bytes, secret: str) -> str:
    """`X-Hub-Signature-256` of a body."""
    return "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def gateway_settings(engines: Engines, **more: Any) -> GatewaySettings:
    """Settings that read neither the environment's file nor a developer's .env."""
    given: dict[str, Any] = {
        "secret_key": SECRET_KEY,
        "postgres": {"url": engines.postgres_url},
        "redis": {"url": engines.redis_url},
        "meta": {"app_secret": META_SECRET, "verify_token": "the-operators-token"},
    }
    return GatewaySettings(_env_file=None, **(given | more))


@asynccontextmanager
async def running_gateway(settings: GatewaySettings) -> AsyncIterator[Gateway]:
    """A gateway that serves until the block ends."""
    app = create_app(settings)
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(
        app, http="httptools", log_config=None, access_log=False, lifespan="on", timeout_graceful_shutdown=2
    )
    server = Server(config)
    serving = asyncio.create_task(server.serve([listener]))
    while not server.started:
        if serving.done():
            serving.result()
        await asyncio.sleep(0.01)
    try:
        async with aiohttp.ClientSession() as http:
            yield Gateway(app, f"http://127.0.0.1:{listener.getsockname()[1]}", http)
    finally:
        server.should_exit = True
        await serving


@pytest_asyncio.fixture(scope="session")
async def shared_gateway(engines: Engines, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Gateway]:
    """One gateway for all tests, for it takes seconds to stop."""
    settings = gateway_settings(
        engines,
        webchat={"session_burst": 100_000, "poll_seconds": 2.0},
        storage={"url": f"file://{tmp_path_factory.mktemp('objects')}"},
    )
    async with running_gateway(settings) as running:
        # or they would take the messages and files of tests that bring a sender or downloader of their own
        busy = [task for task in running.app.state.loops if task.get_name() in {"Sender.run", "Downloader.run"}]
        for task in busy:
            task.cancel()
        await asyncio.wait(busy)
        yield running


@pytest_asyncio.fixture
async def gateway(shared_gateway: Gateway, database: Database, redis: Redis) -> Gateway:
    """A gateway with both engines that remembers nothing of the test before."""
    await shared_gateway.app.state.parts.directory.refresh()
    return shared_gateway


@pytest_asyncio.fixture
async def tenant(database: Database) -> TenantWithBrand:
    """A tenant with a brand."""
    return await make_tenant(database)


MakeChannel = Callable[..., Awaitable[str]]


@pytest.fixture
def make_channel(database: Database, tenant: TenantWithBrand) -> MakeChannel:
    """Makes channel configs; returns their ids."""

    async def make(
        kind: str = "whatsapp",
        credentials: dict[str, Any] | None = None,
        *,
        owner: TenantWithBrand | None = None,
        **columns: Any,
    ) -> str:
        given = whatsapp_credentials() | (credentials or {}) if kind == "whatsapp" else credentials or {}
        row = ChannelConfig(
            tenant_id=(owner or tenant).tenant_id,
            brand_id=(owner or tenant).brand_id,
            channel=kind,
            name="Test",
            account_id=given.get("phone_number_id"),
            credentials=SecretBox(SECRET_KEY).seal(given),
            **columns,
        )
        async with database.across_tenants() as session:
            session.add(row)
        return str(row.id)

    return make


def whatsapp_credentials(phone_number_id: str = "200000000000201", app_secret: str = APP_SECRET) -> dict[str, str]:
    """Credentials of a WhatsApp number."""
    return {
        "phone_number_id": phone_number_id,
        "access_token": "EXAMPLE-ACCESS-TOKEN",
        "app_secret": app_secret,
        "verify_token": "the-brands-token",
    }


def whatsapp_text(text: str = "Hello", phone_number_id: str = "200000000000201", wamid: str = "wamid.1") -> bytes:
    """A webhook body with one text message."""
    return whatsapp_batch([(phone_number_id, wamid, text)])


def whatsapp_batch(messages: list[tuple[str, str, str]]) -> bytes:
    """A webhook body with several text messages: (phone number id, message id, text)."""
    entries = [
        {
            "id": "100000000000101",
            "changes": [
                {
                    "field": "messages",
                    "value": {
                        "messaging_product": "whatsapp",
                        "metadata": {"display_phone_number": "12025550100", "phone_number_id": phone_number_id},
                        "contacts": [{"profile": {"name": "Alex Example"}, "wa_id": "12025550123"}],
                        "messages": [
                            {
                                "from": "12025550123",
                                "id": wamid,
                                "timestamp": "1750030001",
                                "type": "text",
                                "text": {"body": text},
                            }
                        ],
                    },
                }
            ],
        }
        for phone_number_id, wamid, text in messages
    ]
    return json.dumps({"object": "whatsapp_business_account", "entry": entries}).encode()


async def stream_events(redis: Redis) -> list[InboundEvent]:
    """What was appended to the inbound stream."""
    rows = await redis.xrange(streams.INBOUND)
    return [msgspec.json.decode(fields[b"d"], type=InboundEvent) for _, fields in rows]


@dataclass
class Orchestrator:
    """Stands in for the orchestrator's batch intake while Redis is away; `status` is what it answers."""

    url: str
    status: int = 202
    batches: list[Any] = field(default_factory=list)
    keys: list[str | None] = field(default_factory=list)


@pytest_asyncio.fixture
async def orchestrator() -> AsyncIterator[Orchestrator]:
    """A local HTTP server at the orchestrator's address."""
    stand_in = Orchestrator("")

    async def take(request: web.Request) -> web.Response:
        stand_in.batches.append(await request.json())
        stand_in.keys.append(request.headers.get("X-Parley-Service"))
        return web.json_response({}, status=stand_in.status)

    app = web.Application()
    app.router.add_post("/v1/messages/inbound/batch", take)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    address = runner.addresses[0]
    stand_in.url = f"http://{address[0]}:{address[1]}"
    yield stand_in
    await runner.cleanup()


def as_uuid(text: str) -> UUID:
    """The id as the tables hold it."""
    return UUID(text)
