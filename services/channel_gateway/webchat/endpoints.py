"""What browsers of visitors call."""

from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Header, Query, Request
from fastapi.responses import StreamingResponse
from sqlalchemy.exc import SQLAlchemyError

from packages.core import tracing
from packages.core.domain.channels import Channel as Account
from packages.core.domain.messages import InboundEvent, InboundMessage, Sender
from packages.core.errors import InvalidInput, NotFound, RateLimited, Unavailable
from services.channel_gateway.parts import TheParts
from services.channel_gateway.webchat import stream as streams
from services.channel_gateway.webchat import transcript
from services.channel_gateway.webchat.desk import TheDesk
from services.channel_gateway.webchat.schemas import (
    MessageAccepted,
    MessageCreate,
    MessageList,
    MessageRead,
    SessionCreate,
    SessionRead,
)
from services.channel_gateway.webchat.sessions import Visitor

router = APIRouter(prefix="/webchat/{channel_config_id}", tags=["web chat"])


async def _account(channel_config_id: str, parts: TheParts) -> Account:
    account = await parts.directory.find(channel_config_id)
    if account is None or account.kind != "webchat":
        raise NotFound("There is no such web chat.")
    return account


async def _visitor(
    account: Annotated[Account, Depends(_account)],
    desk: TheDesk,
    authorization: Annotated[str | None, Header()] = None,
) -> Visitor:
    return desk.sessions.from_header(account.id, authorization)


TheAccount = Annotated[Account, Depends(_account)]
TheVisitor = Annotated[Visitor, Depends(_visitor)]


@router.post("/sessions", status_code=201)
async def open_session(
    request: Request, account: TheAccount, desk: TheDesk, body: SessionCreate | None = None
) -> SessionRead:
    """Open a session, or go on with an earlier one."""
    desk.session_limits.take(request.client.host if request.client else "unknown")
    body = body or SessionCreate()
    visitor = desk.sessions.resume(account.id, body.session_token, _clean(body.name or "") or None)
    return SessionRead(session_token=desk.sessions.issue(visitor), customer_id=visitor.id)


@router.post("/messages", status_code=202)
async def write(
    account: TheAccount, visitor: TheVisitor, parts: TheParts, desk: TheDesk, body: MessageCreate
) -> MessageAccepted:
    """Take a message in. 202 means that it is durable; 503 that it must be sent again."""
    text = _clean(body.text)
    limit = parts.settings.webchat.text_limit
    if not text.strip():
        raise InvalidInput("The message is empty.")
    if len(text) > limit:
        raise InvalidInput(f"A message may have at most {limit} characters.", details={"limit": limit})
    desk.message_limits.take(visitor.room)
    await parts.inbound.append([_event(account, visitor, body.client_id, text)])
    await desk.rooms.announce(account.id, visitor.id, {"type": "posted", "data": {"client_id": body.client_id}})
    return MessageAccepted(client_id=body.client_id)


@router.get("/messages")
async def read(
    account: TheAccount, visitor: TheVisitor, parts: TheParts, after: Annotated[int, Query(ge=0, lt=2**63)] = 0
) -> MessageList:
    """The visitor's own conversation, from the first message numbered higher than `after`."""
    try:
        async with parts.database.tenant(account.tenant_id) as session:
            messages = await transcript.after(session, visitor, after, parts.links)
    except (SQLAlchemyError, OSError) as error:
        raise Unavailable("The conversation cannot be read just now; try again.") from error
    return MessageList(items=[MessageRead.model_validate(message) for message in messages])


@router.get("/stream")
async def follow(
    account: TheAccount,
    visitor: TheVisitor,
    parts: TheParts,
    desk: TheDesk,
    after: Annotated[int, Query(ge=0, lt=2**63)] = 0,
    last_event_id: Annotated[str | None, Header()] = None,
) -> StreamingResponse:
    """Server-sent events: message (with its number as id), typing, delivery, token."""
    if desk.rooms.occupied(visitor.room) >= parts.settings.webchat.streams_per_visitor:
        raise RateLimited("Too many open streams of one visitor.", retry_after=10)
    if last_event_id and last_event_id.isascii() and last_event_id.isdigit():
        after = max(after, min(int(last_event_id[:19]), 2**63 - 1))
    return StreamingResponse(
        streams.events(parts.database, desk.rooms, parts.settings.webchat, parts.links, account, visitor, after),
        media_type="text/event-stream",
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )


def _event(account: Account, visitor: Visitor, client_id: str, text: str) -> InboundEvent:
    external_id = f"{visitor.id}:{client_id}"
    now = datetime.now(UTC)
    return InboundEvent(
        tenant_id=account.tenant_id,
        channel_config_id=account.id,
        external_id=external_id,
        kind="message",
        message=InboundMessage(
            channel_config_id=account.id,
            external_id=external_id,
            sender=Sender(external_id=visitor.id, name=visitor.name),
            text=text,
            sent_at=now,
        ),
        raw={"client_id": client_id, "text": text},
        received_at=now,
        traceparent=tracing.traceparent(),
    )


def _clean(text: str) -> str:
    """Without NUL and lone surrogates, which neither JSON readers nor PostgreSQL take."""
    return text.replace("\x00", "").encode("utf-8", "replace").decode()
