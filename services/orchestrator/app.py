"""The orchestrator's process: `uvicorn --factory services.orchestrator.app:create_app`."""

import asyncio
import gc
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from importlib.metadata import PackageNotFoundError, version

import httpx
import structlog
from arq.connections import ArqRedis
from fastapi import FastAPI
from fastapi.middleware.cors import CORSMiddleware
from redis.asyncio import Redis

from packages.core import http, logging, storage, streams, tracing
from packages.core.crypto import SecretBox, derive_key
from packages.core.db.rls import refuse_bypass
from packages.core.db.session import Database
from packages.core.links import MediaLinks
from packages.core.storage import ObjectStore
from packages.rag.retrieval import Knowledge
from services.orchestrator.acting import registry
from services.orchestrator.acting.runner import Actions
from services.orchestrator.api import ROUTERS
from services.orchestrator.auth.attempts import Attempts
from services.orchestrator.auth.service import ensure_platform_admin
from services.orchestrator.auth.tokens import Tokens
from services.orchestrator.channels.catalogue import Catalogue
from services.orchestrator.channels.setup import Setup
from services.orchestrator.engine.turn import Engine
from services.orchestrator.evaluations.runner import EvaluationRunner
from services.orchestrator.gaps.collector import GapCollector
from services.orchestrator.gaps.regression import Regression
from services.orchestrator.intake import Intake
from services.orchestrator.live.hub import Hub
from services.orchestrator.live.shutdown import on_termination
from services.orchestrator.outside import Outside
from services.orchestrator.parts import Parts
from services.orchestrator.relay import Relay
from services.orchestrator.settings import OrchestratorSettings
from services.orchestrator.tickets.webhooks import TicketWebhooks
from services.orchestrator.turns import Turns

GC_THRESHOLDS = (20_000, 20, 20)
"""At Python's own 700 new objects a turn is scanned many times before it ends: a tenth of a turn's CPU time."""

log = structlog.get_logger(__name__)
SMALL_BODY = 8 * 1024 * 1024
BATCH_BODY = 64 * 1024 * 1024
_UPLOAD = re.compile(r"/v1/brands/[^/]+/knowledge(?:/[^/]+/content)?")
_ATTACHMENT = re.compile(r"/v1/conversations/[^/]+/attachments")
_BATCH = "/v1/messages/inbound/batch"


def create_app(settings: OrchestratorSettings | None = None) -> FastAPI:
    """The application; nothing is connected before its lifespan begins.

    Without settings it is a process of its own: it reads them from the environment, and sets up logs and traces.
    """
    if settings is None:
        settings = OrchestratorSettings()
        logging.configure("orchestrator", settings.log_level, settings.log_format)
        tracing.configure("orchestrator", settings.otel)
    app = FastAPI(
        title="Parley",
        version=_version(),
        summary="Business messaging on every channel, answered from a brand's own knowledge.",
        lifespan=_lifespan,
        telemetry=http.OWN_TELEMETRY,
    )
    app.state.settings = settings
    app.state.parts = Parts()
    for router in ROUTERS:
        app.include_router(router)
    http.install(app, lambda: _checks(app.state.parts), max_body=_body_limit(settings), spans=True)
    if settings.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.cors_origins,
            allow_methods=["*"],
            allow_headers=["*"],
            expose_headers=["X-Request-Id"],
        )
    return app


