"""Nodes of the API: whose token it is, who a person is, and which events the app is subscribed to."""

from collections.abc import Awaitable, Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from packages.core.domain.channels import Channel
from services.channel_gateway.simulator.platforms.instagram.errors import InstagramError
from services.channel_gateway.simulator.platforms.instagram.people import People
from services.channel_gateway.simulator.records import Records

FIELDS = frozenset(
    {
        "comments",
        "live_comments",
        "mentions",
        "message_edit",
        "message_reactions",
        "messages",
        "messaging_handover",
        "messaging_optins",
        "messaging_postbacks",
        "messaging_referral",
        "messaging_seen",
        "standby",
        "story_insights",
    }
)
PAGE_FIELDS = frozenset(
    {
        "feed",
        "message_echoes",
        "message_edits",
        "message_reactions",
        "message_reads",
        "messages",
        "messaging_handovers",
        "messaging_optins",
        "messaging_postbacks",
        "messaging_referrals",
        "standby",
    }
)
_NOTE = "instagram:subscribed:"


class AccountApi:
    """Answers `/me`, `/me/subscribed_apps` and a person's profile; for Instagram Login and pages of Facebook Login."""

    def __init__(self, records: Records, people: People, authenticate: Callable[[Request], Awaitable[Channel]]) -> None:
        self._records = records
        self._people = people
        self._authenticate = authenticate

    async def node(self, request: Request) -> Response:
        """The fields of the account or of a person that were asked for; the id alone where none were."""
        try:
            account = await self._authenticate(request)
        except InstagramError as error:
            return error.response()
        if name := self._people.name(request.path_params["node"]):
            known = _person(request.path_params["node"], name)
        else:
            known = _page(account) if _is_page(account) else _profile(account)
        asked = _names(request.query_params.get("fields", "id"))
        if unknown := [name for name in asked if name not in known]:
            message = f"Tried accessing nonexisting field ({unknown[0]})"
            return InstagramError(100, message=message).response()
        return JSONResponse({"id": known["id"], **{name: known[name] for name in asked}})

    async def subscribed_apps(self, request: Request) -> Response:
        """Subscribe the app to the account's events, list what it is subscribed to, or end it."""
        try:
            account = await self._authenticate(request)
            if request.method == "GET":
                return JSONResponse({"data": await self._subscriptions(account)})
            fields = _fields(account, request) if request.method == "POST" else []
        except InstagramError as error:
            return error.response()
        notes: list[tuple[str, Any]] = [(_NOTE + account.id, fields)]
        await self._records.save(errands=[], sent=[], written=[], notes=notes)
        return JSONResponse({"success": True})

    async def _subscriptions(self, account: Channel) -> list[dict[str, Any]]:
        fields = await self._records.note(_NOTE + account.id)
        if not fields:
            return []
        return [{"id": "1000000000000001", "name": "Parley", "subscribed_fields": fields}]


def _is_page(account: Channel) -> bool:
    return account.settings.get("login") == "facebook"


def _profile(account: Channel) -> dict[str, Any]:
    """The id is scoped to the app; `user_id` is the one that webhooks name."""
    return {
        "id": f"29{str(account.account_id)[2:]}",
        "user_id": account.account_id,
        "username": "".join(character for character in account.name.lower() if character.isalnum()) or "brand",
        "name": account.name,
        "account_type": "BUSINESS",
    }


def _person(id_: str, name: str) -> dict[str, Any]:
    username = "".join(character for character in name.lower() if character.isalnum())
    return {"id": id_, "name": name, "username": username, "profile_pic": None, "follower_count": 0}


def _page(account: Channel) -> dict[str, Any]:
    linked = {"id": account.account_id, "username": _profile(account)["username"]}
    return {"id": f"10{str(account.account_id)[2:]}", "name": account.name, "instagram_business_account": linked}


def _fields(account: Channel, request: Request) -> list[str]:
    known = PAGE_FIELDS if _is_page(account) else FIELDS
    asked = [name for name in request.query_params.get("subscribed_fields", "").split(",") if name]
    if not asked:
        raise InstagramError(100, message="The parameter subscribed_fields is required.")
    if unknown := [name for name in asked if name not in known]:
        raise InstagramError(100, message=f"Param subscribed_fields must be one of {sorted(known)}, not {unknown[0]}")
    return asked


def _names(fields: str) -> list[str]:
    """The names at the top of a list of fields; what stands in braces belongs to the field before it."""
    names, depth = [""], 0
    for character in fields:
        depth += {"{": 1, "}": -1}.get(character, 0)
        if depth == 0 and character == ",":
            names.append("")
        elif depth == 0 and character not in "{}":
            names[-1] += character
    return [name.strip() for name in names if name.strip()]
