"""Twilio's side: posts webhooks for what customers write, takes messages, and calls back what became of them."""

import asyncio
import time
from datetime import datetime
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from packages.core.domain.channels import Channel
from packages.core.errors import NotFound, Unavailable
from services.channel_gateway.simulator.chance import DICE, hit
from services.channel_gateway.simulator.courier import Receipt
from services.channel_gateway.simulator.faults import Faults
from services.channel_gateway.simulator.platforms import CustomerMessage, Platform, Stage, Writing
from services.channel_gateway.simulator.platforms.twilio import payloads, retries
from services.channel_gateway.simulator.platforms.twilio.errors import LATER, TwilioError, last_status
from services.channel_gateway.simulator.platforms.twilio.files import Files
from services.channel_gateway.simulator.platforms.twilio.setup import Setup
from services.channel_gateway.simulator.platforms.twilio.validation import Order, check
from services.channel_gateway.simulator.posting import post
from services.channel_gateway.simulator.records import Errand, Sent, Written

_LATE_BY = 1.5
_AFTER_ACCEPTANCE = frozenset({"timeout", "reset_after"})
_WINDOW_SECONDS = 24 * 3600.0
_LISTED = 20_000
_ACCOUNT = "/2010-04-01/Accounts/{account_sid}"


class Twilio(Platform):
    """Twilio's API for all Twilio channel configs."""

    kind = "twilio"

    def __init__(self, stage: Stage) -> None:
        super().__init__(stage)
        self._files = Files(stage.settings.data_dir / "simulator" / "twilio")
        self._setup = Setup(stage)

    async def start(self) -> None:
        """Remember which webhooks are set."""
        await self._setup.load()

    def routes(self) -> list[BaseRoute]:
        """Messages, their files, and the resources by which a sender is set up."""
        return [
            Route(f"{_ACCOUNT}/Messages.json", self._create, methods=["POST"]),
            Route(f"{_ACCOUNT}/Messages.json", self._list, methods=["GET"]),
            Route(f"{_ACCOUNT}/Messages/{{message_sid}}/Media/{{media_sid}}", self._media, methods=["GET"]),
            Route("/twilio-media/{account_sid}/{media_sid}", self._cdn, methods=["GET"]),
            *self._setup.routes(),
        ]

    async def write(self, account: Channel, message: CustomerMessage) -> Writing:
        """One webhook per line, for Twilio's hold one message each. A JSON Content-Type header makes them JSON."""
        writing = Writing([], [])
        for line in message.lines[::-1] if message.reorder else message.lines:
            own = account
            if line.channel_config_id not in (None, account.id):
                own = await self.stage.accounts.get(self.kind, str(line.channel_config_id))
            has_file = any(name.startswith("Media") for name in line.message or {})
            message_sid = line.external_id or payloads.sid("MM" if has_file else "SM")
            given = await self._files.keep(line.message or {}, own, message_sid)
            form = payloads.inbound(own, line.model_copy(update={"message": given}), message_sid)
            sender = payloads.address(own, line.sender or "")
            writing.written.append(
                Written(
                    channel=self.kind,
                    channel_config_id=own.id,
                    sender=sender,
                    text=line.text,
                    external_id=message_sid,
                )
            )
            held_back = DICE.uniform(0, _LATE_BY) if message.reorder and len(message.lines) == 1 else 0.0
            data = {"form": form, "forged": message.forged, "headers": message.headers}
            due = time.time() + message.delay_ms / 1000 + held_back
            writing.errands.extend(self._errand(own, data, due) for _ in range(message.duplicates + 1))
        return writing

    async def carry(self, errands: list[Errand]) -> Receipt:
        """Call one webhook. What is not acknowledged is mostly lost: see `retries`."""
        [errand] = errands
        try:
            account = await self.stage.accounts.get(self.kind, errand.channel_config_id)
        except NotFound as error:
            return Receipt(True, None, error.message)
        except Unavailable as error:
            return Receipt(False, None, error.message)
        data = errand.data
        url = str(data.get("url") or self._setup.webhook(account))
        extra, forged = dict(data["headers"]), bool(data["forged"])
        as_json = "json" in next((value for name, value in extra.items() if name.lower() == "content-type"), "")
        target, body, headers = payloads.request(data["form"], url, account, as_json=as_json, forged=forged)
        timeout = self.stage.settings.simulator_webhook_timeout
        status, answer = await post(self.stage.http, target, body, headers | extra, timeout)
        return Receipt(forged or retries.done(url, errand.attempts, status, answer), status, answer)

    async def _create(self, request: Request) -> Response:
        try:
            own = await self._setup.authenticated(request)
            pairs = parse_qsl((await request.body()).decode("utf-8", "replace"), keep_blank_values=True)
            account = _sending(dict(pairs), own)
            order = check(pairs, account)
            faults = self.stage.faults.of(self.kind)
            fault = faults.strike()
            later = int(fault) if fault and fault.isdecimal() and int(fault) in LATER else 0
            if fault is not None and not later and fault not in _AFTER_ACCEPTANCE:
                return _refused(fault, request)
            answer = await self._accept(account, order, faults, later)
        except TwilioError as error:
            return error.response()
        if fault == "reset_after":
            return _refused("reset", request)
        if fault == "timeout":
            await _until_disconnected(request, faults.timeout_seconds)
        return JSONResponse(answer, status_code=201)

    async def _accept(self, account: Channel, order: Order, faults: Faults, later: int) -> dict[str, Any]:
        """Record the message together with the callbacks that will tell of it."""
        message_sid = payloads.sid("MM" if order.media else "SM")
        code = later or (30008 if hit(faults.rate_failed) else 0)
        if (
            not code
            and order.on_whatsapp
            and order.content_sid is None
            and not await self._window_is_open(account, order.to)
        ):
            code = 63016
        sent = Sent(
            channel=self.kind,
            channel_config_id=account.id,
            to=order.to,
            text=order.body or order.content_sid,
            message_id=_tracker(order.callback),
            external_id=message_sid,
            payload={**order.form, "MediaUrl": list(order.media)} if order.media else dict(order.form),
        )
        errands = []
        if order.callback is not None:
            for name, due in self._schedule(order, faults, code):
                words = LATER.get(code, "") if code else ""
                form = payloads.status(order.form, account, message_sid, name, code, words)
                data = {"form": form, "forged": False, "headers": {}, "url": order.callback}
                errands.append(self._errand(account, data, due))
        await self.stage.courier.add(errands, sent=sent)
        first = "accepted" if order.form.get("MessagingServiceSid") else "queued"
        return payloads.resource(order.form, account, message_sid, time.time(), first, 0, len(order.media))

    def _schedule(self, order: Order, faults: Faults, code: int) -> list[tuple[str, float]]:
        """When each status is called back, in Unix seconds; some twice, some late. SMS are never read."""
        names = (
            [last_status(code)] if code else [name for name in faults.statuses if order.on_whatsapp or name != "read"]
        )
        delay = self.stage.settings.simulator_status_delay_ms
        delay = delay if faults.status_delay_ms is None else faults.status_delay_ms
        moment, schedule = time.time(), []
        for position, name in enumerate(names, start=1):
            late = DICE.uniform(0, _LATE_BY) if hit(faults.rate_late) else 0.0
            due = moment + position * delay / 1000 + late
            schedule += [(name, due)] * (2 if hit(faults.rate_duplicate) else 1)
        return schedule

    async def _window_is_open(self, account: Channel, customer: str) -> bool:
        """Whether the customer wrote within the last 24 hours."""
        latest = await self.stage.records.written(account.id, customer, 1)
        return bool(latest) and time.time() - datetime.fromisoformat(latest[0]["at"]).timestamp() < _WINDOW_SECONDS

    async def _list(self, request: Request) -> Response:
        """Messages that were sent, newest first; a page of at most PageSize."""
        try:
            own = await self._setup.authenticated(request)
        except TwilioError as error:
            return error.response()
        wanted = {name: request.query_params.get(name) for name in ("To", "From")}
        found: list[dict[str, Any]] = []
        for account in own:
            sent = await self.stage.records.sent(
                channel=self.kind, to=wanted["To"], channel_config_id=account.id, after=0, limit=_LISTED
            )
            found += [_listed(item, account) for item in sent if wanted["From"] in (None, item["payload"].get("From"))]
        found.sort(key=lambda item: float(item.pop("at")), reverse=True)
        size = request.query_params.get("PageSize", "50")
        page = found[: int(size) if size.isdecimal() else 50]
        return JSONResponse({"messages": page, "next_page_uri": None, "page": 0, "page_size": len(page)})

    async def _media(self, request: Request) -> Response:
        """A file's address, which holds for a while."""
        try:
            await self._setup.authenticated(request)
        except TwilioError as error:
            return error.response()
        media_sid = request.path_params["media_sid"]
        if await self._files.read(media_sid) is None:
            return TwilioError(20404).response()
        url = f"{request.base_url}twilio-media/{request.path_params['account_sid']}/{media_sid}"
        return RedirectResponse(url, status_code=307)

    async def _cdn(self, request: Request) -> Response:
        """A file's bytes. Whoever sends credentials here has followed the redirect with them."""
        if "authorization" in request.headers:
            return Response("Only one auth mechanism allowed", status_code=400)
        data = await self._files.read(request.path_params["media_sid"])
        return Response(status_code=404) if data is None else Response(data, media_type="application/octet-stream")

    def _errand(self, account: Channel, data: dict[str, Any], due: float) -> Errand:
        return Errand(platform=self.kind, channel_config_id=account.id, data=data, due=due)


