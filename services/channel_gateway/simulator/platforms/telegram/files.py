"""Customers' files: kept on disk under the hash of their content, and found again by their file_id."""

import base64
import hashlib
from pathlib import Path
from typing import Any

import msgspec

from packages.core.errors import InvalidInput
from services.channel_gateway.simulator.platforms.telegram.errors import bad

LARGEST_DOWNLOAD = 20 * 1024 * 1024
_PREFIX = "SIM"
_FOLDERS = {
    "photo": ("photos", ".jpg"),
    "video": ("videos", ".mp4"),
    "voice": ("voice", ".oga"),
    "audio": ("music", ".mp3"),
}
_HOLDERS = ("photo", "video", "audio", "voice", "video_note", "document", "animation", "sticker")
# One white pixel, the smallest picture that every reader takes.
_PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGP4DwABAQEANl9ngAAAAABJRU5ErkJggg=="
)


class Files:
    """Files of one simulator."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def keep(self, message: dict[str, Any]) -> None:
        """Give every file of a message an id. Its bytes may come as base64 in `content`; blocking.

        Raises:
            InvalidInput: `content` is not base64.
        """
        for kind in _HOLDERS:
            held = message.get(kind)
            for file in held if isinstance(held, list) else [held]:
                if isinstance(file, dict) and "file_id" not in file:
                    self._identify(kind, file)

    def _identify(self, kind: str, file: dict[str, Any]) -> None:
        given = file.pop("content", None)
        try:
            data = base64.b64decode(given, validate=True) if isinstance(given, str) else _PIXEL
        except ValueError:
            raise InvalidInput("`content` of a file is base64.") from None
        digest = hashlib.sha256(data).hexdigest()[:32]
        self._folder.mkdir(parents=True, exist_ok=True)
        (self._folder / digest).write_bytes(data)
        size = file.get("file_size")
        file["file_size"] = size if isinstance(size, int) else len(data)
        folder, ending = _FOLDERS.get(kind, ("documents", Path(str(file.get("file_name") or "file.bin")).suffix))
        about = [digest, f"{folder}/file_{digest[:6]}{ending}", file["file_size"]]
        file["file_id"] = _PREFIX + base64.urlsafe_b64encode(msgspec.json.encode(about)).decode().rstrip("=")
        file["file_unique_id"] = f"AQAD{digest[:12]}"

    def look_up(self, file_id: str) -> dict[str, Any]:
        """The answer of getFile.

        Raises:
            BotError: there is no such file, or it is larger than bots get.
        """
        digest, path, size = self._read(file_id)
        if size > LARGEST_DOWNLOAD:
            raise bad("file is too big")
        known = {"file_id": file_id, "file_unique_id": f"AQAD{digest[:12]}", "file_size": size}
        # The folder of the path is the file's; its name alone would not find it again.
        return {**known, "file_path": path.replace("/file_", f"/{digest}_")}

    def fetch(self, path: str) -> bytes | None:
        """The bytes behind a path that `look_up` gave; blocking."""
        digest = path.rpartition("/")[2].partition("_")[0].partition(".")[0]
        if len(digest) != 32 or not all(character in "0123456789abcdef" for character in digest):
            return None
        file = self._folder / digest
        return file.read_bytes() if file.is_file() else None

    def _read(self, file_id: str) -> tuple[str, str, int]:
        packed = file_id.removeprefix(_PREFIX)
        try:
            about = base64.urlsafe_b64decode(packed + "=" * (-len(packed) % 4))
            digest, path, size = msgspec.json.decode(about, type=tuple[str, str, int])
        except (ValueError, msgspec.MsgspecError):
            raise bad("wrong file_id or the file is temporarily unavailable") from None
        if not (self._folder / digest).is_file():
            raise bad("wrong file_id or the file is temporarily unavailable")
        return digest, path, size
