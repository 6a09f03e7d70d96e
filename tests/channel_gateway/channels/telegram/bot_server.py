"""Stands in for api.telegram.org: takes what the Bot API documents, and gives prepared answers."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import BodyPartReader, web

from packages.core.domain.channels import Channel as Account
from services.channel_gateway.channels.telegram import channel
from tests.contracts.channel import account

TOKEN = "123456789:EXAMPLE-BOT-TOKEN"
SECRET = "Example-secret_token-0001"
WEBHOOK_URL = "https://hooks.example.com/telegram/1"

_MESSAGE = {"chat_id", "reply_parameters", "reply_markup", "message_thread_id", "business_connection_id"}
_CAPTIONED = _MESSAGE | {"caption", "parse_mode"}
# The parameters of each method after the Bot API's documentation: those that are required, and all that we may use.
DOCUMENTED: dict[str, tuple[set[str], set[str]]] = {
    "getMe": (set(), set()),
    "getWebhookInfo": (set(), set()),
    "deleteWebhook": (set(), {"drop_pending_updates"}),
    "setWebhook": (
        {"url"},
        {"url", "secret_token", "max_connections", "allowed_updates", "drop_pending_updates"},
    ),
    "sendMessage": ({"chat_id", "text"}, _MESSAGE | {"text", "parse_mode", "link_preview_options"}),
    "sendPhoto": ({"chat_id", "photo"}, _CAPTIONED | {"photo"}),
    "sendVideo": ({"chat_id", "video"}, _CAPTIONED | {"video"}),
    "sendAudio": ({"chat_id", "audio"}, _CAPTIONED | {"audio"}),
    "sendVoice": ({"chat_id", "voice"}, _CAPTIONED | {"voice"}),
    "sendAnimation": ({"chat_id", "animation"}, _CAPTIONED | {"animation"}),
    "sendDocument": ({"chat_id", "document"}, _CAPTIONED | {"document"}),
    "sendSticker": ({"chat_id", "sticker"}, _MESSAGE | {"sticker"}),
    "sendChatAction": ({"chat_id", "action"}, _MESSAGE | {"action"}),
    "setMessageReaction": ({"chat_id", "message_id", "reaction"}, {"chat_id", "message_id", "reaction", "is_big"}),
    "answerCallbackQuery": ({"callback_query_id"}, {"callback_query_id", "text", "show_alert"}),
    "readBusinessMessage": (
        {"business_connection_id", "chat_id", "message_id"},
        {"business_connection_id", "chat_id", "message_id"},
    ),
    "getFile": ({"file_id"}, {"file_id"}),
}


def message(number: int = 501, chat: int = 700000001, **more: Any) -> dict[str, Any]:
    """The answer to a send."""
    kind = "private" if chat > 0 else "supergroup"
    return {"ok": True, "result": {"message_id": number, "date": 1, "chat": {"id": chat, "type": kind}, **more}}


@dataclass
class BotServer:
    """Gives the prepared answers in turn (None: the connection breaks off), then accepts everything."""

    url: str = ""
    answers: list[tuple[int | None, Any]] = field(default_factory=list)
    calls: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    files: dict[str, bytes] = field(default_factory=dict)
    file_status: int = 200
    breaks_off: bool = False

    def account(self, **credentials: str) -> Account:
        """An account whose API is this."""
        given = {"bot_token": TOKEN, "secret_token": SECRET} | credentials
        own = account(channel, "telegram", given, api_base=self.url)
        return Account(**{name: getattr(own, name) for name in own.__slots__} | {"webhook_url": WEBHOOK_URL})

    async def take(self, request: web.Request) -> web.StreamResponse:
        assert request.match_info["token"] == TOKEN
        method = request.match_info["method"]
        parameters = await _parameters(request)
        required, known = DOCUMENTED[method]
        assert required <= set(parameters) <= known, f"{method} has not the documented parameters: {parameters}"
        self.calls.append((method, parameters))
        if not self.answers:
            sends = method.startswith("send") and method != "sendChatAction"
            return web.json_response(message(500 + len(self.calls)) if sends else {"ok": True, "result": True})
        status, answer = self.answers.pop(0)
        if status is None:
            assert request.transport is not None
            request.transport.close()
            return web.Response()
        text = answer if isinstance(answer, str) else json.dumps(answer)
        return web.Response(status=status, text=text, content_type="application/json")

    async def give(self, request: web.Request) -> web.StreamResponse:
        assert request.match_info["token"] == TOKEN
        path = request.match_info["path"]
        if self.file_status != 200:
            return web.Response(status=self.file_status, headers={"Location": "http://elsewhere.example/"})
        if self.breaks_off and request.transport is not None:
            broken = web.StreamResponse(headers={"Content-Length": "100"})
            await broken.prepare(request)
            await broken.write(b"x" * 10)
            request.transport.close()
            return broken
        return web.Response(body=self.files[path]) if path in self.files else web.Response(status=404)


async def _parameters(request: web.Request) -> dict[str, Any]:
    if request.content_type == "application/json":
        parameters: dict[str, Any] = await request.json()
        return parameters
    if request.content_type != "multipart/form-data":
        return {}
    found: dict[str, Any] = {}
    async for part in await request.multipart():
        assert isinstance(part, BodyPartReader)
        if part.filename:
            found[str(part.name)] = (part.filename, part.headers.get("Content-Type"), bytes(await part.read()))
        else:
            found[str(part.name)] = await part.text()
    return found


@asynccontextmanager
async def serving() -> AsyncIterator[BotServer]:
    """A stand-in on a free port."""
    server = BotServer()
    app = web.Application(client_max_size=2**26)
    app.router.add_route("*", "/file/bot{token}/{path:.+}", server.give)
    app.router.add_route("*", "/bot{token}/{method}", server.take)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    server.url = f"http://{host}:{port}"
    try:
        yield server
    finally:
        await runner.cleanup()
