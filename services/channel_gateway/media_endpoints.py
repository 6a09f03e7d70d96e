"""Files by signed links: agents' browsers show them, and platforms fetch what is sent to customers."""

import re
import time
from collections.abc import AsyncIterator
from typing import Annotated, Any
from urllib.parse import quote
from uuid import UUID

from fastapi import APIRouter, Header, Query, Request
from fastapi.responses import Response, StreamingResponse

from packages.core.db.repositories import media
from packages.core.db.session import DATABASE_ERRORS
from packages.core.domain.files import UNKNOWN, safe_name, shown_inline
from packages.core.errors import NotFound, Unavailable
from packages.core.storage import ObjectStore
from services.channel_gateway.parts import TheParts

router = APIRouter(tags=["media"])
PIECE = 512 * 1024
_RANGE = re.compile(r"bytes=(\d{0,15})-(\d{0,15})")
_ACTIVE = frozenset({"text/html", "image/svg+xml", "application/xhtml+xml", "text/xml", "application/xml"})
_POLICY = "default-src 'none'; img-src 'self'; media-src 'self'; style-src 'unsafe-inline'; frame-ancestors *"


class Gone(NotFound):
    """The file was there once."""

    code = "gone"
    status = 410


@router.api_route("/media/{media_id}/{filename}", methods=["GET", "HEAD"], response_class=Response)
async def read_file(
    request: Request,
    media_id: UUID,
    filename: str,
    until: Annotated[int, Query(ge=0, lt=2**53)],
    signature: Annotated[str, Query(max_length=200)],
    parts: TheParts,
    range_header: Annotated[str | None, Header(alias="Range")] = None,
) -> Response:
    """A file, or the part of it that `Range` asks for. The link is made by the API, and good for minutes."""
    parts.links.check(str(media_id), until, signature)
    row = await _row(parts, media_id)
    headers = _headers(row, until)
    begin, end = _part(range_header, row.size)
    if begin >= end and row.size:
        return Response(status_code=416, headers={**headers, "Content-Range": f"bytes */{row.size}"})
    partial = (begin, end) != (0, row.size)
    if partial:
        headers["Content-Range"] = f"bytes {begin}-{end - 1}/{row.size}"
    headers["Content-Length"] = str(end - begin)
    status = 206 if partial else 200
    if request.method == "HEAD":
        return Response(status_code=status, headers=headers)
    # the first piece before the headers go, so that a missing object or a store that is away is an honest error
    first = await parts.store.get_range(row.storage_key, begin, min(PIECE, end - begin)) if end > begin else b""
    return StreamingResponse(
        _pieces(parts.store, row.storage_key, first, begin, end), status_code=status, headers=headers
    )


async def _row(parts: TheParts, media_id: UUID) -> Any:
    try:
        async with parts.database.single_across_tenants() as connection:
            row = await media.file(connection, media_id)
    except DATABASE_ERRORS as error:
        raise Unavailable("Files cannot be read just now; try again.") from error
    if row is None or row.state == "gone":
        raise Gone("This file was deleted.")
    if row.state != "ready":
        raise NotFound("This file is not here yet.")
    return row


async def _pieces(store: ObjectStore, key: str, first: bytes, begin: int, end: int) -> AsyncIterator[bytes]:
    yield first
    begin += len(first)
    while begin < end:
        piece = await store.get_range(key, begin, min(PIECE, end - begin))
        if not piece:
            raise Unavailable("The stored file is shorter than it was.")
        yield piece
        begin += len(piece)


def _headers(row: Any, until: int) -> dict[str, str]:
    """What keeps a stranger's file from doing anything in the browser but being looked at."""
    kind = row.media_type or UNKNOWN
    name = safe_name(row.filename, kind)
    disposition = "inline" if shown_inline(kind) else "attachment"
    plain = name.encode("ascii", "replace").decode().replace("?", "_").replace('"', "_")
    # Browsers refuse to show PDF files in a sandbox; scripts in them have no part in the page's origin.
    policy = _POLICY if kind == "application/pdf" else f"{_POLICY}; sandbox"
    return {
        "Content-Type": UNKNOWN if kind in _ACTIVE else kind,
        "Content-Disposition": f"{disposition}; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}",
        "X-Content-Type-Options": "nosniff",
        "Content-Security-Policy": policy,
        "Cross-Origin-Resource-Policy": "cross-origin",
        "Referrer-Policy": "no-referrer",
        "Cache-Control": f"private, max-age={max(0, until - int(time.time()))}",
        "Accept-Ranges": "bytes",
        "ETag": f'"{row.sha256}"',
    }


def _part(header: str | None, size: int) -> tuple[int, int]:
    """First position and the one behind the last, of one range (RFC 9110, 14.2); anything else asks for the whole."""
    found = _RANGE.fullmatch((header or "").strip())
    if not found or not any(found.groups()):
        return 0, size
    first, last = found.groups()
    if not first:
        return max(0, size - int(last)), size
    if last and int(last) < int(first):
        return 0, size
    return int(first), min(int(last) + 1, size) if last else size
