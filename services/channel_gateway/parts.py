"""What the gateway is made of, put together once at start-up and kept in the application's state."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

import aiohttp
from fastapi import Depends, Request
from redis.asyncio import Redis

from packages.core.db.session import Database
from packages.core.links import MediaLinks
from packages.core.storage import ObjectStore
from services.channel_gateway.channels import Channel
from services.channel_gateway.directory import Directory
from services.channel_gateway.inbound_log import InboundLog
from services.channel_gateway.settings import GatewaySettings
from services.channel_gateway.webhooks import Webhooks


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """Everything that requests use. `platforms` is the guarded way out, `http` the way to our own services."""

    settings: GatewaySettings
    database: Database
    redis: Redis
    http: aiohttp.ClientSession
    platforms: aiohttp.ClientSession
    channels: Mapping[str, Channel]
    directory: Directory
    inbound: InboundLog
    store: ObjectStore
    links: MediaLinks
    webhooks: Webhooks


def _parts(request: Request) -> Parts:
    parts: Parts = request.app.state.parts
    return parts


TheParts = Annotated[Parts, Depends(_parts)]
"""The parts, for endpoints."""
