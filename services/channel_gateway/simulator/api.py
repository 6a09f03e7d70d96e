"""The simulator's own endpoints: play a customer, see what was sent, order faults."""

import asyncio
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Body, Depends, Query, Request
from fastapi.responses import JSONResponse, Response

from packages.core.errors import NotFound
from services.channel_gateway.simulator.courier import Receipt
from services.channel_gateway.simulator.faults import Faults
from services.channel_gateway.simulator.platforms import CustomerMessage, Platform, Stage

router = APIRouter()
_FOLDER = Path(__file__).parent / "page"
_MEDIA_TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript"}
_PAGE = {path.name: path.read_bytes() for path in sorted(_FOLDER.iterdir()) if path.suffix in _MEDIA_TYPES}
_POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self' data:;"
    " base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_LONGEST_WAIT = 30.0


class FaultOrder(Faults):
    """Faults for one channel, for every channel where `channel` is absent."""

    channel: str | None = None


async def _stage(request: Request) -> Stage:
    stage: Stage = request.app.state.stage
    return stage


async def _platforms(request: Request) -> dict[str, Platform]:
    platforms: dict[str, Platform] = request.app.state.platforms
    return platforms


OnStage = Annotated[Stage, Depends(_stage)]
Platforms = Annotated[dict[str, Platform], Depends(_platforms)]


@router.post("/simulate/{channel}/{channel_config_id}", status_code=202)
async def simulate(
    channel: str,
    channel_config_id: str,
    message: CustomerMessage,
    stage: OnStage,
    platforms: Platforms,
    request: Request,
    wait: bool = False,
) -> JSONResponse:
    """A customer writes. 202 once the platform will not forget it; the gateway hears of it in the background.

    With `?wait=true` or `Prefer: wait`, and always for forged messages: 200 after the first attempt, with the gateway's
    status and answer.
    """
    if channel not in platforms:
        raise NotFound(f"No channel {channel!r} is simulated; there are: {', '.join(platforms)}.")
    account = await stage.accounts.get(channel, channel_config_id)
    writing = await platforms[channel].write(account, message)
    await stage.courier.add(writing.errands, written=writing.written)
    answer: dict[str, Any] = {"external_ids": [item.external_id for item in writing.written]}
    if not (wait or message.forged or request.headers.get("prefer", "").startswith("wait")):
        return JSONResponse(answer, status_code=202)
    watched = [stage.courier.watch(errand) for errand in writing.errands]
    await asyncio.wait(watched, timeout=_LONGEST_WAIT)
    receipts = [future.result() if future.done() else Receipt(False, None, "not attempted yet") for future in watched]
    webhooks = [{"status": receipt.status, "body": receipt.body} for receipt in receipts]
    return JSONResponse({**answer, "webhooks": webhooks})


@router.get("/sent")
async def sent(
    stage: OnStage,
    channel: str | None = None,
    to: str | None = None,
    channel_config_id: str | None = None,
    limit: Annotated[int, Query(ge=1, le=20_000)] = 1000,
    after: Annotated[int, Query(ge=0)] = 0,
    cursor: str | None = None,
) -> JSONResponse:
    """What reached the platforms, in the order of acceptance. `after` is the number `n` of the last item known."""
    start = int(cursor) if cursor is not None and cursor.isdigit() else after
    items = await stage.records.sent(
        channel=channel, to=to, channel_config_id=channel_config_id, after=start, limit=limit
    )
    return JSONResponse({"items": items, "next_cursor": str(items[-1]["n"]) if len(items) == limit else None})


@router.delete("/sent", status_code=204)
async def clear_sent(stage: OnStage) -> None:
    """Forget what was sent and written. The numbers go on."""
    await stage.records.clear_sent()


@router.get("/thread")
async def thread(stage: OnStage, channel: str, channel_config_id: str, customer: str) -> dict[str, Any]:
    """One customer's conversation as their phone shows it: the latest messages of both sides, by time."""
    own = await stage.records.written(channel_config_id, customer, 200)
    answers = await stage.records.sent(
        channel=channel, to=customer, channel_config_id=channel_config_id, after=0, limit=20_000
    )
    items = [{"author": "customer", **item} for item in own]
    kept = ("n", "text", "external_id", "at", "payload")
    items += [{"author": "brand", **{key: item[key] for key in kept}} for item in answers]
    items.sort(key=lambda item: str(item["at"]))
    marks = [f"{channel_config_id}:{customer}", *(str(item["external_id"]) for item in own)]
    marked = stage.typing.last(marks)
    answered = datetime.fromisoformat(str(answers[-1]["at"])).timestamp() if answers else 0.0
    return {"items": items[-200:], "typing": marked is not None and marked > answered}


@router.get("/accounts")
async def accounts(stage: OnStage, platforms: Platforms) -> dict[str, Any]:
    """The accounts that customers can write to, without their secrets."""
    return {
        "items": [
            {"id": item.id, "channel": item.kind, "name": item.name, "account_id": item.account_id}
            for item in await stage.accounts.all()
            if item.kind in platforms and item.status != "disabled"
        ]
    }


@router.get("/pending")
async def pending(stage: OnStage) -> dict[str, int]:
    """How many webhooks the gateway has not acknowledged yet."""
    return {"pending": stage.courier.pending}


@router.get("/faults")
async def faults(stage: OnStage) -> dict[str, Any]:
    """The faults in force, by channel (`*` is every channel)."""
    return stage.faults.shown()


@router.put("/faults")
async def put_faults(order: Annotated[FaultOrder, Body()], stage: OnStage, platforms: Platforms) -> dict[str, Any]:
    """Order faults for one channel or for every channel; what was ordered for it before is replaced."""
    await stage.faults.put(order.model_dump(exclude_unset=True), list(platforms))
    return stage.faults.shown()


@router.delete("/faults", status_code=204)
async def clear_faults(stage: OnStage) -> None:
    """Everything works again."""
    await stage.faults.clear()


@router.get("/", include_in_schema=False)
async def page() -> Response:
    """Play a customer by hand."""
    return _file("index.html")


@router.get("/page/{name}", include_in_schema=False)
async def page_part(name: str) -> Response:
    """A script or style of the page."""
    return _file(name)


def _file(name: str) -> Response:
    if name not in _PAGE:
        raise NotFound("The page has no such part.")
    headers = {"Content-Security-Policy": _POLICY, "X-Content-Type-Options": "nosniff", "Cache-Control": "no-cache"}
    return Response(_PAGE[name], media_type=_MEDIA_TYPES[Path(name).suffix], headers=headers)
