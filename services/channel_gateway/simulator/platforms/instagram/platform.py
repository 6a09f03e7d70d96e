"""Meta's side of Instagram: passes people's messages on, takes the brand's, and reports echoes and read marks."""

from typing import Any

import aiohttp
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import BaseRoute, Route

from packages.core.crypto import same
from packages.core.domain.channels import Channel
from services.channel_gateway.simulator.faults import Faults
from services.channel_gateway.simulator.graph import SharedRoute, json_object, missing_node, token_of
from services.channel_gateway.simulator.platforms import CustomerMessage, Line, Stage, Writing
from services.channel_gateway.simulator.platforms._meta import Entry, MetaPlatform, until_disconnected
from services.channel_gateway.simulator.platforms.instagram import assets, payloads
from services.channel_gateway.simulator.platforms.instagram.account_api import AccountApi
from services.channel_gateway.simulator.platforms.instagram.assets import Assets
from services.channel_gateway.simulator.platforms.instagram.errors import NO_SUCH_FILE, InstagramError
from services.channel_gateway.simulator.platforms.instagram.people import Pace, People
from services.channel_gateway.simulator.platforms.instagram.validation import MEDIA, Order, check
from services.channel_gateway.simulator.records import Sent, Written

APP_ID = 1000000000000001
NODE = "/{version}/{node}"
_AFTER_ACCEPTANCE = frozenset({"timeout", "reset_after"})
_FAULT_CODES = {"429": 613, "500": 2}
_FETCH = aiohttp.ClientTimeout(total=10)


