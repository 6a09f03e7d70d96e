"""A PostgreSQL of one's own with Parley's schema, gone afterwards."""

import asyncio
import shutil
import signal
import subprocess
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from bench.stack import NotReady, new_folder
from services.local.engines import Command, EmbeddedPostgres
from services.local.schema import migrate

START_SECONDS = 60.0


@asynccontextmanager
async def postgres() -> AsyncIterator[EmbeddedPostgres]:
    """Started, with the newest schema.

    Raises:
        NotReady: it did not start.
    """
    folder = new_folder()
    engine = await asyncio.to_thread(EmbeddedPostgres, folder / "postgres")
    command = await asyncio.to_thread(engine.command)
    process = command.start(tied=signal.SIGINT)
    try:
        await _until_ready(command, process)
        await engine.create_database()
        await asyncio.to_thread(migrate, engine.admin_url)
        yield engine
    finally:
        process.send_signal(command.stop_signal)
        await asyncio.to_thread(process.wait, 30)
        shutil.rmtree(folder, ignore_errors=True)


async def _until_ready(command: Command, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not await asyncio.to_thread(command.ready):
        if process.poll() is not None or time.monotonic() > deadline:
            raise NotReady(f"{command.name} did not become ready; see {command.log}")
        await asyncio.sleep(0.05)
