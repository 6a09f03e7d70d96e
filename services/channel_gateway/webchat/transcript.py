"""What a visitor may see of the conversation: what either side said, in order, without notes and without drafts."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from packages.core.domain.messages import DeliveryStatus
from services.channel_gateway.webchat.sessions import Visitor

PAGE = 200
_UNDER_WAY = DeliveryStatus.QUEUED.value
_NEVER_SHOWN = {DeliveryStatus.VOID.value, DeliveryStatus.FAILED.value}
_CITED = ("chunk_id", "source_id", "title", "quote", "location")

# Runs in a session bound to the visitor's tenant. The identity's unique key finds the customer, whose conversations of
# this web chat follow by index.
_MESSAGES = text("""
SELECT m.id, m.seq, m.conversation_id, m.direction, m.author, m.kind, m.text, m.citations, m.status, m.external_id,
       m.sent_at
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


async def after(
    session: AsyncSession, visitor: Visitor, seq: int, *, sent: Collection[str] = (), limit: int = PAGE
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
    for row in rows.mappings():
        outbound = row["direction"] == "outbound"
        if outbound and row["status"] in _NEVER_SHOWN:
            continue
        if outbound and row["status"] == _UNDER_WAY and str(row["id"]) not in sent:
            break
        shown.append(_shown(row, visitor, outbound))
    return shown


def _shown(row: Mapping[Any, Any], visitor: Visitor, outbound: bool) -> Shown:
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
    )