def _sending(form: dict[str, str], own: list[Channel]) -> Channel:
    """The channel config of the sender that a message names; any of the account's, whose check then fails."""
    names = {form.get("From"), form.get("MessagingServiceSid")}
    return next((account for account in own if payloads.sender_of(account) in names), own[0])


def _tracker(callback: str | None) -> str | None:
    """Parley's own id of the message, as its status callback names it."""
    return parse_qs(urlsplit(callback or "").query).get("message_id", [None])[0]


def _listed(item: dict[str, Any], account: Channel) -> dict[str, Any]:
    made = datetime.fromisoformat(item["at"]).timestamp()
    media = item["payload"].get("MediaUrl")
    shown = payloads.resource(
        item["payload"], account, item["external_id"], made, "sent", 0, len(media) if isinstance(media, list) else 0
    )
    return shown | {"at": made}


def _refused(fault: str, request: Request) -> Response:
    """The answer of a fault."""
    if fault == "reset":
        request.scope["reset_connection"]()
        return Response(status_code=500)
    if fault == "502":
        return HTMLResponse("<html><body>Bad Gateway</body></html>", status_code=502)
    codes = {"429": 20429, "500": 20500}
    return TwilioError(codes.get(fault) or int(fault)).response()


async def _until_disconnected(request: Request, seconds: float) -> None:
    """Hang until the client has enough of it."""
    try:
        async with asyncio.timeout(seconds):
            while (await request.receive())["type"] != "http.disconnect":
                continue
    except TimeoutError:
        return
