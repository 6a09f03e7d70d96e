"""The programs beside Parley that a measurement needs: reference servers and stand-ins for outside services."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager

from bench.stack import NotReady
from services.local.engines import Command, free_port, listening
from services.local.schema import ROOT

SERVE = ("--loop", "uvloop", "--http", "httptools", "--no-access-log", "--log-level", "warning")
READY_SECONDS = 30.0


@asynccontextmanager
async def web(application: str, environment: Mapping[str, str] | None = None) -> AsyncIterator[tuple[int, int]]:
    """Serve an ASGI application in a process of its own, with the servers' own options; gives its port and pid."""
    port = free_port()
    arguments = ["uvicorn", application, "--host", "127.0.0.1", "--port", str(port), *SERVE]
    async with program(application, arguments, environment) as pid:
        deadline = asyncio.get_running_loop().time() + READY_SECONDS
        while not listening(port):
            if asyncio.get_running_loop().time() > deadline:
                raise NotReady(f"{application} did not begin to listen")
            await asyncio.sleep(0.1)
        yield port, pid


@asynccontextmanager
async def program(
    name: str, arguments: Sequence[str], environment: Mapping[str, str] | None = None
) -> AsyncIterator[int]:
    """Run `python -m …` for as long as the block lasts; gives its pid."""
    command = Command(
        name=name,
        argv=[sys.executable, "-m", *arguments],
        ready=lambda: True,
        env=dict(environment or {}),
        cwd=str(ROOT),
    )
    process = command.start(tied=command.stop_signal)
    try:
        yield process.pid
        if process.poll() is not None:
            raise NotReady(f"{name} ended with status {process.returncode}")
    finally:
        process.terminate()
        try:
            await asyncio.to_thread(process.wait, 10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
