"""Who a visitor is: an id that we made, in a signed token that the browser keeps. No cookies, no account."""

import secrets
import time
from contextlib import suppress
from dataclasses import dataclass, replace

import jwt

from packages.core.crypto import derive_key
from packages.core.errors import Unauthenticated

_ALGORITHM = "HS256"
_SCHEME = "bearer "


@dataclass(frozen=True, slots=True)
class Visitor:
    """A visitor of one web chat. `id` is the customer's external id there; `name` is only what the visitor said."""

    channel_config_id: str
    id: str
    name: str | None = None

    @property
    def room(self) -> str:
        """Where its events are heard."""
        return f"{self.channel_config_id}:{self.id}"


class Sessions:
    """Issues and checks session tokens (JSON web tokens under a key of their own)."""

    def __init__(self, secret: str, days: float) -> None:
        self._key = derive_key(secret, "webchat-session")
        self._seconds = int(days * 86_400)

    def issue(self, visitor: Visitor) -> str:
        """A token for the visitor, good from now."""
        now = int(time.time())
        claims: dict[str, object] = {
            "sub": visitor.id,
            "aud": visitor.channel_config_id,
            "iat": now,
            "exp": now + self._seconds,
        }
        if visitor.name:
            claims["name"] = visitor.name
        return jwt.encode(claims, self._key, algorithm=_ALGORITHM)

    def resume(self, channel_config_id: str, token: str | None, name: str | None = None) -> Visitor:
        """The visitor of an earlier token; a new one where there is none, or it no longer holds."""
        if token:
            with suppress(Unauthenticated):  # a browser that comes back too late simply begins anew
                known = self.check(channel_config_id, token)
                return replace(known, name=name or known.name)
        return Visitor(channel_config_id, f"v_{secrets.token_urlsafe(16)}", name)

    def check(self, channel_config_id: str, token: str) -> Visitor:
        """The visitor that a token names.

        Raises:
            Unauthenticated: it is forged, too old or for another web chat.
        """
        try:
            claims = jwt.decode(
                token,
                self._key,
                algorithms=[_ALGORITHM],
                audience=channel_config_id,
                options={"require": ["sub", "aud", "exp"]},
            )
        except jwt.InvalidTokenError as error:
            raise Unauthenticated("The session is not valid any more; open a new one.") from error
        return Visitor(channel_config_id, str(claims["sub"]), claims.get("name"))

    def from_header(self, channel_config_id: str, authorization: str | None) -> Visitor:
        """The visitor of an `Authorization: Bearer` header.

        Raises:
            Unauthenticated: it is missing, or its token does not hold.
        """
        if not authorization or not authorization.lower().startswith(_SCHEME):
            raise Unauthenticated("Send the session_token as a bearer token.")
        return self.check(channel_config_id, authorization[len(_SCHEME) :].strip())
