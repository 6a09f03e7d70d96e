"""The Graph API's nodes of a WhatsApp account: the number, its business account, its files.

After Meta's reference pages "Phone number", "Subscribed apps", "Message templates" and "Media".
"""

from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from packages.core.crypto import same
from packages.core.domain.channels import Channel
from services.channel_gateway.simulator.graph import (
    GraphError,
    SharedRoute,
    check_token,
    json_object,
    missing_node,
    token_of,
)
from services.channel_gateway.simulator.platforms import Stage
from services.channel_gateway.simulator.platforms.whatsapp.catalogue import templates_of
from services.channel_gateway.simulator.platforms.whatsapp.graph_errors import WhatsAppError
from services.channel_gateway.simulator.platforms.whatsapp.media import FILES_PATH, Media
from services.channel_gateway.simulator.platforms.whatsapp.payloads import business_account_id

Endpoint = Callable[[Request], Awaitable[Response]]

_KIND = "whatsapp"
_OVERRIDE_NOTE = "whatsapp:override:"
_SUBSCRIPTION_NOTE = "whatsapp:subscribed:"
_CHALLENGE = "1158201444"
_DEFAULT_FIELDS = frozenset(
    {"verified_name", "code_verification_status", "display_phone_number", "quality_rating", "id"}
)
_SUCCESS = {"success": True}


