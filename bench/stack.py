"""Parley's processes under the benchmark's control: its own engines, and each service to start and stop by name."""

import asyncio
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Self

import asyncpg
from pydantic import SecretStr

from packages.core.config import PostgresSettings, RedisSettings, Settings
from services.local import launch, product, schema
from services.local.data_dir import DataDir
from services.local.engines import Command, EmbeddedPostgres, EmbeddedRedis

READY_SECONDS = 90.0
SERVICES = ("orchestrator", "gateway", "worker")


class NotReady(Exception):
    """A process did not become ready; the message names its log."""


class Stack:
    """Engines and services in a folder of their own, removed at the end.

    Args:
        environment: settings of the services, such as PARLEY_LLM__BASE_URL.
    """

    def __init__(self, environment: Mapping[str, str] | None = None) -> None:
        self.folder = new_folder()
        self._environment = dict(environment or {})
        self._commands: dict[str, Command] = {}
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self.settings = Settings()
        self.admin_url = ""

    async def __aenter__(self) -> Self:
        """Start the engines, make the schema, start the services."""
        try:
            await self._start_engines()
            await asyncio.to_thread(schema.migrate, self.admin_url)
            for name in SERVICES:
                await self.start(name)
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        """End every process and remove the folder."""
        for name in reversed(list(self._running)):
            await self.stop(name)
        shutil.rmtree(self.folder, ignore_errors=True)

    async def _start_engines(self) -> None:
        data = DataDir(self.folder)
        secrets = data.secrets()
        data.close()
        postgres = await asyncio.to_thread(EmbeddedPostgres, self.folder / "postgres")
        redis = EmbeddedRedis(self.folder / "redis")
        self._commands = {"postgres": await asyncio.to_thread(postgres.command), "redis": redis.command()}
        for name in ("postgres", "redis"):
            await self.start(name)
        await postgres.create_database()
        self.admin_url = postgres.admin_url
        self.settings = product.with_ports(
            Settings(
                data_dir=self.folder,
                orchestrator_port=0,
                gateway_port=0,
                simulator_port=0,
                secret_key=SecretStr(secrets["PARLEY_SECRET_KEY"]),
                admin_password=SecretStr(secrets["PARLEY_ADMIN_PASSWORD"]),
                postgres=PostgresSettings(url=postgres.url, admin_url=postgres.admin_url),
                redis=RedisSettings(url=redis.url),
            )
        )
        environment = {
            **launch.environment(self.settings),
            "PARLEY_LOG_LEVEL": "warning",
            "PARLEY_LOGIN_ATTEMPTS": "1000",  # every tenant logs in from this one address
            **self._environment,
        }
        found = product.commands(self.settings, environment, data.logs)
        self._commands |= {command.name: command for command in found}

    async def start(self, name: str) -> None:
        """Start a service or an engine and wait until it serves.

        Raises:
            NotReady: it does not.
        """
        command = self._commands[name]
        self._running[name] = command.start(tied=command.stop_signal)
        await _until_ready(command, self._running[name])

    async def stop(self, name: str) -> None:
        """End a service or an engine; does nothing if it does not run."""
        process = self._running.pop(name, None)
        if process is None:
            return
        process.send_signal(self._commands[name].stop_signal)
        try:
            await asyncio.to_thread(process.wait, 20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def pids(self, *names: str) -> dict[str, int]:
        """Process ids by name."""
        return {name: self._running[name].pid for name in names}

    def pause(self, name: str) -> None:
        """Freeze a process: it costs nothing until `resume`."""
        self._running[name].send_signal(signal.SIGSTOP)

    def resume(self, name: str) -> None:
        """Let a frozen process go on."""
        self._running[name].send_signal(signal.SIGCONT)

    async def sql(self, query: str, *arguments: object) -> list[asyncpg.Record]:
        """Run a query as the owner, whom row-level security does not bind."""
        connection = await asyncpg.connect(self.admin_url)
        try:
            return list(await connection.fetch(query, *arguments, timeout=1800))
        finally:
            await connection.close()


def new_folder() -> Path:
    """A temporary folder that the user of the embedded PostgreSQL, who may be another, can reach."""
    folder = Path(tempfile.mkdtemp(prefix="parley-bench-"))
    folder.chmod(0o755)
    return folder


async def _until_ready(command: Command, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while not await asyncio.to_thread(command.ready):
        if process.poll() is not None or time.monotonic() > deadline:
            words = command.log.read_text(errors="replace")[-2000:] if command.log else ""
            raise NotReady(f"{command.name} did not become ready: {words}")
        await asyncio.sleep(0.1)
