"""The content host: customers' files under signed links that need no token."""

import base64
import binascii
import secrets
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from packages.core.crypto import same
from packages.core.domain.channels import Channel
from packages.core.errors import InvalidInput
from services.channel_gateway.simulator.records import Records

PATH = "/ig_messaging_cdn/"
_NOTE = "instagram:asset:"
_FILES = frozenset({"image", "video", "audio", "file"})
_PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
_TYPES = {"image": "image/png", "video": "video/mp4", "audio": "audio/mp4", "file": "application/pdf"}


class Assets:
    """Keeps the files that customers send; the simulator's own form of one is `{media_type, base64}`."""

    def __init__(self, records: Records) -> None:
        self._records = records

    async def host(self, account: Channel, message: dict[str, Any]) -> dict[str, Any]:
        """A message whose files without an address have one of this host.

        Raises:
            InvalidInput: a file is not base64.
        """
        found = message.get("attachments")
        if not isinstance(found, list):
            return message
        return {**message, "attachments": [await self._hosted(account, attachment) for attachment in found]}

    async def _hosted(self, account: Channel, attachment: Any) -> Any:
        if not isinstance(attachment, dict) or attachment.get("type") not in _FILES:
            return attachment
        payload = attachment.get("payload") or {}
        if not isinstance(payload, dict) or "url" in payload:
            return attachment
        content = str(payload.get("base64") or _PIXEL)
        try:
            base64.b64decode(content, validate=True)
        except binascii.Error as error:
            raise InvalidInput("The file is not base64.") from error
        kind = str(payload.get("media_type") or _TYPES[attachment["type"]])
        asset, signature = str(secrets.randbelow(10**17)), secrets.token_urlsafe(24)
        note = {"base64": content, "media_type": kind, "signature": signature}
        await self._records.save(errands=[], sent=[], written=[], notes=[(_NOTE + asset, note)])
        base = str(account.settings.get("api_base", "")).rstrip("/")
        return {**attachment, "payload": {"url": f"{base}{PATH}?asset_id={asset}&signature={signature}"}}

    async def serve(self, request: Request) -> Response:
        """A file; 403 where the link is not one that was given out."""
        note = await self._records.note(_NOTE + request.query_params.get("asset_id", ""))
        if note is None or not same(request.query_params.get("signature", ""), note["signature"]):
            return Response("URL signature expired", status_code=403, media_type="text/plain")
        return Response(base64.b64decode(note["base64"]), media_type=note["media_type"])
