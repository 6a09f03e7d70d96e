"""What a visitor may see of the conversation: what either side said, in order, without notes and without drafts."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from packages.core.db.repositories import media
from packages.core.domain.messages import DeliveryStatus
from packages.core.links import MediaLinks
from services.channel_gateway.webchat.sessions import Visitor

PAGE = 200
LINK_SECONDS = 12 * 3600.0
"""A page stays open for hours, and asks for its messages once."""
_UNDER_WAY = DeliveryStatus.QUEUED.value
_NEVER_SHOWN = {DeliveryStatus.VOID.value, DeliveryStatus.FAILED.value}
_FILE = ("kind", "media_type", "filename", "size")
_CITED = ("chunk_id", "source_id", "title", "quote", "location")

# Runs in a session bound to the visitor's tenant. The identity's unique key finds the customer, whose conversations of
# this web chat follow by index.
_MESSAGES = text("""
SELECT m.id, m.seq, m.conversation_id, m.direction, m.author, m.kind, m.text, m.citations, m.status, m.external_id,
       m.sent_at, m.content->'attachments' AS attachments
FROM customer_identity i
JOIN conversation c ON c.customer_id = i.customer_id AND c.channel_config_id = i.channel_config_id
                   AND c.recipient = i.external_id
JOIN message_log m ON m.conversation_id = c.id
WHERE i.channel_config_id = :channel_config_id AND i.external_id = :visitor
  AND m.seq > :after AND m.direction <> 'internal'
ORDER BY m.seq LIMIT :limit
""")


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """One message as the visitor sees it. `client_id` is the browser's own id of what the visitor wrote."""

    id: UUID
    seq: int
    author: str
    kind: str
    text: str | None
    citations: Sequence[Mapping[str, Any]]
    status: str
    sent_at: datetime
    conversation_id: UUID
    client_id: str | None = None
    attachments: Sequence[Mapping[str, Any]] = ()


async def after(
    session: AsyncSession,
    visitor: Visitor,
    seq: int,
    links: MediaLinks,
    *,
    sent: Collection[str] = (),
    limit: int = PAGE,
) -> list[Shown]:
    """The visitor's messages with a higher number, in order.

    A reply that is still on its way holds back what comes after it, so that numbers only ever grow for the visitor
    and a browser that remembers the highest one misses nothing.

    Args:
        sent: ids of replies that a sender has just released, though the table does not say so yet.
    """
    rows = await session.execute(
        _MESSAGES,
        {
            "channel_config_id": UUID(visitor.channel_config_id),
            "visitor": visitor.id,
            "after": seq,
            "limit": limit,
        },
    )
    shown: list[Shown] = []
    found = rows.mappings().all()
    with_files = [row["id"] for row in found if row["attachments"] and row["direction"] == "outbound"]
    files = await media.of_messages(session, with_files, characters=0)
    for row in found:
        outbound = row["direction"] == "outbound"
        if outbound and row["status"] in _NEVER_SHOWN:
            continue
        if outbound and row["status"] == _UNDER_WAY and str(row["id"]) not in sent:
            break
        attachments = _files(row["attachments"] or (), files.get(row["id"], ()), links) if outbound else ()
        shown.append(_shown(row, visitor, outbound, attachments))
    return shown


def _files(
    attachments: Sequence[Mapping[str, Any]], files: Sequence[Any], links: MediaLinks
) -> list[Mapping[str, Any]]:
    """The files that came with a reply, as far as they can be had: kind, media_type, filename, size, url of each."""
    shown: list[Mapping[str, Any]] = []
    stored = {str(file.id): file for file in files if file.state == "ready"}
    for attachment in attachments:
        if file := stored.get(str(attachment.get("media_id"))):
            url = links.url(file.id, file.filename or file.kind, seconds=LINK_SECONDS)
            shown.append({name: getattr(file, name) for name in _FILE} | {"url": url})
        elif attachment.get("url"):
            shown.append({name: attachment.get(name) for name in (*_FILE, "url")})
    return shown


def _shown(row: Mapping[Any, Any], visitor: Visitor, outbound: bool, attachments: Sequence[Mapping[str, Any]]) -> Shown:
    external_id: str = row["external_id"] or ""
    own = not outbound and external_id.startswith(f"{visitor.id}:")
    status = DeliveryStatus.SENT.value if row["status"] == _UNDER_WAY else row["status"]
    return Shown(
        id=row["id"],
        seq=row["seq"],
        author=row["author"],
        kind=row["kind"],
        text=row["text"],
        citations=[{key: cited[key] for key in _CITED if key in cited} for cited in row["citations"]],
        status=status,
        sent_at=row["sent_at"],
        conversation_id=row["conversation_id"],
        client_id=external_id[len(visitor.id) + 1 :] if own else None,
        attachments=attachments,
    )
