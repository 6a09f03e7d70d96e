"""Meta's side of WhatsApp: passes customers' messages on, takes the brand's, and reports what became of them.

A phone number that ends in one of the platform's error codes is scripted: a message to +1 202 555 131026 is accepted,
and reported as failed with 131026 afterwards. Accounts with the setting `enforce_window` fail with 131047 what is no
template and goes to somebody who has not written within 24 hours.
"""

import asyncio
import hashlib
import secrets
import time
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import Any

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import BaseRoute

from packages.core.domain.channels import Channel
from packages.core.errors import InvalidInput, NotFound, Unavailable
from services.channel_gateway.simulator.chance import DICE, hit
from services.channel_gateway.simulator.courier import Receipt
from services.channel_gateway.simulator.faults import Faults
from services.channel_gateway.simulator.graph import GraphError, SharedRoute, json_object
from services.channel_gateway.simulator.platforms import CustomerMessage, Line, Platform, Stage, Writing
from services.channel_gateway.simulator.platforms.whatsapp import payloads
from services.channel_gateway.simulator.platforms.whatsapp.catalogue import check_template
from services.channel_gateway.simulator.platforms.whatsapp.graph_errors import WORDINGS, WhatsAppError
from services.channel_gateway.simulator.platforms.whatsapp.media import KINDS, Media
from services.channel_gateway.simulator.platforms.whatsapp.nodes import Nodes
from services.channel_gateway.simulator.platforms.whatsapp.validation import check, shown_text
from services.channel_gateway.simulator.posting import post
from services.channel_gateway.simulator.records import Errand, Sent, Written

_MODE_NOTE = "whatsapp:mode:"
_LATE_BY = 1.5
_WINDOW = timedelta(hours=24)
_SCRIPTED = tuple(code for code in WORDINGS if code > 100_000)
_AFTER_ACCEPTANCE = frozenset({"timeout", "reset_after"})


