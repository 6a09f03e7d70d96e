"""The files of a message as the API shows them: what the message says of them, and what has become of them."""

from collections.abc import Sequence
from typing import Any

import msgspec

from packages.core.db.tables.conversations import MessageLog
from packages.core.domain.files import safe_name
from packages.core.links import MediaLinks
from services.orchestrator.conversations.schemas import AttachmentRead

SHOWN_CHARACTERS = 500
_NOT_KEPT = {"code": "not_kept", "message": "Such files are not kept; see it on the platform."}
_CLAIMS = ("kind", "external_id", "filename", "media_type", "size")


def shown_files(row: MessageLog, files: Sequence[Any], links: MediaLinks | None) -> list[AttachmentRead]:
    """Every file that the message names, in its order, then those that it names no more (deleted ones).

    Args:
        files: rows of `packages.core.db.repositories.media.of_messages`.
    """
    known = {str(file.id): file for file in files}
    named: Any = row.content.get("attachments") or []
    shown = [_shown(item, known.pop(str(item.get("media_id")), None), row, links) for item in named]
    return shown + [_kept(file, {}, links) for file in known.values()]


def _shown(claims: dict[str, Any], file: Any | None, row: MessageLog, links: MediaLinks | None) -> AttachmentRead:
    if file is not None:
        return _kept(file, claims, links)
    said = {name: claims.get(name) for name in _CLAIMS}
    if row.direction == "outbound" and claims.get("media_id"):
        return AttachmentRead(**said, media_id=claims["media_id"], status="ready")
    if row.direction == "outbound" and claims.get("url"):
        return AttachmentRead(**said, url=claims["url"], status="ready")
    return AttachmentRead(**said, status="gone", error=_NOT_KEPT)


def _kept(file: Any, claims: dict[str, Any], links: MediaLinks | None) -> AttachmentRead:
    ready, gone = file.state == "ready", file.state == "gone"
    words = file.text if ready else None
    return AttachmentRead(
        kind=file.kind,
        status=file.state,
        media_id=file.id,
        external_id=None if gone else claims.get("external_id"),
        filename=None if gone else file.filename,
        media_type=file.media_type,
        size=file.size,
        url=links.url(file.id, safe_name(file.filename, file.media_type or "")) if ready and links else None,
        error=msgspec.json.decode(file.error) if file.error else None,
        text=f"{words}…" if words and file.is_cut else words,
    )
