"""The event stream of one browser tab: catches up from PostgreSQL by number, then follows what is announced."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import structlog
from prometheus_client import Gauge
from sqlalchemy.exc import SQLAlchemyError

from packages.core.db.session import Database
from packages.core.domain.channels import Channel as Account
from packages.core.links import MediaLinks
from services.channel_gateway.settings import WebchatSettings
from services.channel_gateway.webchat import transcript
from services.channel_gateway.webchat.rooms import Rooms, Seat
from services.channel_gateway.webchat.schemas import MessageRead
from services.channel_gateway.webchat.sessions import Visitor

log = structlog.get_logger(__name__)
STREAMS = Gauge("parley_webchat_streams", "Open event streams of visitors")
_QUIET_AFTER_SECONDS = 120.0
_QUIET_FACTOR = 8
_HEARTBEAT = b": heartbeat\n\n"


async def events(
    database: Database,
    rooms: Rooms,
    settings: WebchatSettings,
    links: MediaLinks,
    account: Account,
    visitor: Visitor,
    after: int,
) -> AsyncIterator[bytes]:
    """Server-sent events, each message once and in order, from the first one numbered higher than `after`.

    Ends when the process stops; browsers come back with the last number they saw.
    """
    with rooms.seat(account.tenant_id, visitor.room) as seat, STREAMS.track_inprogress():
        yield b"retry: 1500\n: connected\n\n"
        beat = looked = time.monotonic()
        while not rooms.closed:
            passed_on, seat.events = seat.events, []
            for kind, data in passed_on:
                yield encode(kind, data)
            if seat.stale:
                looked = time.monotonic()
                for message in await _news(database, links, account, visitor, seat, after):
                    after = message.seq
                    yield encode("message", _read(message), message.seq)
            if time.monotonic() - beat >= settings.heartbeat_seconds:
                beat = time.monotonic()
                yield _HEARTBEAT
            await _wait(seat, min(_poll(seat, settings.poll_seconds, looked), beat + settings.heartbeat_seconds))
            if time.monotonic() >= _poll(seat, settings.poll_seconds, looked):
                seat.stale = True


async def _wait(seat: Seat, until: float) -> None:
    """Wait for news, or until a moment of the monotonic clock."""
    if not seat.stale and not seat.events:
        seat.news.clear()
        try:
            async with asyncio.timeout(max(0.01, until - time.monotonic())):
                await seat.news.wait()
        except TimeoutError:
            return


def _poll(seat: Seat, seconds: float, looked: float) -> float:
    """When to look without being told to: seldom once the visitor has been idle for a while."""
    idle = time.monotonic() - seat.active_at > _QUIET_AFTER_SECONDS
    return looked + (seconds * _QUIET_FACTOR if idle else seconds)


async def _news(
    database: Database, links: MediaLinks, account: Account, visitor: Visitor, seat: Seat, after: int
) -> list[transcript.Shown]:
    """What is new in the conversation; nothing while PostgreSQL is away, for it will be asked again."""
    seat.stale = False
    try:
        async with database.tenant(account.tenant_id) as session:
            messages = await transcript.after(session, visitor, after, links, sent=seat.sent)
    except (SQLAlchemyError, OSError) as error:
        log.warning("webchat_database_unavailable", error=str(error)[:200])
        return []
    if messages:
        seat.active_at = time.monotonic()
        seat.conversation_ids.update(str(message.conversation_id) for message in messages)
        seat.sent.difference_update(str(message.id) for message in messages)
        seat.stale = len(messages) == transcript.PAGE
    return messages


def _read(message: transcript.Shown) -> dict[str, Any]:
    return MessageRead.model_validate(message).model_dump(mode="json")


def encode(kind: str, data: Any, number: int | None = None) -> bytes:
    """One server-sent event; JSON has no line breaks, so one `data:` line holds it."""
    lines = [b"id: %d\n" % number] if number is not None else []
    return b"".join([*lines, b"event: ", kind.encode(), b"\ndata: ", msgspec.json.encode(data), b"\n\n"])
