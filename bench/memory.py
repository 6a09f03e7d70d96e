"""Memory: of each service without a local model, and of the whole embedded stack at rest; and how soon it starts again.

The stack is started as an operator does, by `python -m services.local`, the demo tenant included.
"""

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

from bench.conversations import Pace
from bench.processes import pss_megabytes, rss_megabytes
from bench.report import Section
from bench.stack import NotReady, new_folder
from bench.turns import SERVICES, site
from services.local.schema import ROOT

START_SECONDS = 240.0
SETTLE_SECONDS = 5.0
_READY = b"Parley is ready"


async def measure(rounds: int, seconds: float) -> AsyncIterator[Section]:
    """Services without a local model, then the whole stack."""
    yield await _services(seconds)
    yield await _whole_stack(rounds)


async def _services(seconds: float) -> Section:
    section = Section("memory: services without a local model")
    async with site(1, local_embedder=False, articles=3) as on:
        fresh = {name: rss_megabytes(pid) for name, pid in on.stack.pids(*SERVICES).items()}
        outcome = await on.run(Pace(20, 0.0, 2.0, seconds))
        used = {name: rss_megabytes(pid) for name, pid in on.stack.pids(*SERVICES).items()}
    for name, floor, aim in (("gateway", 150.0, 80.0), ("orchestrator", 300.0, 160.0)):
        section.add(f"{name}, just started", [fresh[name]], "MB")
        section.add(f"{name}, after {outcome.answered} turns", [used[name]], "MB", floor=floor, aim=aim)
    return section


class _Operator:
    """`python -m services.local` on a data directory, as typed by a person."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._console = folder / "console.log"
        self._environment = {
            **os.environ,
            "PARLEY_DATA_DIR": str(folder),
            "PARLEY_ORCHESTRATOR_PORT": "0",
            "PARLEY_GATEWAY_PORT": "0",
            "PARLEY_SIMULATOR_PORT": "0",
        }
        self._process: subprocess.Popen[bytes] | None = None

    async def start(self) -> float:
        """Start it; returns the seconds until it says that it is ready."""
        began = time.perf_counter()
        process = self._process = self._open()
        while _READY not in (said := self._console.read_bytes()):
            if process.poll() is not None or time.perf_counter() - began > START_SECONDS:
                raise NotReady(f"services.local did not become ready: {said[-2000:].decode(errors='replace')}")
            await asyncio.sleep(0.05)
        return time.perf_counter() - began

    def _open(self) -> subprocess.Popen[bytes]:
        with self._console.open("wb") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "services.local"],
                cwd=ROOT,
                env=self._environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    async def stop(self) -> None:
        """Ctrl-C."""
        assert self._process
        self._process.send_signal(signal.SIGINT)
        try:
            await asyncio.to_thread(self._process.wait, 40)
        except subprocess.TimeoutExpired:
            self._process.kill()

    def pids(self) -> dict[str, int]:
        """The command itself and each process that it runs."""
        assert self._process
        noted = json.loads((self._folder / "pids.json").read_text())
        return {"supervisor": self._process.pid} | {name: int(entry["pid"]) for name, entry in noted.items()}


async def _whole_stack(rounds: int) -> Section:
    section = Section("stack: all of Parley as `make run` starts it, with the demo tenant")
    folder = new_folder()
    operator = _Operator(folder)
    starts = []
    try:
        first = await operator.start()
        for _ in range(rounds):
            await operator.stop()
            starts.append(await operator.start())
        await asyncio.sleep(SETTLE_SECONDS)
        pids = operator.pids()
        total = pss_megabytes([pids["supervisor"]])  # all others are its children
        section.add("whole stack at rest", [total / 1000], "GB", floor=1.2, aim=1.2)
        for name, pid in pids.items():
            if name != "supervisor":
                section.add(f"of it {name}", [pss_megabytes([pid])], "MB")
        section.add("second start until ready", starts, "s", floor=10, aim=5)
        section.add("very first start until ready", [first], "s")
    finally:
        await operator.stop()
        shutil.rmtree(folder, ignore_errors=True)
    return section
