"""Customers' files: kept on disk under the hash of their content."""

import asyncio
import base64
import hashlib
import re
from pathlib import Path
from typing import Any

from packages.core.domain.channels import Channel
from packages.core.errors import InvalidInput
from services.channel_gateway.simulator.platforms.twilio.payloads import API, VERSION, account_sid

_MEDIA_SID = re.compile(r"ME[0-9a-f]{32}")
_PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGP4DwABAQEANl9ngAAAAABJRU5ErkJggg=="
)
MOST = 10


class Files:
    """Files of one simulator. A file's id tells its content, so that nothing else need be remembered."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def keep(self, given: dict[str, Any], account: Channel, message_sid: str) -> dict[str, Any]:
        """The parameters with addresses for their files: `MediaContentType<n>` names one, `MediaContent<n>` has its
        bytes as base64 (else it is a pixel).

        Raises:
            InvalidInput: the bytes are not base64.
        """
        kept = {name: value for name, value in given.items() if not re.fullmatch(r"MediaContent\d+", name)}
        for number in range(MOST):
            if f"MediaContentType{number}" in given and f"MediaUrl{number}" not in given:
                media_sid = await asyncio.to_thread(self._write, given.get(f"MediaContent{number}"))
                place = f"/{VERSION}/Accounts/{account_sid(account)}/Messages/{message_sid}/Media/{media_sid}"
                kept[f"MediaUrl{number}"] = API + place
        return kept

    async def read(self, media_sid: str) -> bytes | None:
        """A file's bytes; None if there is none."""
        if not _MEDIA_SID.fullmatch(media_sid):
            return None
        path = self._folder / media_sid
        return await asyncio.to_thread(lambda: path.read_bytes() if path.is_file() else None)

    def _write(self, content: object) -> str:
        try:
            data = base64.b64decode(content, validate=True) if isinstance(content, str) else _PIXEL
        except ValueError:
            raise InvalidInput("`MediaContent0` of a file is base64.") from None
        media_sid = "ME" + hashlib.sha256(data).hexdigest()[:32]
        self._folder.mkdir(parents=True, exist_ok=True)
        (self._folder / media_sid).write_bytes(data)
        return media_sid