class Nodes:
    """The API beside `messages`."""

    def __init__(self, stage: Stage, media: Media) -> None:
        self._stage = stage
        self._media = media
        self._overrides: dict[str, str] = {}
        self._subscribed: dict[str, bool] = {}

    async def load(self) -> None:
        """Take up what earlier processes were told."""
        records = self._stage.records
        overrides, subscribed = await records.notes(_OVERRIDE_NOTE), await records.notes(_SUBSCRIPTION_NOTE)
        self._overrides = {name.removeprefix(_OVERRIDE_NOTE): url for name, url in overrides.items()}
        self._subscribed = {name.removeprefix(_SUBSCRIPTION_NOTE): state for name, state in subscribed.items()}

    def routes(self) -> list[BaseRoute]:
        """Nodes and edges; Instagram has some of the same paths."""
        table: list[tuple[str, str, Endpoint]] = [
            ("POST", "/{version}/{node}/media", self._upload),
            ("GET", "/{version}/{node}/message_templates", self._templates),
            ("GET", "/{version}/{node}/subscribed_apps", self._subscriptions),
            ("POST", "/{version}/{node}/subscribed_apps", self._subscribe),
            ("DELETE", "/{version}/{node}/subscribed_apps", self._unsubscribe),
            ("GET", "/{version}/{node}", self._get),
            ("POST", "/{version}/{node}", self._configure),
            ("DELETE", "/{version}/{node}", self._delete),
        ]
        shared = [
            SharedRoute(path, answering(endpoint), owns=self.owns, methods=[method]) for method, path, endpoint in table
        ]
        return [*shared, Route(FILES_PATH, answering(self._file), methods=["GET"])]

    async def owns(self, node: str) -> bool:
        """Whether it is a number, a business account or a file of this platform."""
        if self._media.find(node) or await self._stage.accounts.by_account_id(_KIND, node):
            return True
        return await self._business(node) is not None

    async def _business(self, node: str) -> list[Channel] | None:
        """The numbers of a business account."""
        accounts = await self._stage.accounts.all()
        return [item for item in accounts if item.kind == _KIND and business_account_id(item) == node] or None

    async def number(self, request: Request) -> Channel:
        """The number that a request is about, its token checked.

        Raises:
            GraphError: there is none, or the token is not its own.
        """
        token_of(request, WhatsAppError)
        node = request.path_params["node"]
        account = await self._stage.accounts.by_account_id(_KIND, node)
        if account is None or account.status == "disabled":
            raise missing_node(node, WhatsAppError)
        check_token(request, str(account.credentials.get("access_token")), WhatsAppError)
        return account

    async def _of_business(self, request: Request) -> Channel:
        """The number of the business account whose token the request carries."""
        token, node = token_of(request, WhatsAppError), request.path_params["node"]
        for account in await self._business(node) or []:
            if same(token, str(account.credentials.get("access_token"))):
                return account
        raise missing_node(node, WhatsAppError)

    async def _get(self, request: Request) -> Response:
        node = request.path_params["node"]
        if self._media.find(node):
            await self._own_file(request, node)
            return JSONResponse(self._media.described(node, str(request.base_url).rstrip("/")))
        account = await self.number(request)
        known = self._described(account)
        wanted = {name.strip() for name in request.query_params.get("fields", "").split(",") if name.strip()}
        unknown = wanted - known.keys()
        if unknown:
            raise WhatsAppError(100, message=f"Tried accessing nonexisting field ({min(unknown)})")
        return JSONResponse({name: known[name] for name in known if name in (wanted or _DEFAULT_FIELDS) | {"id"}})

    def _described(self, account: Channel) -> dict[str, Any]:
        settings = account.settings
        business = business_account_id(account)
        places = {"application": f"{self._stage.settings.gateway_base_url}/webhooks/whatsapp/{account.id}"}
        if url := self._overrides.get(account.id):
            places["phone_number"] = url
        entities = [
            {"entity_type": kind, "id": own, "can_send_message": "AVAILABLE"}
            for kind, own in (("PHONE_NUMBER", account.account_id), ("WABA", business))
        ]
        return {
            "verified_name": settings.get("verified_name") or account.name,
            "code_verification_status": "VERIFIED",
            "display_phone_number": settings.get("display_phone_number") or f"+{account.account_id}",
            "quality_rating": settings.get("quality_rating") or "GREEN",
            "name_status": "APPROVED",
            "status": "CONNECTED",
            "platform_type": "CLOUD_API",
            "account_mode": "LIVE",
            "throughput": {"level": "STANDARD"},
            "whatsapp_business_manager_messaging_limit": "TIER_2K",
            "webhook_configuration": places,
            "health_status": {"can_send_message": "AVAILABLE", "entities": entities},
            "id": account.account_id,
        }

    async def _configure(self, request: Request) -> Response:
        """Another callback for the number; it is called at once, as in the handshake of the dashboard."""
        account = await self.number(request)
        payload = await json_object(request, WhatsAppError)
        wanted = payload.get("webhook_configuration")
        url = wanted.get("override_callback_uri") if isinstance(wanted, dict) else None
        if not isinstance(wanted, dict) or not isinstance(url, str):
            raise WhatsAppError(100, message="The parameter webhook_configuration is required.")
        if url:
            await self._shake_hands(url, str(wanted.get("verify_token", "")))
        await self._remember(_OVERRIDE_NOTE + account.id, url)
        self._overrides[account.id] = url
        return JSONResponse(_SUCCESS)

    async def _shake_hands(self, url: str, token: str) -> None:
        query = {"hub.mode": "subscribe", "hub.challenge": _CHALLENGE, "hub.verify_token": token}
        limit = aiohttp.ClientTimeout(total=self._stage.settings.simulator_webhook_timeout)
        try:
            async with self._stage.http.get(url, params=query, timeout=limit, allow_redirects=False) as response:
                answer = await response.content.read(len(_CHALLENGE) + 1)
                reason = None if response.status == 200 and answer == _CHALLENGE.encode() else f"HTTP {response.status}"
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
            reason = f"{type(error).__name__}: {error}"
        if reason:
            raise WhatsAppError(2200, message=f"Callback verification failed with the following errors: {reason}")

    async def _subscriptions(self, request: Request) -> Response:
        account = await self._of_business(request)
        app = {"name": "Simulated app", "id": "1" * 15, "link": "https://www.facebook.com/games/?app_id=1"}
        subscribed = self._subscribed.get(business_account_id(account), True)
        return JSONResponse({"data": [{"whatsapp_business_api_data": app}] if subscribed else []})

    async def _subscribe(self, request: Request) -> Response:
        return await self._set_subscription(request, True)

    async def _unsubscribe(self, request: Request) -> Response:
        return await self._set_subscription(request, False)

    async def _set_subscription(self, request: Request, subscribed: bool) -> Response:
        business = business_account_id(await self._of_business(request))
        await self._remember(_SUBSCRIPTION_NOTE + business, subscribed)
        self._subscribed[business] = subscribed
        return JSONResponse(_SUCCESS)

    async def _templates(self, request: Request) -> Response:
        """One page; `after` is the place of the last template that the caller has."""
        account = await self._of_business(request)
        name = request.query_params.get("name")
        found = [item for item in templates_of(account) if name is None or item["name"] == name]
        limit, after = request.query_params.get("limit", "25"), request.query_params.get("after", "0")
        if not limit.isdigit() or not after.isdigit():
            raise WhatsAppError(100, message="Param limit or after is not valid.")
        start, end = int(after), int(after) + int(limit)
        paging: dict[str, Any] = {"cursors": {"before": after, "after": str(end)}}
        if end < len(found):
            paging["next"] = str(request.url.include_query_params(after=end))
        return JSONResponse({"data": found[start:end], "paging": paging})

    async def _upload(self, request: Request) -> Response:
        account = await self.number(request)
        async with request.form() as form:
            file = form.get("file")
            if form.get("messaging_product") != "whatsapp":
                raise WhatsAppError(100, message="The parameter messaging_product is required.")
            if not isinstance(file, UploadFile):
                raise WhatsAppError(100, message="The parameter file is required.")
            data, stated = await file.read(), file.content_type
            of_type = form.get("type")
        media_type = of_type if isinstance(of_type, str) and of_type else stated or ""
        return JSONResponse({"id": await self._media.upload(account, media_type, data)})

    async def _delete(self, request: Request) -> Response:
        node = request.path_params["node"]
        await self._own_file(request, node)
        await self._media.delete(node)
        return JSONResponse(_SUCCESS)

    async def _own_file(self, request: Request, media_id: str) -> None:
        """Check the token for a file: its own number's."""
        token_of(request, WhatsAppError)
        about = self._media.find(media_id)
        owner = next((item for item in await self._stage.accounts.all() if about and item.id == about["account"]), None)
        number = request.query_params.get("phone_number_id")
        if owner is None or number not in {None, owner.account_id}:
            raise missing_node(media_id, WhatsAppError)
        check_token(request, str(owner.credentials.get("access_token")), WhatsAppError)

    async def _file(self, request: Request) -> Response:
        """The file host. It answers 404 to what it does not like, and nothing else."""
        query = request.query_params
        media_id = query.get("mid", "")
        try:
            await self._own_file(request, media_id)
        except GraphError:
            return Response(status_code=404)
        data = await self._media.read(media_id, query.get("ext", ""), query.get("hash", ""))
        about = self._media.find(media_id)
        if data is None or about is None:
            return Response(status_code=404)
        return Response(data, media_type=about["mime_type"])

    async def _remember(self, name: str, value: Any) -> None:
        await self._stage.records.save(errands=[], sent=[], written=[], notes=[(name, value)])


def answering(endpoint: Endpoint) -> Endpoint:
    """The endpoint, its refusals as answers."""

    async def answer(request: Request) -> Response:
        try:
            return await endpoint(request)
        except GraphError as error:
            return error.response()

    return answer
