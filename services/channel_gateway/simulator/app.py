"""The platforms' side, local: `uvicorn --factory services.channel_gateway.simulator.app:create_app`."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import aiohttp
import structlog
from fastapi import FastAPI
from starlette.types import Receive, Scope, Send

from packages.core import http as web
from packages.core import logging, plugins
from packages.core.crypto import SecretBox
from packages.core.db.session import Database
from services.channel_gateway.simulator import platforms
from services.channel_gateway.simulator.accounts import Accounts
from services.channel_gateway.simulator.api import router
from services.channel_gateway.simulator.connections import reset
from services.channel_gateway.simulator.courier import Courier, Receipt
from services.channel_gateway.simulator.faults import FaultBox
from services.channel_gateway.simulator.platforms import Platform, Stage
from services.channel_gateway.simulator.records import SCHEMA, Errand, Records
from services.channel_gateway.simulator.settings import SimulatorSettings
from services.channel_gateway.simulator.store import Store

log = structlog.get_logger(__name__)

_MB = 1024 * 1024


class SimulatorApp(FastAPI):
    """A FastAPI app whose endpoints can reset the client's connection: `scope["reset_connection"]()`."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection; `send` is the server's own here, before any middleware wraps it."""
        if scope["type"] == "http":
            scope["reset_connection"] = lambda: reset(send)
        await super().__call__(scope, receive, send)


def create_app(settings: SimulatorSettings | None = None) -> FastAPI:
    """The app; its state lives from start-up to shut-down, its records beyond that.

    Without settings it is a process of its own: reads them from the environment, sets logs up.
    """
    if settings is None:
        settings = SimulatorSettings()
        level = "warning" if settings.log_level == "info" else settings.log_level
        logging.configure("simulator", level, settings.log_format)

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with _running(app, settings):
            yield

    app = SimulatorApp(title="Parley simulator", lifespan=lifespan, telemetry=web.OWN_TELEMETRY)
    app.include_router(router)
    web.install(app, dict, max_body=_body_limit)
    return app


def _body_limit(path: str) -> int:
    """Files may be as large as the platforms take them; everything else is small."""
    return 110 * _MB if path.endswith("/media") or path.startswith("/bot") else 4 * _MB


@contextlib.asynccontextmanager
async def _running(app: FastAPI, settings: SimulatorSettings) -> AsyncIterator[None]:
    database = Database(settings.postgres_url, pool_size=2, name="parley-simulator")
    records = Records(Store(settings.database_path, SCHEMA))
    open_errands = await records.load()
    faults = FaultBox(records)
    await faults.load()
    playing: dict[str, Platform] = {}
    courier = Courier(
        records,
        lambda errands: _carry(playing, errands),
        lambda channel: faults.of(channel).rate_batched,
        first_pause=settings.simulator_first_pause,
        longest_pause=settings.simulator_longest_pause,
    )
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=30)) as http:
        accounts = Accounts(database, SecretBox(settings.secret))
        stage = Stage(settings, accounts, records, courier, faults, http)
        playing |= _platforms(stage)
        app.state.stage, app.state.platforms = stage, playing
        for platform in playing.values():
            app.router.routes.extend(platform.routes())
            await platform.start()
        courier.resume(open_errands)
        running = asyncio.create_task(courier.run(), name="courier")
        running.add_done_callback(_report)
        try:
            yield
        finally:
            running.cancel()
            await courier.finish()
            for platform in playing.values():
                await platform.stop()
    await records.close()
    await database.close()


def _platforms(stage: Stage) -> dict[str, Platform]:
    """One of each installed platform."""
    found = plugins.load(platforms, "platform", type)
    for name, kind in found.items():
        if not issubclass(kind, Platform):
            raise plugins.BrokenPlugin(f"{platforms.__name__}.{name} must export `platform`: a subclass of Platform")
    return {name: kind(stage) for name, kind in found.items()}


async def _carry(playing: dict[str, Platform], errands: list[Errand]) -> Receipt:
    platform = playing.get(errands[0].platform)
    if platform is None:
        return Receipt(True, None, "this platform is no longer simulated")
    return await platform.carry(errands)


def _report(task: "asyncio.Task[None]") -> None:
    if not task.cancelled() and task.exception() is not None:
        log.error("courier_crashed", exc_info=task.exception())
