"""The gateway's web application: `uvicorn --factory services.channel_gateway.app:create_app`."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress

import aiohttp
from fastapi import FastAPI

from packages.core import logging, plugins, streams, tracing
from packages.core.db.session import Database
from packages.core.http import install
from services.channel_gateway import channels as channel_folder
from services.channel_gateway.channels import Channel
from services.channel_gateway.directory import Directory
from services.channel_gateway.inbound_log import InboundLog, load_script
from services.channel_gateway.pipelined_redis import PipelinedRedis
from services.channel_gateway.settings import GatewaySettings
from services.channel_gateway.webhooks import InFront, Webhooks


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
            yield

    app = FastAPI(title="Parley channel gateway", lifespan=lifespan)
    install(app, lambda: {"postgres": app.state.database.ping, "redis": app.state.redis.ping})
    app.add_middleware(InFront)
    return app


async def _start(app: FastAPI, settings: GatewaySettings, stack: AsyncExitStack) -> None:
    state = app.state
    state.settings = settings
    state.channels = plugins.load(channel_folder, "channel", Channel)
    state.database = Database(settings.postgres_url, pool_size=settings.postgres.pool_size, name="parley-gateway")
    stack.push_async_callback(state.database.close)
    state.redis = streams.connect(settings.redis_url)
    stack.push_async_callback(state.redis.aclose)
    state.http = await stack.enter_async_context(aiohttp.ClientSession())
    state.directory = Directory(state.database, state.redis, state.channels, settings.secret)
    pipelined = PipelinedRedis(settings.redis_url, timeout=settings.intake.redis_timeout, prepare=load_script)
    await pipelined.start()
    stack.push_async_callback(pipelined.close)
    state.inbound = InboundLog(pipelined, state.http, settings)
    state.webhooks = Webhooks(
        state.channels,
        state.directory,
        state.inbound,
        meta_app=settings.meta,
        base_url=settings.gateway_base_url,
        max_body=settings.intake.max_body,
        sample_ratio=settings.otel.sample_ratio,
    )
    _in_background(state.directory.run(), stack)


def _in_background(coroutine: object, stack: AsyncExitStack) -> None:
    task = asyncio.ensure_future(coroutine)  # type: ignore[call-overload]

    async def cancel() -> None:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task

    stack.push_async_callback(cancel)
