"""Which pages may use a web chat: their `Origin` against the channel config's list, and the CORS answers that follow.

The origin is a hint from the browser, no proof of anything; what protects a conversation is its session token.
"""

from typing import Any
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from packages.core.domain.channels import Channel as Account
from packages.core.errors import Unavailable
from packages.core.http import error_response

PREFIX = "/webchat/"
_PREFLIGHT = {
    "Access-Control-Allow-Methods": "GET, POST",
    "Access-Control-Allow-Headers": "Authorization, Content-Type, Last-Event-ID",
    "Access-Control-Max-Age": "600",
}


def allowed(origin: str, account: Account, own: str) -> bool:
    """Whether a page of this origin may use the web chat. `own` is the gateway's origin, where the demo page lives."""
    listed = {entry.rstrip("/").lower() for entry in account.credentials.allowed_origins}
    return "*" in listed or origin.lower() in listed or origin.lower() == own.lower()


def origin_of(url: str) -> str:
    """Scheme and authority of a URL."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


class Origins:
    """Middleware for /webchat/: refuses foreign pages, answers preflights, lets allowed pages read every answer."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection."""
        if scope["type"] != "http" or not scope["path"].startswith(PREFIX):
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        origin = headers.get("origin")
        account = await _account(scope) if origin else None
        if origin is None or account is None:
            await self.app(scope, receive, send)
            return
        if not any(allowed(origin, account, own) for own in _own_origins(scope, headers)):
            refusal = error_response("origin_not_allowed", "This page may not use the web chat.", 403)
            await refusal(scope, receive, send)
            return
        granted = {"Access-Control-Allow-Origin": origin, "Vary": "Origin"}
        if scope["method"] == "OPTIONS":
            await _answer_preflight(granted, send)
            return

        async def send_granted(message: Message) -> None:
            if message["type"] == "http.response.start":
                answer = MutableHeaders(scope=message)
                for name, value in granted.items():
                    answer[name] = value
                answer["Access-Control-Expose-Headers"] = "X-Request-Id, Retry-After"
            await send(message)

        await self.app(scope, receive, send_granted)


async def _account(scope: Scope) -> Account | None:
    """The web chat that is called; None where the route itself will refuse."""
    config_id = scope["path"].removeprefix(PREFIX).partition("/")[0]
    try:
        account: Account | None = await scope["app"].state.parts.directory.find(config_id)
    except Unavailable:
        return None
    return account if account and account.kind == "webchat" else None


def _own_origins(scope: Scope, headers: Headers) -> list[str]:
    parts: Any = scope["app"].state.parts
    return [origin_of(parts.settings.gateway_base_url), f"{scope['scheme']}://{headers.get('host', '')}"]


async def _answer_preflight(granted: dict[str, str], send: Send) -> None:
    headers = [(name.lower().encode(), value.encode("latin-1")) for name, value in (granted | _PREFLIGHT).items()]
    await send({"type": "http.response.start", "status": 204, "headers": headers})
    await send({"type": "http.response.body", "body": b""})
