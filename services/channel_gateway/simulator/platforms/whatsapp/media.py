"""The simulated platform's files: what brands upload, what customers send, and where either is fetched.

After Meta's "Media" page. A file's URL lives for minutes and carries a proof of its own beside the token.
"""

import asyncio
import base64
import binascii
import hashlib
import hmac
import secrets
import time
from pathlib import Path
from typing import Any

from packages.core.crypto import same
from packages.core.domain.channels import Channel
from packages.core.errors import InvalidInput
from services.channel_gateway.simulator.platforms import Line
from services.channel_gateway.simulator.platforms.whatsapp.graph_errors import WhatsAppError
from services.channel_gateway.simulator.records import Records

MB = 1024 * 1024
KINDS = ("image", "video", "audio", "document", "sticker")
LIMITS = {
    "image/jpeg": 5 * MB,
    "image/png": 5 * MB,
    "image/webp": 500 * 1024,
    "video/mp4": 16 * MB,
    "video/3gpp": 16 * MB,
    "audio/aac": 16 * MB,
    "audio/amr": 16 * MB,
    "audio/mpeg": 16 * MB,
    "audio/mp4": 16 * MB,
    "audio/ogg": 16 * MB,
}
OTHER_LIMIT = 100 * MB
URL_SECONDS = 300
FILES_PATH = "/whatsapp_business/attachments/"
_NOTE = "whatsapp:media:"
_MAGIC = {"image/jpeg": b"\xff\xd8\xff", "image/png": b"\x89PNG\r\n", "application/pdf": b"%PDF-", "audio/ogg": b"OggS"}
_PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
_SAMPLES = {
    "image": ("image/png", _PIXEL),
    "sticker": (
        "image/webp",
        b"RIFF\x1a\x00\x00\x00WEBPVP8L\x0d\x00\x00\x00\x2f\x00\x00\x00\x10\x07\x10\x11\x11\x88\x88\xfe\x07\x00",
    ),
    "audio": ("audio/ogg; codecs=opus", b"OggS" + bytes(24)),
    "video": ("video/mp4", b"\x00\x00\x00\x18ftypmp42" + bytes(12)),
    "document": ("application/pdf", b"%PDF-1.4\n%%EOF\n"),
}


class Media:
    """Files on disk, what is known of them in the records."""

    def __init__(self, folder: Path, records: Records) -> None:
        self._folder = folder
        self._records = records
        self._known: dict[str, dict[str, Any]] = {}
        self._key = secrets.token_bytes(16)

    async def load(self) -> None:
        """Take up the files of earlier processes."""
        notes = await self._records.notes(_NOTE)
        self._known = {name.removeprefix(_NOTE): about for name, about in notes.items()}

    def find(self, media_id: str) -> dict[str, Any] | None:
        """What is known of a file: its account, type, size and hash."""
        return self._known.get(media_id)

    async def upload(self, account: Channel, media_type: str, data: bytes) -> str:
        """Keep a brand's file; its id is returned.

        Raises:
            WhatsAppError: its type or size is not allowed, or it is not what it says.
        """
        plain = media_type.partition(";")[0].strip().lower()
        if "/" not in plain or plain == "application/octet-stream":
            raise WhatsAppError(100, message=f"Param file must be a file with one of the allowed types, not '{plain}'.")
        if not data or len(data) > LIMITS.get(plain, OTHER_LIMIT):
            raise WhatsAppError(131053, f"A file of the type {plain} may not have {len(data)} bytes.")
        if plain in _MAGIC and not data.startswith(_MAGIC[plain]):
            raise WhatsAppError(131053, f"The file is not of the type {plain}.")
        return await self._keep(account, media_type, data)

    async def of_customer(self, account: Channel, line: Line) -> None:
        """Give a customer's file an id where the order has none: `data` (base64) and `mime_type`, or a sample."""
        message = line.message or {}
        kind = message.get("type")
        content = message.get(kind) if isinstance(kind, str) and kind in KINDS else None
        if not isinstance(content, dict) or "id" in content:
            return
        sample_type, sample = _SAMPLES[str(kind)]
        written = content.pop("data", None)
        try:
            data = base64.b64decode(written, validate=True) if isinstance(written, str) else sample
        except binascii.Error as error:
            raise InvalidInput("The file's data is not base64.") from error
        content.setdefault("mime_type", sample_type)
        content["sha256"] = base64.b64encode(hashlib.sha256(data).digest()).decode()
        content["id"] = await self._keep(account, str(content["mime_type"]), data)

    async def _keep(self, account: Channel, media_type: str, data: bytes) -> str:
        media_id = str(10**15 + secrets.randbelow(9 * 10**15))
        await asyncio.to_thread(self._write, media_id, data)
        about = {
            "account": account.id,
            "mime_type": media_type,
            "size": len(data),
            "sha256": hashlib.sha256(data).hexdigest(),
        }
        await self._records.save(errands=[], sent=[], written=[], notes=[(_NOTE + media_id, about)])
        self._known[media_id] = about
        return media_id

    def _write(self, media_id: str, data: bytes) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        (self._folder / media_id).write_bytes(data)

    def described(self, media_id: str, base: str) -> dict[str, Any]:
        """The answer to a look-up."""
        about = self._known[media_id]
        expires = int(time.time()) + URL_SECONDS
        url = f"{base}{FILES_PATH}?mid={media_id}&ext={expires}&hash={self._proof(media_id, expires)}"
        return {
            "messaging_product": "whatsapp",
            "url": url,
            "mime_type": about["mime_type"],
            "sha256": about["sha256"],
            "file_size": str(about["size"]),
            "id": media_id,
        }

    async def read(self, media_id: str, expires: str, proof: str) -> bytes | None:
        """A file's bytes; None where the URL is false or has expired."""
        if media_id not in self._known or not expires.isdigit() or int(expires) < time.time():
            return None
        if not same(proof, self._proof(media_id, int(expires))):
            return None
        try:
            return await asyncio.to_thread((self._folder / media_id).read_bytes)
        except FileNotFoundError:
            return None

    async def delete(self, media_id: str) -> None:
        """Forget a file."""
        self._known.pop(media_id, None)
        await asyncio.to_thread((self._folder / media_id).unlink, missing_ok=True)

    def _proof(self, media_id: str, expires: int) -> str:
        return hmac.digest(self._key, f"{media_id}:{expires}".encode(), "sha256").hex()[:32]
