"""A platform's file server, over real HTTP, that can be told to misbehave."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
from aiohttp import web
from pydantic import BaseModel, SecretStr

from packages.core.domain.channels import Capabilities
from packages.core.domain.channels import Channel as Account
from packages.core.domain.messages import Attachment
from services.channel_gateway.channels import (
    Channel,
    Download,
    FileUnavailable,
    Item,
    Part,
    SendResult,
    WebhookRequest,
)

TOKEN = "EXAMPLE-FILE-TOKEN"


class FileHost:
    """Serves `files` by name; `asked` lists what was fetched. Some names misbehave."""

    def __init__(self) -> None:
        self.url = ""
        self.files: dict[str, bytes] = {}
        self.failures: dict[str, list[int]] = {}
        self.asked: list[str] = []
        self.waiting = asyncio.Event()

    async def start(self) -> None:
        """Serve on a free port."""
        app = web.Application()
        app.router.add_get("/{name}", self._serve)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        host, port = self._runner.addresses[0][:2]
        self.url = f"http://{host}:{port}"

    async def stop(self) -> None:
        """Serve no more."""
        await self._runner.cleanup()

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        name = request.match_info["name"]
        self.asked.append(name)
        if self.failures.get(name):
            return web.Response(status=self.failures[name].pop(0))
        if name == "elsewhere":
            return web.Response(status=302, headers={"Location": "http://10.0.0.1/secret"})
        if name == "slow":
            await asyncio.sleep(5)
        if name not in self.files:
            return web.Response(status=404)
        if name.startswith("lying"):  # no length is announced: the file just goes on
            answer = web.StreamResponse(headers={"Content-Type": "image/png"})
            answer.enable_chunked_encoding()
            await answer.prepare(request)
            for start in range(0, len(self.files[name]), 65_536):
                await answer.write(self.files[name][start : start + 65_536])
            return answer
        return web.Response(body=self.files[name], content_type="image/png")


class Credentials(BaseModel):
    """What opens the account."""

    token: SecretStr = SecretStr(TOKEN)


class FileChannel(Channel):
    """A channel that can do nothing but give files; their addresses hold a token, as some platforms' do."""

    capabilities = Capabilities(label="Files", text_limit=100)
    Credentials = Credentials

    def __init__(self, host: FileHost) -> None:
        self.host = host

    def verify(self, request: WebhookRequest, account: Account) -> None:
        """Nothing is signed."""

    def parse(self, request: WebhookRequest) -> list[Item]:
        """Nothing comes."""
        return []

    async def send(self, part: Part, account: Account, http: aiohttp.ClientSession) -> SendResult:
        """Nothing goes."""
        return SendResult(outcome="failed")

    @asynccontextmanager
    async def download(
        self, attachment: Attachment, account: Account, http: aiohttp.ClientSession
    ) -> AsyncIterator[Download]:
        """The file that the attachment names."""
        name = attachment.external_id or ""
        if name == "crash":
            raise ZeroDivisionError(f"{self.host.url}/file?token={TOKEN}")
        if name == "talkative":
            raise FileUnavailable(f"GET /bot{TOKEN}/file was refused")
        async with http.get(f"{self.host.url}/{name}", params={"token": TOKEN}) as answer:
            if answer.status != 200:
                raise FileUnavailable(f"The platform answered {answer.status}.", retryable=answer.status >= 500)
            yield Download(
                chunks=answer.content.iter_chunked(65_536),
                media_type=answer.content_type,
                filename="photo.png",
                size=answer.content_length,
            )
