"""The one command: engines, schema, services, demo, in this order, and all of it ended again."""

import asyncio
import json
import signal
from dataclasses import dataclass

import asyncpg
from pydantic import SecretStr

from packages.core.config import PostgresSettings, RedisSettings, Settings
from services.local import demo, product, schema
from services.local.console import Console
from services.local.data_dir import AlreadyRunning, DataDir
from services.local.engines import Command, EmbeddedPostgres, EmbeddedRedis, EngineFailed
from services.local.supervisor import DidNotStart, Supervisor

STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
LOOPBACK = ["127.0.0.0/8", "::1/128"]
MEMORY = {"MALLOC_ARENA_MAX": "2", "MALLOC_MMAP_THRESHOLD_": "1048576", "MALLOC_TRIM_THRESHOLD_": "1048576"}
"""Has glibc give memory back to the system: left to itself it keeps what each log-in's password hash took (64 MB)."""
EXPECTED = (AlreadyRunning, EngineFailed, DidNotStart, schema.MigrationFailed, product.PortTaken, OSError)


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line may ask for."""

    with_demo: bool = True


async def main(options: Options) -> int:
    """Run until Ctrl-C or SIGTERM. Returns the exit status: 0 after a clean end, 1 if it could not start."""
    console = Console()
    try:
        settings = product.with_ports(Settings())
        data = DataDir(settings.data_dir)
    except (AlreadyRunning, product.PortTaken) as error:
        console.trouble("parley", str(error))
        return 1
    supervisor = Supervisor(data, console)
    running = asyncio.create_task(_run(settings, data, supervisor, console, options))
    _on_signals(running, supervisor, console)
    try:
        await running
    except asyncio.CancelledError:
        return 0
    except EXPECTED as error:
        console.trouble("parley", str(error))
        return 1
    finally:
        await supervisor.stop()
        data.close()
        for number in STOPS:
            asyncio.get_running_loop().remove_signal_handler(number)
    return 0


def _on_signals(running: asyncio.Task[None], supervisor: Supervisor, console: Console) -> None:
    def stop() -> None:
        if running.done() or running.cancelling():
            supervisor.hurry()
            return
        console.say("\nStopping; the data stays. Once more to stop at once.")
        running.cancel()

    for number in STOPS:
        asyncio.get_running_loop().add_signal_handler(number, stop)


async def _run(settings: Settings, data: DataDir, supervisor: Supervisor, console: Console, options: Options) -> None:
    console.say(f"Starting Parley; its data is in {data.path}, its logs in {data.logs}")
    await supervisor.end_leftovers()
    settings = await _with_engines(_with_secrets(settings, data), data, supervisor)
    await _migrate(settings, console)
    commands = product.commands(settings, environment(settings), data.logs)
    await supervisor.start(commands)
    watching = asyncio.create_task(supervisor.watch())
    try:
        if options.with_demo:
            console.say(await demo.prepare(settings, data.secrets(), console))
        else:
            console.say(f"Parley is ready: {settings.internal_orchestrator_url}/docs")
        await watching
    finally:
        watching.cancel()


def _with_secrets(settings: Settings, data: DataDir) -> Settings:
    """Fill in the secrets that nobody has set, with those that were generated once for this data directory."""
    kept = data.secrets()
    return settings.model_copy(
        update={
            "data_dir": data.path,
            "secret_key": settings.secret_key or SecretStr(kept["PARLEY_SECRET_KEY"]),
            "admin_password": settings.admin_password or SecretStr(kept["PARLEY_ADMIN_PASSWORD"]),
        }
    )


async def _with_engines(settings: Settings, data: DataDir, supervisor: Supervisor) -> Settings:
    """Start an engine for each URL that is unset, and fill the URL in."""
    found: dict[str, PostgresSettings | RedisSettings] = {}
    commands: list[Command] = []
    postgres = redis = None
    if settings.postgres.url is None:
        postgres = await asyncio.to_thread(EmbeddedPostgres, data.path / "postgres")
        commands.append(await asyncio.to_thread(postgres.command))
        urls = {"url": postgres.url, "admin_url": postgres.admin_url}
        found["postgres"] = settings.postgres.model_copy(update=urls)
    if settings.redis.url is None:
        redis = EmbeddedRedis(data.path / "redis")
        commands.append(redis.command())
        found["redis"] = settings.redis.model_copy(update={"url": redis.url})
    await supervisor.start(commands, engines=True)
    if postgres:
        await postgres.create_database()
    return settings.model_copy(update=found)


async def _migrate(settings: Settings, console: Console) -> None:
    """Bring the schema to the newest version; when it is there already, that costs one query."""
    url = settings.postgres_admin_url
    try:
        current = await schema.current(url)
    except (asyncpg.PostgresError, OSError) as error:
        raise schema.MigrationFailed(f"PostgreSQL (PARLEY_POSTGRES__URL) cannot be used: {error}") from error
    if current is not None and not schema.is_known(current):
        raise schema.MigrationFailed(
            f"A newer Parley made this data (schema {current}). Bring this one up to date, or set PARLEY_DATA_DIR anew."
        )
    newest = schema.head()
    if current != newest:
        await asyncio.to_thread(schema.migrate, url)
        console.step("schema", f"migrated to {newest}")


def environment(settings: Settings) -> dict[str, str]:
    """What the services must be told. The owner's database URL is not among it."""
    assert settings.secret_key is not None
    assert settings.admin_password is not None
    return {
        "PARLEY_DATA_DIR": str(settings.data_dir),
        "PARLEY_SECRET_KEY": settings.secret_key.get_secret_value(),
        "PARLEY_ADMIN_PASSWORD": settings.admin_password.get_secret_value(),
        "PARLEY_POSTGRES__URL": settings.postgres_url,
        "PARLEY_REDIS__URL": settings.redis_url,
        # the simulator runs on this machine
        "PARLEY_DELIVERY__ALLOWED_NETWORKS": json.dumps(settings.delivery.allowed_networks or LOOPBACK),
        **MEMORY,
        **{setting: str(getattr(settings, f"{name}_port")) for name, setting in product.PORT_SETTINGS.items()},
    }
