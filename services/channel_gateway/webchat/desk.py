"""What the web chat is made of, besides the gateway's own parts."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request
from redis.asyncio import Redis

from services.channel_gateway.settings import GatewaySettings
from services.channel_gateway.webchat.limits import Limiter
from services.channel_gateway.webchat.rooms import Rooms
from services.channel_gateway.webchat.sessions import Sessions


@dataclass(frozen=True, slots=True)
class Desk:
    """Who writes, how often, and whose event streams are open."""

    sessions: Sessions
    rooms: Rooms
    session_limits: Limiter
    message_limits: Limiter


def make_desk(settings: GatewaySettings, redis: Redis) -> Desk:
    """A desk as the settings ask for."""
    limits = settings.webchat
    return Desk(
        sessions=Sessions(settings.secret, limits.session_days),
        rooms=Rooms(redis),
        session_limits=Limiter(limits.sessions_per_minute, limits.session_burst),
        message_limits=Limiter(limits.messages_per_minute, limits.message_burst),
    )


def _desk(request: Request) -> Desk:
    desk: Desk = request.app.state.desk
    return desk


TheDesk = Annotated[Desk, Depends(_desk)]
"""The desk, for endpoints."""
