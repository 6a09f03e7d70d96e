"""The gateway's web application: `uvicorn --factory services.channel_gateway.app:create_app`."""

import asyncio
import gc
import signal
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from types import FrameType
from typing import Any

import aiohttp
import structlog
from arq.connections import ArqRedis
from fastapi import FastAPI
from starlette.types import Receive, Scope, Send

from packages.core import logging, plugins, storage, streams, tracing
from packages.core.db.session import Database
from packages.core.http import OWN_TELEMETRY, Check, install
from packages.core.links import MediaLinks
from services.channel_gateway import channels as channel_folder
from services.channel_gateway import media_endpoints, outside, setup
from services.channel_gateway.channels import Channel
from services.channel_gateway.channels.webchat import channel as webchat
from services.channel_gateway.directory import Directory
from services.channel_gateway.files import Files
from services.channel_gateway.inbound_log import InboundLog, load_script
from services.channel_gateway.media import Downloader
from services.channel_gateway.pages import endpoints as pages
from services.channel_gateway.parts import Parts
from services.channel_gateway.pipelined_redis import PipelinedRedis
from services.channel_gateway.sender import Sender
from services.channel_gateway.settings import GatewaySettings
from services.channel_gateway.signals import Signals
from services.channel_gateway.webchat import endpoints as webchat_endpoints
from services.channel_gateway.webchat.desk import make_desk
from services.channel_gateway.webchat.origins import Origins
from services.channel_gateway.webchat.rooms import Rooms
from services.channel_gateway.webhooks import PREFIX, Webhooks

log = structlog.get_logger(__name__)
_STOP_SECONDS = 15.0
Handler = Callable[[int, FrameType | None], Any]


class GatewayApp(FastAPI):
    """The application. Webhooks go past the framework, whose middleware costs more than all that a webhook needs."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection."""
        if scope["type"] == "http" and scope["path"].startswith(PREFIX):
            await self.state.parts.webhooks(scope, receive, send)
        else:
            await super().__call__(scope, receive, send)


def create_app(settings: GatewaySettings | None = None) -> FastAPI:
    """The application. Without settings it is a process of its own: reads them from the environment, sets logs up."""
    if settings is None:
        settings = GatewaySettings()
        logging.configure("gateway", settings.log_level, settings.log_format)
        tracing.configure("gateway", settings.otel)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            await _start(app, settings, stack)
            gc.collect()
            gc.freeze()  # what start-up made stays for good; scanning it again and again would cost a tenth of the time
            yield

    app = GatewayApp(title="Parley channel gateway", lifespan=lifespan, telemetry=OWN_TELEMETRY)
    app.include_router(webchat_endpoints.router)
    app.include_router(pages.router)
    app.include_router(setup.router)
    app.include_router(media_endpoints.router)
    app.add_middleware(Origins)
    install(app, lambda: _checks(app), max_body=settings.intake.max_body)
    return app


async def _start(app: FastAPI, settings: GatewaySettings, stack: AsyncExitStack) -> None:
    """Open what the gateway needs, and put its end onto the stack; it is closed backwards."""
    database = Database(settings.postgres_url, pool_size=settings.postgres.pool_size, name="parley-gateway")
    stack.push_async_callback(database.close)
    redis = streams.connect(settings.redis_url)
    stack.push_async_callback(redis.aclose)
    http = await stack.enter_async_context(aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=512)))
    pipelined = PipelinedRedis(settings.redis_url, timeout=settings.intake.redis_timeout, prepare=load_script)
    await pipelined.start()
    stack.push_async_callback(pipelined.close)
    channels = plugins.load(channel_folder, "channel", Channel)
    directory = Directory(database, redis, channels, settings.secret, settings.gateway_base_url)
    inbound = InboundLog(pipelined, http, settings)
    platforms = await stack.enter_async_context(outside.session(settings.delivery.allowed_networks))
    signals = Signals(redis, directory, channels, platforms)
    desk = make_desk(settings, redis)
    webchat.reach_through(desk.rooms.announce)
    app.state.desk = desk
    app.state.parts = Parts(
        settings=settings,
        database=database,
        redis=redis,
        http=http,
        platforms=platforms,
        channels=channels,
        directory=directory,
        inbound=inbound,
        store=storage.create(settings),
        links=MediaLinks(settings.gateway_base_url, settings.secret, seconds=settings.media.link_seconds),
        webhooks=_webhooks(settings, channels, directory, inbound, signals),
    )
    files = Files(
        database, app.state.parts.store, settings.gateway_base_url, settings.secret, platforms, settings.media
    )
    sender = Sender(database, redis, directory, channels, platforms, settings.delivery, files)
    downloader = _downloader(app.state.parts, stack)
    app.state.loops = [
        _in_background(directory.run(), stack),
        _in_background(desk.rooms.run(), stack),
        _in_background(sender.run(), stack, sender.stop),
        _in_background(signals.run(), stack, signals.stop),
        _in_background(downloader.run(), stack, downloader.stop),
    ]
    _end_streams_on_signal(desk.rooms, stack)


def _checks(app: FastAPI) -> dict[str, Check]:
    async def loops() -> None:
        for task in app.state.loops:
            if task.done():
                raise RuntimeError(f"{task.get_name()} has ended")

    parts: Parts = app.state.parts
    return {"postgres": parts.database.ping, "redis": parts.redis.ping, "loops": loops}


def _webhooks(
    settings: GatewaySettings,
    channels: dict[str, Channel],
    directory: Directory,
    inbound: InboundLog,
    signals: Signals,
) -> Webhooks:
    return Webhooks(
        channels,
        directory,
        inbound,
        signals,
        meta_app=settings.meta,
        base_url=settings.gateway_base_url,
        max_body=settings.intake.max_body,
        sample_ratio=settings.otel.sample_ratio,
    )


def _downloader(parts: Parts, stack: AsyncExitStack) -> Downloader:
    settings = parts.settings
    queue: ArqRedis = ArqRedis.from_url(settings.redis_url, socket_connect_timeout=2, socket_timeout=3)
    stack.push_async_callback(queue.aclose)
    return Downloader(
        parts.database,
        parts.redis,
        queue,
        parts.store,
        parts.directory,
        parts.channels,
        parts.platforms,
        settings.media,
        debounce_seconds=settings.turn.debounce_seconds,
    )


def _in_background(
    coroutine: Coroutine[Any, Any, None], stack: AsyncExitStack, stop: Callable[[], Awaitable[None]] | None = None
) -> asyncio.Task[None]:
    """Run a loop until the application stops. With `stop` it may finish what it has in hand, else it is cancelled."""
    task = asyncio.create_task(coroutine, name=getattr(coroutine, "__qualname__", None))
    task.add_done_callback(_report)

    async def finish() -> None:
        if stop:
            await stop()
            await asyncio.wait([task], timeout=_STOP_SECONDS)
        task.cancel()
        await asyncio.wait([task])

    stack.push_async_callback(finish)
    return task


def _report(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()):
        log.critical("loop_died", loop=task.get_name(), exc_info=error)


def _end_streams_on_signal(rooms: Rooms, stack: AsyncExitStack) -> None:
    """End event streams when the process is told to stop: the server waits for open answers before anything else."""
    if threading.current_thread() is not threading.main_thread():
        return
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        previous = signal.getsignal(number)
        if not callable(previous):
            continue

        def handle(received: int, frame: FrameType | None, earlier: Handler = previous) -> None:
            loop.call_soon_threadsafe(rooms.close)
            earlier(received, frame)

        signal.signal(number, handle)
        stack.callback(signal.signal, number, previous)
    stack.callback(rooms.close)
