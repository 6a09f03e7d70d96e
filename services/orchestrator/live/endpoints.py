"""Server-sent events of the caller's tenant."""

from collections.abc import AsyncIterator
from typing import Annotated

import msgspec
from fastapi import APIRouter, Depends
from starlette.responses import StreamingResponse

from packages.core.db.base import now
from packages.core.domain.tenants import Role
from services.orchestrator.auth.permissions import Principal, Scope, require
from services.orchestrator.live.hub import Hub
from services.orchestrator.parts import part
from services.orchestrator.settings import OrchestratorSettings

router = APIRouter(prefix="/v1", tags=["live"])
Watcher = Annotated[Principal, require(Role.VIEWER, Scope.STREAM)]


class _Named(msgspec.Struct):
    """The part of an event that names it."""

    type: str = "message"


@router.get("/stream", response_class=StreamingResponse, responses={200: {"content": {"text/event-stream": {}}}})
async def stream(
    principal: Watcher,
    hub: Annotated[Hub, Depends(part(Hub))],
    settings: Annotated[OrchestratorSettings, Depends(part(OrchestratorSettings))],
) -> StreamingResponse:
    """Server-sent events of the caller's tenant: conversation, message, delivery and knowledge progress.

    Each event is named after what happened, its data is JSON `{type, data}`. `resync` means that events may have been
    missed: read what you show anew. The stream ends with the access token; connect again with a fresh one.
    """
    events = _events(hub, principal, settings.live_heartbeat_seconds)
    return StreamingResponse(
        events, media_type="text/event-stream", headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    )


async def _events(hub: Hub, principal: Principal, heartbeat: float) -> AsyncIterator[bytes]:
    expires_at = principal.identity.expires_at
    async with hub.watch(principal.tenant_id) as watch:
        yield b": connected\n\n"
        while expires_at is None or now() < expires_at:
            try:
                event = await watch.next(heartbeat)
            except TimeoutError:
                yield b": alive\n\n"
                continue
            if event is None:
                return
            yield b"event: %b\ndata: %b\n\n" % (_name(event), event)


def _name(event: bytes) -> bytes:
    """The event's type; one that is not plain JSON has none, and keeps no stream from going on."""
    try:
        return msgspec.json.decode(event, type=_Named).type.replace("\n", " ").encode()
    except msgspec.MsgspecError:
        return b"message"
