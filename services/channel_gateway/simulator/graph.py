"""What the simulators of Meta's platforms share: the Graph API's errors, its tokens, and paths that both have."""

import re
import secrets
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import msgspec
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Match, Route
from starlette.types import Receive, Scope, Send

from packages.core.crypto import same


@dataclass(frozen=True, slots=True)
class Wording:
    """How Meta words one error: HTTP status and message; subcode and details where it gives them."""

    status: int
    message: str
    details: str | None = None
    subcode: int | None = None


COMMON: Mapping[int, Wording] = {
    0: Wording(401, "Authentication Error"),
    1: Wording(400, "API Unknown"),
    2: Wording(503, "API Service"),
    3: Wording(403, "API Method"),
    4: Wording(400, "API Too Many Calls"),
    10: Wording(403, "Permission Denied"),
    100: Wording(400, "Invalid parameter"),
    190: Wording(401, "Invalid OAuth access token - Cannot parse access token"),
    200: Wording(403, "Permissions error"),
    368: Wording(403, "Temporarily blocked for policies violations"),
}
"""Codes of the Graph API itself. A platform adds its own in its subclass of GraphError."""

_VERSION = re.compile(r"/v\d+\.\d+/")
_UNPREFIXED = frozenset({0, 190})


@dataclass(eq=False)
class GraphError(Exception):
    """A refusal. `code` is what clients decide by; `details` is for people.

    A platform's subclass names its `wordings`, and in `product` what `error_data.messaging_product` says; without a
    product there is no `error_data`.
    """

    code: int
    details: str | None = None
    message: str | None = None
    subcode: int | None = None
    status: int | None = None

    wordings: ClassVar[Mapping[int, Wording]] = COMMON
    product: ClassVar[str | None] = None

    def response(self) -> JSONResponse:
        """The answer, in the Graph API's envelope."""
        wording = self.wordings.get(self.code) or Wording(400, "Unknown error")
        prefix = "" if self.code in _UNPREFIXED else f"(#{self.code}) "
        error: dict[str, object] = {
            "message": prefix + (self.message or wording.message),
            "type": "OAuthException",
            "code": self.code,
        }
        details = self.details or wording.details
        if details is not None and self.product is not None:
            error["error_data"] = {"messaging_product": self.product, "details": details}
        subcode = self.subcode or wording.subcode
        if subcode is not None:
            error["error_subcode"] = subcode
        error["fbtrace_id"] = "A" + secrets.token_urlsafe(16)
        return JSONResponse({"error": error}, status_code=self.status or wording.status)


def missing_node(node: str, error: type[GraphError] = GraphError) -> GraphError:
    """What Meta says of an id that it does not know, or that the token may not see."""
    text = f"Unsupported request. Object with ID '{node}' does not exist, cannot be loaded due to missing permissions, "
    return error(100, message=text + "or does not support this operation.", subcode=33)


def token_of(request: Request, error: type[GraphError] = GraphError) -> str:
    """The access token of a request: of the header, or of the query as older clients write it.

    Raises:
        GraphError: there is none.
    """
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    found = token.strip() if scheme.lower() == "bearer" else request.query_params.get("access_token", "")
    if not found:
        raise error(0)
    return found


def check_token(request: Request, expected: str, error: type[GraphError] = GraphError) -> None:
    """Raises GraphError unless the request carries the `expected` access token."""
    token = token_of(request, error)
    if not expected or not same(token, expected):
        raise error(190)


async def json_object(request: Request, error: type[GraphError] = GraphError) -> dict[str, Any]:
    """The body of a request.

    Raises:
        GraphError: it is no JSON object.
    """
    try:
        payload = msgspec.json.decode(await request.body())
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as broken:
        raise error(100, message="The body is not JSON.") from broken
    if not isinstance(payload, dict):
        raise error(100, message="The body is not a JSON object.")
    return payload


Owns = Callable[[str], Awaitable[bool]]


class SharedRoute(Route):
    """A path of the Graph API that several platforms have, `/{version}/{node}…`: whose node it is decides.

    A request for a node that is not this platform's goes on to the next platform's route of the same path; one for
    nobody's node is answered by the last.
    """

    def __init__(
        self, path: str, endpoint: Callable[[Request], Awaitable[Any]], *, owns: Owns, methods: list[str]
    ) -> None:
        super().__init__(path, endpoint, methods=methods)
        self._owns = owns

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Paths below a version of the Graph API alone: other platforms' may have as many parts."""
        if scope["type"] == "http" and not _VERSION.match(scope["path"]):
            return Match.NONE, {}
        return super().matches(scope)

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or pass the request on."""
        other = None if await self._owns(scope["path_params"]["node"]) else self._next(scope)
        if other is None:
            await super().handle(scope, receive, send)
            return
        route, child = other
        scope.update(child)
        await route.handle(scope, receive, send)

    def _next(self, scope: Scope) -> "tuple[SharedRoute, Scope] | None":
        routes = scope["app"].router.routes
        for route in routes[routes.index(self) + 1 :]:
            if isinstance(route, SharedRoute):
                match, child = route.matches(scope)
                if match == Match.FULL:
                    return route, child
        return None
