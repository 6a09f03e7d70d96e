"""Signed links to files, for whoever holds one, for a while: agents' browsers, and platforms that fetch what is sent.

`{gateway}/media/{media_id}/{filename}?until=<unix seconds>&signature=<HMAC-SHA256 over id and until>`. The name is for
people alone and not signed.
"""

import time
from urllib.parse import quote

from packages.core.crypto import derive_key, hmac_sha256, same
from packages.core.errors import Forbidden

SECONDS = 600.0
_STEP = 60


class BadLink(Forbidden):
    """The link was not made here, or was changed."""

    code = "bad_link"


class LinkExpired(Forbidden):
    """The link was good once."""

    code = "link_expired"


class MediaLinks:
    """Makes links and checks them.

    Args:
        base_url: the gateway's public address.
        secret: PARLEY_SECRET_KEY.
        seconds: life of a link, where its maker does not say otherwise.
    """

    def __init__(self, base_url: str, secret: str, *, seconds: float = SECONDS) -> None:
        self._seconds = seconds
        self._base_url = base_url.rstrip("/")
        self._key = derive_key(secret, "media links")

    def url(self, media_id: object, filename: str, *, seconds: float | None = None) -> str:
        """A link that is good for `seconds`, and up to a minute more: it stays the same for a minute, for caches."""
        end = time.time() + (self._seconds if seconds is None else seconds)
        until = -int(-end // _STEP) * _STEP
        signature = self._signature(str(media_id), until)
        return f"{self._base_url}/media/{media_id}/{quote(filename, safe='')}?until={until}&signature={signature}"

    def check(self, media_id: str, until: int, signature: str) -> None:
        """Let a link pass, in constant time.

        Raises:
            BadLink: it was not made here. LinkExpired: its time is over.
        """
        if not same(signature, self._signature(media_id, until)):
            raise BadLink("This link is not valid. Open the conversation again for a new one.")
        if until < time.time():
            raise LinkExpired("This link has expired. Open the conversation again for a new one.")

    def _signature(self, media_id: str, until: int) -> str:
        return hmac_sha256(self._key, f"{media_id}:{until}".encode())
