"""A process that has every parser loaded and forks a child per document, so that a parse does not wait for imports.

The server half runs as `python -m packages.rag.parse_file`; it never reads a document itself. Requests and reports are
lines of JSON over its stdin and stdout. It ends when its stdin does, or after some idle minutes.
"""

import asyncio
import contextlib
import json
import os
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from itertools import count
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

_ROOT = Path(__file__).parents[2]
_TRIES = 3


class NurseryGone(Exception):
    """The process ended, perhaps killed for lack of memory, before it could say what became of a document."""


class _Job:
    """One forked child."""

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        self.started: asyncio.Future[int] = loop.create_future()
        self.ended: asyncio.Future[int] = loop.create_future()

    def fail(self) -> None:
        """The nursery is gone: nobody will report on this child."""
        for future in (self.started, self.ended):
            if not future.done():
                future.set_exception(NurseryGone())
                future.exception()  # Looked at, so that a future nobody waits for any more makes no noise.


class Nursery:
    """The client half; one per event loop, see `run_forked`."""

    def __init__(self) -> None:
        self._process: Process | None = None
        self._reader: asyncio.Task[None] | None = None
        self._jobs: dict[int, _Job] = {}
        self._numbers = count(1)
        self._starting = asyncio.Lock()

    async def run(self, request: dict[str, Any], wall_seconds: float) -> int | None:
        """Exit status of the child; None if it ran out of time and was killed.

        Raises:
            NurseryGone: no child could be had, or it was lost.
        """
        number = next(self._numbers)
        job = _Job()
        async with self._starting:
            process = await self._running()
            self._jobs[number] = job
            assert process.stdin is not None
            process.stdin.write(json.dumps({**request, "number": number}).encode() + b"\n")
        try:
            async with asyncio.timeout(wall_seconds):
                return await asyncio.shield(job.ended)
        except TimeoutError:
            return None
        finally:
            self._jobs.pop(number, None)
            _kill(job)

    async def close(self) -> None:
        """End the process and what it forked."""
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.close()
            await self._process.wait()
        if self._reader is not None:
            await self._reader

    async def _running(self) -> Process:
        if self._process is None or self._process.returncode is not None or self._reader is None or self._reader.done():
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "packages.rag.parse_file",
                cwd=_ROOT,
                stdin=PIPE,
                stdout=PIPE,
                stderr=DEVNULL,
                env=_environment(),
                start_new_session=True,
            )
            self._reader = asyncio.create_task(self._read(self._process))
        return self._process

    async def _read(self, process: Process) -> None:
        assert process.stdout is not None
        async for line in process.stdout:
            report = json.loads(line)
            job = self._jobs.get(report["number"])
            future = job and (job.started if "pid" in report else job.ended)
            if future and not future.done():
                future.set_result(report["pid"] if "pid" in report else report["status"])
        await process.wait()
        for job in self._jobs.values():
            job.fail()


def _kill(job: _Job) -> None:
    """Kill a child that has not ended, with all that it started; if it is not forked yet, as soon as it is."""
    if job.ended.done() and not job.ended.cancelled() and job.ended.exception() is None:
        return
    if job.started.done():
        _kill_started(job.started)
    else:
        job.started.add_done_callback(_kill_started)


def _kill_started(started: "asyncio.Future[int]") -> None:
    if not started.cancelled() and started.exception() is None:
        with contextlib.suppress(ProcessLookupError):  # It ended by itself meanwhile.
            os.killpg(started.result(), signal.SIGKILL)


def _environment() -> dict[str, str]:
    """What a parser may know of the machine: where programs are. Libraries keep to one thread."""
    return {"PATH": os.environ.get("PATH", os.defpath), "LANG": "C.UTF-8", "OMP_NUM_THREADS": "1"}


_nurseries: WeakKeyDictionary[asyncio.AbstractEventLoop, Nursery] = WeakKeyDictionary()


async def run_forked(request: dict[str, Any], wall_seconds: float) -> int | None:
    """Have a request served by this event loop's nursery; a nursery that is gone is replaced.

    Returns:
        The child's exit status (negative: the signal that ended it), None if it ran out of wall time.
    """
    nursery = _nurseries.setdefault(asyncio.get_running_loop(), Nursery())
    for attempt in range(_TRIES):
        try:
            return await nursery.run(request, wall_seconds)
        except (NurseryGone, ConnectionError):
            if attempt == _TRIES - 1:
                raise
    return None


async def close_nursery() -> None:
    """End this event loop's parsing processes; the next document starts them again."""
    nursery = _nurseries.pop(asyncio.get_running_loop(), None)
    if nursery is not None:
        await nursery.close()
