"""JSON web tokens (HS256, RFC 7519): short access tokens, and refresh tokens that only make new ones.

Both name the user's `token_version`; raising it in the database ends every session of the user.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID

import jwt

from packages.core import crypto
from packages.core.db.base import new_id, now
from packages.core.errors import Unauthenticated

Kind = Literal["access", "refresh"]
_ISSUER = "parley"
_REFUSAL = "The token is not valid, or no longer; log in again."


@dataclass(frozen=True, slots=True)
class Claims:
    """What a token that holds says."""

    user_id: UUID
    token_version: int
    expires_at: datetime


class Tokens:
    """Issues and reads tokens with a key derived from PARLEY_SECRET_KEY."""

    def __init__(self, secret: str, *, access: timedelta, refresh: timedelta) -> None:
        self._key = crypto.derive_key(secret, "tokens")
        self._lives: dict[Kind, timedelta] = {"access": access, "refresh": refresh}

    @property
    def expires_in(self) -> int:
        """Life of an access token, in seconds."""
        return int(self._lives["access"].total_seconds())

    def issue(self, kind: Kind, user_id: UUID, token_version: int) -> str:
        """A signed token."""
        issued = now()
        claims = {
            "iss": _ISSUER,
            "sub": str(user_id),
            "typ": kind,
            "ver": token_version,
            "jti": new_id().hex,
            "iat": issued,
            "exp": issued + self._lives[kind],
        }
        return jwt.encode(claims, self._key, algorithm="HS256")

    def read(self, kind: Kind, token: str) -> Claims:
        """The claims of a token of this kind.

        Raises:
            Unauthenticated: forged, expired, or of the other kind.
        """
        try:
            claims = jwt.decode(
                token,
                self._key,
                algorithms=["HS256"],
                issuer=_ISSUER,
                options={"require": ["exp", "iat", "sub", "typ", "ver"]},
            )
            if claims["typ"] != kind:
                raise Unauthenticated(_REFUSAL)
            return Claims(
                UUID(claims["sub"]), int(claims["ver"]), datetime.fromtimestamp(claims["exp"], tz=now().tzinfo)
            )
        except (jwt.InvalidTokenError, ValueError):
            raise Unauthenticated(_REFUSAL) from None