class WhatsApp(Platform):
    """The Cloud API for all WhatsApp channel configs."""

    kind = "whatsapp"

    def __init__(self, stage: Stage) -> None:
        super().__init__(stage)
        self._modes: dict[str, str] = {}
        self._media = Media(stage.settings.database_path.parent / "media", stage.records)
        self._nodes = Nodes(stage, self._media)

    async def start(self) -> None:
        """Take up where the last process stopped: files, and through which URL each account's webhooks go."""
        await self._media.load()
        await self._nodes.load()
        notes = await self.stage.records.notes(_MODE_NOTE)
        self._modes = {name.removeprefix(_MODE_NOTE): mode for name, mode in notes.items()}

    def routes(self) -> list[BaseRoute]:
        """The send API, and the account's nodes."""
        path = "/{version}/{node}/messages"
        return [SharedRoute(path, self._messages, owns=self._nodes.owns, methods=["POST"]), *self._nodes.routes()]

    async def write(self, account: Channel, message: CustomerMessage) -> Writing:
        """One webhook for all lines, each under its own account's entry."""
        mode = await self._mode(account, message.mode)
        lines = [(await self._account_of(line, account), line, _id_of(line)) for line in message.lines]
        for own, line, _ in lines:
            await self._media.of_customer(own, line)
        written = [
            Written(
                channel=self.kind,
                channel_config_id=own.id,
                sender=payloads.person_id(line.sender or ""),
                text=line.text,
                external_id=id_,
            )
            for own, line, id_ in lines
        ]
        data = {
            "entries": _entries(lines[::-1] if message.reorder else lines),
            "mode": mode,
            "forged": message.forged,
            "headers": message.headers,
        }
        held_back = DICE.uniform(0, _LATE_BY) if message.reorder and len(lines) == 1 else 0.0
        due = time.time() + message.delay_ms / 1000 + held_back
        errands = [self._errand(account, data, due) for _ in range(message.duplicates + 1)]
        return Writing(written, errands)

    async def carry(self, errands: list[Errand]) -> Receipt:
        """Post one webhook; only status 200 counts as received."""
        first = errands[0]
        try:
            account = await self.stage.accounts.get(self.kind, first.channel_config_id)
            secret = self._secret(account, first.data["mode"])
        except NotFound as error:
            return Receipt(True, None, error.message)
        except (Unavailable, InvalidInput) as error:
            return Receipt(False, None, error.message)
        forged = bool(first.data["forged"])
        body = payloads.envelope(entry for errand in errands for entry in errand.data["entries"])
        headers = payloads.signed_headers(body, secrets.token_hex(16) if forged else secret) | first.data["headers"]
        timeout = self.stage.settings.simulator_webhook_timeout
        status, answer = await post(self.stage.http, self._url(account, first.data["mode"]), body, headers, timeout)
        return Receipt(forged or status == 200, status, answer)

    async def _messages(self, request: Request) -> Response:
        try:
            account = await self._nodes.number(request)
            payload = await json_object(request, WhatsAppError)
            if payload.get("status") == "read":
                answer = _marked(payload)
                if "typing_indicator" in payload:
                    self.stage.typing.show(payload["message_id"])
                return answer
            recipient = check(payload, str(account.settings.get("display_phone_number", "")))
            self._check_objects(account, payload)
            faults = self.stage.faults.of(self.kind)
            fault = faults.strike()
            if fault is not None and fault not in _AFTER_ACCEPTANCE:
                return _refused(fault, request)
            sent_id = await self._accept(account, payload, recipient, faults)
        except GraphError as error:
            return error.response()
        if fault == "reset_after":
            return _refused("reset", request)
        if fault == "timeout":
            await _until_disconnected(request, faults.timeout_seconds)
        return _accepted(payload, recipient, sent_id)

    def _check_objects(self, account: Channel, payload: dict[str, Any]) -> None:
        """Whether the files and the template that a message names are there."""
        kind = payload.get("type", "text")
        if kind == "template":
            check_template(account, payload["template"])
        named = payload.get(kind) if kind in KINDS else None
        header = payload["interactive"].get("header") if kind == "interactive" else None
        if isinstance(header, dict) and header.get("type") in KINDS:
            kind, named = header["type"], header.get(header["type"])
        media_id = named.get("id") if isinstance(named, dict) else None
        about = self._media.find(str(media_id)) if media_id else None
        if media_id and (about is None or about["account"] != account.id):
            text = f"Param {kind}['id'] is not a valid whatsapp business account media attachment ID"
            raise WhatsAppError(100, message=text)

    async def _failure(self, account: Channel, payload: dict[str, Any], recipient: str, faults: Faults) -> int | None:
        """The code with which an accepted message fails afterwards; None if it does not."""
        if recipient.isdigit() and (scripted := next((code for code in _SCRIPTED if recipient.endswith(str(code))), 0)):
            return scripted
        if account.settings.get("enforce_window") and payload.get("type") != "template":
            latest = await self.stage.records.written(account.id, recipient, 1)
            if not latest or datetime.fromisoformat(latest[-1]["at"]) < datetime.now(UTC) - _WINDOW:
                return 131047
        return 131026 if hit(faults.rate_failed) else None

    async def _accept(self, account: Channel, payload: dict[str, Any], recipient: str, faults: Faults) -> str:
        """Record the message together with the statuses that will be reported."""
        sent_id = payloads.message_id(recipient, inbound=False)
        callback = payload.get("biz_opaque_callback_data")
        sent = Sent(
            channel=self.kind,
            channel_config_id=account.id,
            to=recipient,
            text=shown_text(payload),
            message_id=callback,
            external_id=sent_id,
            payload=payload,
        )
        mode = await self._mode(account, None)
        code = await self._failure(account, payload, recipient, faults)
        statuses = faults.statuses if code is None else ["failed"]
        errands = [
            self._errand(
                account,
                {
                    "entries": [
                        payloads.status_entry(account, status, sent_id, recipient, callback, code=code or 131026)
                    ],
                    "mode": mode,
                    "forged": False,
                    "headers": {},
                },
                due,
                self._batch(account, mode),
            )
            for status, due in self._schedule(statuses, faults)
        ]
        await self.stage.courier.add(errands, sent=sent)
        return sent_id

    def _schedule(self, statuses: list[str], faults: Faults) -> list[tuple[str, float]]:
        """When each status is reported, in Unix seconds; some twice, some late."""
        delay = (
            self.stage.settings.simulator_status_delay_ms if faults.status_delay_ms is None else faults.status_delay_ms
        )
        moment, schedule = time.time(), []
        for position, status in enumerate(statuses, start=1):
            late = DICE.uniform(0, _LATE_BY) if hit(faults.rate_late) else 0.0
            due = moment + position * delay / 1000 + late
            schedule += [(status, due)] * (2 if hit(faults.rate_duplicate) else 1)
        return schedule

    def _errand(self, account: Channel, data: dict[str, Any], due: float, batch: str | None = None) -> Errand:
        return Errand(platform=self.kind, channel_config_id=account.id, data=data, due=due, batch=batch)

    async def _account_of(self, line: Line, account: Channel) -> Channel:
        if line.channel_config_id in (None, account.id):
            return account
        return await self.stage.accounts.get(self.kind, str(line.channel_config_id))

    async def _mode(self, account: Channel, wanted: str | None) -> str:
        """The URL an account's webhooks go to: as asked for, else as last time, else its own."""
        known = self._modes.get(account.id, "channel")
        if wanted is None or wanted == known:
            return known
        self._modes[account.id] = wanted
        notes = [(_MODE_NOTE + account.id, wanted)]
        await self.stage.records.save(errands=[], sent=[], written=[], notes=notes)
        return wanted

    def _secret(self, account: Channel, mode: str) -> str:
        """The secret of the Meta app that serves the account."""
        if mode == "channel":
            return str(account.credentials.get("app_secret", ""))
        secret = self.stage.settings.meta.app_secret
        if secret is None:
            raise InvalidInput("PARLEY_META__APP_SECRET is not set; it signs webhooks to /webhooks/meta.")
        return secret.get_secret_value()

    def _batch(self, account: Channel, mode: str) -> str:
        """Statuses of one app may share a webhook, whichever account they belong to."""
        app = str(account.credentials.get("app_secret", "")) if mode == "channel" else mode
        return hashlib.sha256(app.encode()).hexdigest()[:16]

    def _url(self, account: Channel, mode: str) -> str:
        base = self.stage.settings.gateway_base_url
        return f"{base}/webhooks/meta" if mode == "meta" else f"{base}/webhooks/whatsapp/{account.id}"


