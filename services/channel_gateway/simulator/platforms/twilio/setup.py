"""Twilio's resources around messages: accounts, numbers, services, WhatsApp senders, content, alerts."""

import base64
import binascii
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from packages.core.crypto import same
from packages.core.domain.channels import Channel
from services.channel_gateway.simulator.platforms import Stage
from services.channel_gateway.simulator.platforms.twilio.errors import TwilioError
from services.channel_gateway.simulator.platforms.twilio.payloads import account_sid, sender_of

_NOTE = "twilio:webhook:"
_ACCOUNT = "/2010-04-01/Accounts/{account_sid}"
_EMPTY_PAGE = {"next_page_uri": None, "page": 0, "page_size": 50}


class Setup:
    """Who may ask, and which webhook each sender has. A sender's own id is its channel config's, in hexadecimal."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._webhooks: dict[str, str] = {}

    async def load(self) -> None:
        """Remember the webhooks that were set."""
        notes = await self._stage.records.notes(_NOTE)
        self._webhooks = {name.removeprefix(_NOTE): url for name, url in notes.items()}

    def webhook(self, account: Channel) -> str:
        """Where a sender's messages are posted: as set, else to the gateway's own address for it."""
        own = f"{self._stage.settings.gateway_base_url}/webhooks/twilio/{account.id}"
        return self._webhooks.get(account.id) or own

    async def authenticated(self, request: Request, sid: str | None = None) -> list[Channel]:
        """The channel configs of the account that a request's credentials open, at least one.

        Raises:
            TwilioError: they open none.
        """
        user, secret = _basic(request.headers.get("authorization", ""))
        wanted = sid or request.path_params.get("account_sid") or user
        own = await self._of(wanted)
        if not own:
            await self._stage.accounts.by_account_id("twilio", wanted)  # a miss has them read again, if they are old
            own = await self._of(wanted)
        opened = [account for account in own if _opens(account, user, secret)]
        if not opened:
            raise TwilioError(20003)
        return opened

    async def _of(self, wanted: str) -> list[Channel]:
        known = [
            item for item in await self._stage.accounts.all() if item.kind == "twilio" and item.status != "disabled"
        ]
        return [item for item in known if wanted in (account_sid(item), item.credentials.get("api_key_sid"))]

    def routes(self) -> list[BaseRoute]:
        """The resources, each of several hosts of Twilio's at its own path."""
        return [
            Route(f"{_ACCOUNT}.json", self._answering(self._account), methods=["GET"]),
            Route(f"{_ACCOUNT}/IncomingPhoneNumbers.json", self._answering(self._numbers), methods=["GET"]),
            Route(f"{_ACCOUNT}/IncomingPhoneNumbers/{{sid}}.json", self._answering(self._set), methods=["POST"]),
            Route(f"{_ACCOUNT}/SMS/ShortCodes.json", self._answering(self._short_codes), methods=["GET"]),
            Route(f"{_ACCOUNT}/SMS/ShortCodes/{{sid}}.json", self._answering(self._set), methods=["POST"]),
            Route("/v1/Services/{sid}", self._answering(self._service), methods=["GET"]),
            Route("/v1/Services/{sid}", self._answering(self._set), methods=["POST"]),
            Route("/v2/Channels/Senders", self._answering(self._senders), methods=["GET"]),
            Route("/v2/Channels/Senders/{sid}", self._answering(self._set_sender), methods=["POST"]),
            Route("/v2/Indicators/Typing.json", self._answering(self._typing), methods=["POST"]),
            Route("/v1/Content", self._answering(self._contents), methods=["GET"]),
            Route("/v1/ContentAndApprovals", self._answering(self._contents), methods=["GET"]),
            Route("/v1/Alerts", self._answering(self._alerts), methods=["GET"]),
        ]

    def _answering(self, answer: Any) -> Any:
        """An endpoint that checks the credentials first, and says errors in Twilio's form."""

        async def endpoint(request: Request) -> Response:
            try:
                own = await self.authenticated(request)
                return JSONResponse(await answer(request, own))
            except TwilioError as error:
                return error.response()

        return endpoint

    async def _account(self, request: Request, own: list[Channel]) -> dict[str, Any]:
        sid = request.path_params["account_sid"]
        return {"sid": sid, "friendly_name": own[0].name, "status": "active", "type": "Full", "owner_account_sid": sid}

    async def _numbers(self, request: Request, own: list[Channel]) -> dict[str, Any]:
        wanted = request.query_params.get("PhoneNumber")
        found = [item for item in own if sender_of(item).startswith("+") and wanted in (None, sender_of(item))]
        numbers = [self._shown(item, "PN", {"phone_number": sender_of(item)}) for item in found]
        return {"incoming_phone_numbers": numbers, **_EMPTY_PAGE}

    async def _short_codes(self, request: Request, own: list[Channel]) -> dict[str, Any]:
        wanted = request.query_params.get("ShortCode")
        found = [item for item in own if sender_of(item).isdecimal() and wanted in (None, sender_of(item))]
        codes = [self._shown(item, "SC", {"short_code": sender_of(item)}) for item in found]
        return {"short_codes": codes, **_EMPTY_PAGE}

    def _shown(self, account: Channel, prefix: str, more: dict[str, Any]) -> dict[str, Any]:
        sid = prefix + account.id.replace("-", "")
        url = self._webhooks.get(account.id, "")
        return {"sid": sid, "account_sid": account_sid(account), "sms_url": url, "sms_method": "POST", **more}

    async def _set(self, request: Request, own: list[Channel]) -> dict[str, Any]:
        """A sender's webhook, by the form of its own resource."""
        account = _with_sid(own, request.path_params["sid"])
        form = await request.form()
        url = form.get("SmsUrl") if "SmsUrl" in form else form.get("InboundRequestUrl")
        if isinstance(url, str):
            await self._remember(account, url)
        if sender_of(account).startswith("MG"):
            return self._service_of(account)
        return self._shown(account, request.path_params["sid"][:2], {})

    async def _remember(self, account: Channel, url: str) -> None:
        self._webhooks[account.id] = url
        await self._stage.records.save(errands=[], sent=[], written=[], notes=[(_NOTE + account.id, url)])

    async def _service(self, request: Request, own: list[Channel]) -> dict[str, Any]:
        return self._service_of(_with_sid(own, request.path_params["sid"]))

    def _service_of(self, account: Channel) -> dict[str, Any]:
        url = self._webhooks.get(account.id)
        known = {"sid": sender_of(account), "account_sid": account_sid(account), "friendly_name": account.name}
        return {**known, "inbound_request_url": url, "inbound_method": "POST", "use_inbound_webhook_on_number": False}

    async def _senders(self, request: Request, own: list[Channel]) -> dict[str, Any]:
        senders = [self._sender(item) for item in own if sender_of(item).startswith("whatsapp:")]
        return {"senders": senders, "meta": {"key": "senders", "next_page_url": None, "page": 0, "page_size": 50}}

    def _sender(self, account: Channel) -> dict[str, Any]:
        sid, url = "XE" + account.id.replace("-", ""), self._webhooks.get(account.id)
        webhook = {"callback_url": url, "callback_method": "POST"}
        return {"sid": sid, "sender_id": sender_of(account), "status": "ONLINE", "webhook": webhook}

    async def _set_sender(self, request: Request, own: list[Channel]) -> dict[str, Any]:
        account = _with_sid(own, request.path_params["sid"])
        try:
            body = msgspec.json.decode(await request.body())
        except msgspec.DecodeError:
            raise TwilioError(20001, "The body is not JSON.") from None
        webhook = body.get("webhook") if isinstance(body, dict) else None
        if isinstance(webhook, dict) and isinstance(webhook.get("callback_url"), str):
            await self._remember(account, webhook["callback_url"])
        return self._sender(account)

    async def _typing(self, request: Request, own: list[Channel]) -> dict[str, Any]:
        form = await request.form()
        if form.get("channel") != "whatsapp" or not str(form.get("messageId") or "").startswith(("SM", "MM")):
            raise TwilioError(20001, "Invalid messageId")
        self._stage.typing.show(str(form["messageId"]))
        return {"success": True}

    async def _contents(self, request: Request, own: list[Channel]) -> dict[str, Any]:
        """The templates that a channel config's setting `simulated_templates` holds, in the Content API's form."""
        found = [item for account in own for item in account.settings.get("simulated_templates") or []]
        return {"contents": found, "meta": {"key": "contents", "next_page_url": None, "page": 0, "page_size": 50}}

    async def _alerts(self, request: Request, own: list[Channel]) -> dict[str, Any]:
        return {"alerts": [], "meta": {"key": "alerts", "next_page_url": None, "page": 0, "page_size": 50}}


def _basic(header: str) -> tuple[str, str]:
    """User and password of basic authentication; empty where there is none."""
    scheme, _, encoded = header.partition(" ")
    if scheme.lower() != "basic":
        return "", ""
    try:
        user, _, password = base64.b64decode(encoded.strip(), validate=True).decode().partition(":")
    except (binascii.Error, ValueError):
        return "", ""
    return user, password


def _opens(account: Channel, user: str, secret: str) -> bool:
    """Whether user and password are the account's: its token, or its API key."""
    token, key = str(account.credentials.get("auth_token") or ""), str(account.credentials.get("api_key_secret") or "")
    if user == account_sid(account):
        return bool(token) and same(token, secret)
    return user == account.credentials.get("api_key_sid") and bool(key) and same(key, secret)


def _with_sid(own: list[Channel], sid: str) -> Channel:
    """The channel config whose sender has this id.

    Raises:
        TwilioError: none has.
    """
    for account in own:
        if sid[2:] == account.id.replace("-", "") or sid == sender_of(account):
            return account
    raise TwilioError(20404)