class Instagram(MetaPlatform):
    """The messaging API for all Instagram channel configs."""

    kind = "instagram"
    object = "instagram"

    def __init__(self, stage: Stage) -> None:
        super().__init__(stage)
        self._people = People(stage.records)
        self._pace = Pace()
        self._assets = Assets(stage.records)
        self._api = AccountApi(stage.records, self._people, self._authenticated)

    def routes(self) -> list[BaseRoute]:
        """The send API, the account's own pages, and the content host."""
        return [
            SharedRoute(f"{NODE}/messages", self._messages, owns=self._owns, methods=["POST"]),
            *(
                SharedRoute(f"{NODE}/subscribed_apps", self._api.subscribed_apps, owns=self._owns, methods=[method])
                for method in ("GET", "POST", "DELETE")
            ),
            SharedRoute(NODE, self._api.node, owns=self._owns, methods=["GET"]),
            Route(assets.PATH, self._assets.serve, methods=["GET"]),
        ]

    async def write(self, account: Channel, message: CustomerMessage) -> Writing:
        """One webhook for all lines, each under its own account's entry."""
        written: list[Written] = []
        entries: list[Entry] = []
        for line in message.lines:
            own = await self.account_of(line, account)
            external_id = line.external_id or payloads.message_id()
            entries.append(await self._entry(own, line, external_id))
            written.append(
                Written(
                    channel=self.kind,
                    channel_config_id=own.id,
                    sender=str(line.sender),
                    text=line.text,
                    external_id=external_id,
                )
            )
        if message.reorder:
            entries.reverse()
        return Writing(written, await self.written_errands(account, message, entries))

    async def _entry(self, account: Channel, line: Line, external_id: str) -> Entry:
        person = str(line.sender)
        if payloads.is_change(line):
            self._people.commented(external_id, person)
            return payloads.change_entry(account, line, external_id)
        event = payloads.event_of(line, external_id)
        if isinstance(event.get("message"), dict):
            event["message"] = await self._assets.host(account, event["message"])
        if payloads.opens_window(event):
            self._people.heard(account, person, event.get("timestamp"), line.name)
        return payloads.person_entry(account, line, event)

    async def _messages(self, request: Request) -> Response:
        try:
            account = await self._authenticated(request)
            payload = await json_object(request, InstagramError)
            order = check(payload)
            recipient = self._people.author(order.recipient) if order.to_comment else order.recipient
            if order.action:
                return await self._act(account, recipient, order, payload)
            if not order.to_comment:
                await self._people.check_window(account, recipient, tagged=order.tagged)
            faults = self.stage.faults.of(self.kind)
            fault = faults.strike()
            if fault is not None and fault not in _AFTER_ACCEPTANCE:
                return _refused(fault, request)
            self._pace.check(account, heavy=any(kind in {"audio", "video"} for kind, _ in order.files))
            await self._load(order)
            sent_id = await self._accept(account, recipient, order, payload, faults)
        except InstagramError as error:
            return error.response()
        if fault == "reset_after":
            return _refused("reset", request)
        if fault == "timeout":
            await until_disconnected(request, faults.timeout_seconds)
        return JSONResponse({"recipient_id": recipient, "message_id": sent_id})

    async def _owns(self, node: str) -> bool:
        """Whether a node is the token's own (`me`), an account of this platform, or a person who wrote to one."""
        return node == "me" or bool(await self._account(node)) or self._people.name(node) is not None

    async def _account(self, node: str) -> Channel | None:
        return await self.stage.accounts.by_account_id(self.kind, node)

    async def _authenticated(self, request: Request) -> Channel:
        """The account whose token the request carries.

        Raises:
            InstagramError: it carries none, or nobody's, or the node is another account.
        """
        token, node = token_of(request, InstagramError), request.path_params["node"]
        account = await self.stage.accounts.matching(
            lambda item: item.kind == self.kind
            and item.status != "disabled"
            and same(token, str(item.credentials.get("access_token") or ""))
        )
        if account is None:
            raise InstagramError(190)
        if node not in {"me", account.account_id} and await self._account(node):
            raise missing_node(node, InstagramError)
        return account

    async def _act(self, account: Channel, person: str, order: Order, payload: dict[str, Any]) -> Response:
        """A sender action. Typing shows for a while, read marks leave no trace; a reaction is there to be seen."""
        await self._people.last_heard(account, person)
        if order.action == "typing_on":
            self.stage.typing.show(f"{account.id}:{person}")
        if order.target:
            text = f"reaction: {order.reaction}" if order.reaction else "reaction taken back"
            await self.stage.courier.add([], sent=self._sent(account, person, text, None, order.target, payload))
        return JSONResponse({"recipient_id": person})

    async def _load(self, order: Order) -> None:
        """Fetch the files that the gateway serves, as the platform does before it takes a message.

        Raises:
            InstagramError: a file cannot be had, or is too large. Files elsewhere are not looked at.
        """
        own = self.stage.settings.gateway_base_url.rstrip("/") + "/"
        for kind, url in order.files:
            if url.startswith(own):
                await self._load_one(url, MEDIA[kind] * 1024 * 1024)

    async def _load_one(self, url: str, limit: int) -> None:
        size = 0
        try:
            async with self.stage.http.get(url, timeout=_FETCH) as response:
                response.raise_for_status()
                async for chunk in response.content.iter_any():
                    size += len(chunk)
                    if size > limit:
                        break
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise InstagramError(100, message="Failed to fetch the file from the url", subcode=NO_SUCH_FILE) from error
        if not 0 < size <= limit:
            raise InstagramError(100, message="The attachment's size is not within the limit", subcode=2018109)

    async def _accept(
        self, account: Channel, person: str, order: Order, payload: dict[str, Any], faults: Faults
    ) -> str:
        """Record the message together with its echo and its read mark."""
        mid = payloads.message_id()
        errands = [
            await self.news_errand(account, entry, due)
            for status, due in self.schedule(faults.statuses, faults)
            if (entry := _news(account, person, mid, status, payload["message"]))
        ]
        sent = self._sent(account, person, order.text, order.metadata, mid, payload)
        await self.stage.courier.add(errands, sent=sent)
        return mid

    def _sent(
        self, account: Channel, to: str, text: str | None, message_id: str | None, mid: str, payload: dict[str, Any]
    ) -> Sent:
        return Sent(
            channel=self.kind,
            channel_config_id=account.id,
            to=to,
            text=text,
            message_id=message_id,
            external_id=mid,
            payload=payload,
        )


def _news(account: Channel, person: str, mid: str, status: str, message: dict[str, Any]) -> Entry | None:
    """What the platform reports of a message that it took; it has no `delivered`, and nothing fails afterwards."""
    if status == "sent":
        return payloads.echo_entry(account, person, mid, message, APP_ID)
    return payloads.read_entry(account, person, mid) if status == "read" else None


def _refused(fault: str, request: Request) -> Response:
    """The answer of a fault. Rate limits come with status 400 on this platform."""
    if fault == "reset":
        request.scope["reset_connection"]()
        return Response(status_code=500)
    if fault == "502":
        return HTMLResponse("<html><body>Bad Gateway</body></html>", status_code=502)
    return InstagramError(_FAULT_CODES.get(fault) or int(fault)).response()