def _id_of(line: Line) -> str:
    return line.external_id or payloads.message_id(payloads.person_id(line.sender or ""), inbound=True)


def _entries(lines: list[tuple[Channel, Line, str]]) -> list[dict[str, Any]]:
    """Neighbouring lines of one account share an entry."""
    groups = [list(items) for _id, items in groupby(lines, key=lambda item: item[0].id)]
    found = [payloads.lines_entries(group[0][0], [(line, id_) for _account, line, id_ in group]) for group in groups]
    return [entry for entries in found for entry in entries]


def _marked(payload: dict[str, Any]) -> Response:
    """Read marks, with or without a typing indicator."""
    if not isinstance(payload.get("message_id"), str):
        raise WhatsAppError(100, message="The parameter message_id is required.")
    typing = payload.get("typing_indicator")
    if typing is not None and (not isinstance(typing, dict) or typing.get("type") != "text"):
        raise WhatsAppError(100, message="Param typing_indicator['type'] must be one of {TEXT}")
    return JSONResponse({"success": True})


def _accepted(payload: dict[str, Any], recipient: str, sent_id: str) -> Response:
    contact = {"input": payload.get("to") or payload.get("recipient")}
    if payload.get("recipient_type") != "group":
        contact["user_id" if payloads.is_user_id(recipient) else "wa_id"] = recipient
    message = {"id": sent_id}
    if payload.get("type") == "template":
        message["message_status"] = "accepted"
    return JSONResponse({"messaging_product": "whatsapp", "contacts": [contact], "messages": [message]})


def _refused(fault: str, request: Request) -> Response:
    """The answer of a fault. Rate limits come with status 400 on this platform."""
    if fault == "reset":
        request.scope["reset_connection"]()
        return Response(status_code=500)
    if fault == "502":
        return HTMLResponse("<html><body>Bad Gateway</body></html>", status_code=502)
    codes = {"429": 130429, "500": 131000}
    return WhatsAppError(codes.get(fault) or int(fault)).response()


async def _until_disconnected(request: Request, seconds: float) -> None:
    """Hang until the client has enough of it."""
    try:
        async with asyncio.timeout(seconds):
            while (await request.receive())["type"] != "http.disconnect":
                pass
    except TimeoutError:
        return
