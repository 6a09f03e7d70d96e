"""The catalogue of channels, the widget and the demo page."""

import html
from dataclasses import asdict
from pathlib import Path
from typing import Any

from fastapi import APIRouter
from fastapi.responses import HTMLResponse, Response
from pydantic import BaseModel

from packages.core.errors import NotFound
from services.channel_gateway.channels import Channel
from services.channel_gateway.parts import TheParts

router = APIRouter(tags=["catalogue"])

_FOLDER = Path(__file__).parent
_WIDGET = (_FOLDER / "widget.js").read_bytes()
_DEMO = (_FOLDER / "demo.html").read_text(encoding="utf-8")
_DEMO_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'unsafe-inline'; connect-src 'self'; "
    "img-src 'self' data:; media-src 'self'"
)


class CatalogueEntry(BaseModel):
    """A channel that is installed. `account_id_field` names the credential by which webhook items are routed."""

    channel: str
    label: str
    capabilities: dict[str, Any]
    credentials_schema: dict[str, Any]
    account_id_field: str | None


class CatalogueList(BaseModel):
    """Every channel that is installed."""

    items: list[CatalogueEntry]
    next_cursor: str | None = None


@router.get("/channels")
async def list_channels(parts: TheParts) -> CatalogueList:
    """Each channel's capabilities and the JSON schema of its credentials; secret fields are `writeOnly`."""
    return CatalogueList(items=[_entry(name, channel) for name, channel in parts.channels.items()])


def _entry(name: str, channel: Channel) -> CatalogueEntry:
    schema = channel.Credentials.model_json_schema()
    routed_by = [field for field, about in schema.get("properties", {}).items() if about.get("x-account-id")]
    return CatalogueEntry(
        channel=name,
        label=channel.capabilities.label,
        capabilities=asdict(channel.capabilities),
        credentials_schema=schema,
        account_id_field=routed_by[0] if routed_by else None,
    )


@router.get("/widget.js", response_class=Response)
async def widget() -> Response:
    """The web chat widget: `<script src=".../widget.js" data-channel="<channel config id>" async></script>`."""
    headers = {"Cache-Control": "public, max-age=300", "Access-Control-Allow-Origin": "*"}
    return Response(_WIDGET, media_type="text/javascript; charset=utf-8", headers=headers)


@router.get("/demo", response_class=HTMLResponse)
async def demo(parts: TheParts, channel: str | None = None) -> HTMLResponse:
    """A page with the widget of the given web chat, or of the first one whose settings say `demo`."""
    if channel is not None:
        account = await parts.directory.find(channel)
    else:
        chats = [found for found in parts.directory.active() if found.kind == "webchat"]
        account = next((found for found in chats if found.settings.get("demo") is True), None)
    if account is None or account.kind != "webchat":
        raise NotFound("There is no web chat to show; connect one, and name it as ?channel=<its id>.")
    page = _DEMO.replace("{{channel}}", html.escape(account.id)).replace("{{name}}", html.escape(account.name))
    return HTMLResponse(page, headers={"Content-Security-Policy": _DEMO_POLICY, "Cache-Control": "no-store"})