@dataclass(frozen=True, slots=True)
class Loop:
    """Something that runs as long as the process does, until it is told to stop."""

    name: str
    run: Callable[[], Awaitable[None]]
    stop: Callable[[], None]


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Connect, check, run the loops; at the end stop them, then close what they used."""
    settings: OrchestratorSettings = app.state.settings
    parts: Parts = app.state.parts
    async with AsyncExitStack() as stack:
        await _connect(settings, parts, stack)
        database = parts.get(Database)
        await _refuse_unsafe_roles(database)
        await ensure_platform_admin(database, settings)
        gc.collect()
        gc.freeze()  # what start-up made stays for good; scanning it again and again would cost a tenth of the time
        gc.set_threshold(*GC_THRESHOLDS)
        loops = _loops(settings, parts)
        running = [asyncio.create_task(_kept_running(loop), name=loop.name) for loop in loops]
        stack.push_async_callback(_stop, loops, running, settings.shutdown_seconds)
        with on_termination(parts.get(Hub).stop):
            log.info("orchestrator_started")
            yield
    log.info("orchestrator_stopped")


async def _connect(settings: OrchestratorSettings, parts: Parts, stack: AsyncExitStack) -> None:
    """Build every part. Redis and the object store may still be away; PostgreSQL may not."""
    parts.put(OrchestratorSettings, settings)
    database = parts.put(
        Database, Database(settings.postgres_url, pool_size=settings.postgres.pool_size, name="parley-orchestrator")
    )
    stack.push_async_callback(database.close)
    redis = streams.connect(settings.redis_url)
    stack.push_async_callback(redis.aclose)
    # a second client for what a request waits for: it gives up sooner than the loops' blocking reads may
    queue: ArqRedis = ArqRedis.from_url(settings.redis_url, socket_connect_timeout=2, socket_timeout=3)
    parts.put(ArqRedis, queue)
    parts.put(Redis, queue)
    stack.push_async_callback(queue.aclose)
    parts.put(ObjectStore, storage.create(settings))
    client = await stack.enter_async_context(httpx.AsyncClient(timeout=settings.gateway_timeout_seconds))
    parts.put(Catalogue, Catalogue(client, f"{settings.internal_gateway_url}/channels"))
    service_key = derive_key(settings.secret, "service").hex()
    parts.put(Setup, Setup(client, settings.internal_gateway_url, service_key))
    parts.put(SecretBox, SecretBox(settings.secret))
    links = MediaLinks(settings.gateway_base_url, settings.secret, seconds=settings.media.link_seconds)
    parts.put(MediaLinks, links)
    parts.put(
        Tokens,
        Tokens(
            settings.secret,
            access=timedelta(minutes=settings.access_token_minutes),
            refresh=timedelta(days=settings.refresh_token_days),
        ),
    )
    parts.put(Attempts, Attempts(queue, settings.login_attempts))
    engine = parts.put(Engine, await Engine.create(settings, database))
    stack.push_async_callback(engine.close)
    parts.put(Knowledge, engine.knowledge)
    outside = Outside(settings.actions.allowed_networks)
    stack.push_async_callback(outside.close)
    box = parts.get(SecretBox)
    parts.put(Actions, Actions(database, box, outside, registry.load(), engine.knowledge))
    parts.put(TicketWebhooks, TicketWebhooks(database, box, outside))
    parts.put(Hub, Hub(redis))
    relay = parts.put(Relay, Relay(database, redis, settings.delivery))
    turns = parts.put(Turns, Turns(database, redis, engine, relay, settings))
    parts.put(Intake, Intake(database, redis, settings.turn, turns.wake))
    regression = Regression(database, queue, engine)
    parts.put(EvaluationRunner, EvaluationRunner(database, queue, engine, settings))
    parts.put(GapCollector, GapCollector(database, queue, engine.knowledge.embedder, regression))


async def _refuse_unsafe_roles(database: Database) -> None:
    """Row-level security must bind both of the roles that this process works under."""
    async with database.across_tenants() as session:
        await refuse_bypass(session)
    async with database.tenant("00000000-0000-0000-0000-000000000000") as session:
        await refuse_bypass(session)


def _loops(settings: OrchestratorSettings, parts: Parts) -> list[Loop]:
    intake, turns, relay, hub = parts.get(Intake), parts.get(Turns), parts.get(Relay), parts.get(Hub)
    webhooks = parts.get(TicketWebhooks)
    gaps, evaluations = parts.get(GapCollector), parts.get(EvaluationRunner)
    return [
        Loop("intake", intake.run, intake.stop),
        Loop("turns", turns.run, turns.stop),
        Loop("relay", relay.run, relay.stop),
        Loop("live", hub.run, hub.stop),
        Loop("ticket webhooks", webhooks.run, webhooks.stop),
        Loop("gaps", gaps.run, gaps.stop),
        Loop("evaluations", evaluations.run, evaluations.stop),
    ]


async def _kept_running(loop: Loop) -> None:
    """Run a loop; begin it again should it ever break. It returns once it was told to stop."""
    while True:
        try:
            await loop.run()
        except Exception:  # the last edge of a loop: a process without it would look alive and do nothing
            log.exception("loop_broke", loop=loop.name)
            await asyncio.sleep(1)
        else:
            return


async def _stop(loops: list[Loop], running: list[asyncio.Task[None]], seconds: float) -> None:
    """Let every loop finish what it holds, or give it back; after `seconds` it is cut off."""
    for loop in loops:
        loop.stop()
    _, late = await asyncio.wait(running, timeout=seconds)
    for task in late:
        log.warning("loop_cut_off", loop=task.get_name())
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)


def _checks(parts: Parts) -> Mapping[str, http.Check]:
    async def redis() -> None:
        await parts.get(Redis).ping()

    async def vector_store() -> None:
        knowledge = parts.get(Knowledge)
        await knowledge.store.initialize(knowledge.embedder.dimensions, knowledge.embedder.name)

    return {
        "postgres": parts.get(Database).ping,
        "redis": redis,
        "vector_store": vector_store,
        "storage": parts.get(ObjectStore).ping,
    }


def _body_limit(settings: OrchestratorSettings) -> http.BodyLimit:
    """Uploads are large, everything else is small."""
    upload = settings.upload_max_bytes * settings.upload_max_files + SMALL_BODY

    def limit(path: str) -> int:
        if _UPLOAD.fullmatch(path):
            return upload
        if _ATTACHMENT.fullmatch(path):
            return settings.media.max_bytes + SMALL_BODY
        return BATCH_BODY if path == _BATCH else SMALL_BODY

    return limit


def _version() -> str:
    try:
        return version("parley")
    except PackageNotFoundError:  # run from a checkout that is not installed
        return "0.1.0"
