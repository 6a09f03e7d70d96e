"""Starts processes, starts them again when they die, and ends them all, in order."""

import asyncio
import os
import signal
import subprocess
import time
from collections.abc import Iterable, Sequence

import psutil

from services.local.console import Console
from services.local.data_dir import DataDir
from services.local.engines import Command
from services.local.logs import Tail, last_lines, rotate

READY_SECONDS = 60.0
LOOK_EVERY = 0.1
LOGS_EVERY = 1.0
FIRST_PAUSE, LONGEST_PAUSE = 0.2, 10.0
STEADY_SECONDS = 30.0


class DidNotStart(Exception):
    """A process ended, or was not ready in time; the message has its last words."""


class Child:
    """One process and its history. Dies with this one, whatever ends it."""

    def __init__(self, command: Command, *, engine: bool, echo: bool) -> None:
        self.command = command
        self.restart_at: float | None = None
        self.is_engine = engine
        self._pause = FIRST_PAUSE
        self._tail = Tail(command.log) if command.log and echo else None
        self.start()

    def start(self) -> None:
        """Start it, from the thread that lives as long as the supervisor."""
        tied = self.command.stop_signal if self.is_engine else signal.SIGKILL
        self.process = self.command.start(tied=tied)
        self.restart_at = None
        self._started = time.monotonic()

    @property
    def pid(self) -> int:
        """The process id of the present run."""
        return self.process.pid

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        return self.process.poll() is None

    def plan_restart(self) -> float:
        """Choose when to start it again: at once at first, then in growing pauses. Returns the pause in seconds."""
        if time.monotonic() - self._started > STEADY_SECONDS:
            self._pause = FIRST_PAUSE
        pause = self._pause
        self._pause = min(self._pause * 2, LONGEST_PAUSE)
        self.restart_at = time.monotonic() + pause
        return pause

    def how_it_ended(self) -> str:
        """Its end in words."""
        code = self.process.returncode
        return f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with status {code}"

    def end_group(self) -> None:
        """Kill what a dead service left of its own children. PostgreSQL's see to themselves."""
        if not self.is_engine:
            _kill_group(self.process)

    def severe_lines(self) -> list[str]:
        """New log lines that a person should see."""
        if self.command.log:
            rotate(self.command.log)
        return self._tail.severe() if self._tail else []


class Supervisor:
    """The processes of one installation, in the groups in which they were started.

    Args:
        grace: seconds that services get to end by themselves; engines, which are quick, get a third.
    """

    def __init__(self, data: DataDir, console: Console, *, grace: float = 12.0) -> None:
        self._data = data
        self._console = console
        self._grace = grace
        self._groups: list[list[Child]] = []
        self._hurried = asyncio.Event()

    async def end_leftovers(self) -> None:
        """End what an earlier supervisor could not end, before its ports and files are used again."""
        leftovers = self._data.leftovers()
        if not leftovers:
            return
        self._console.step("leftovers", f"ending {len(leftovers)} processes")
        for process in leftovers:
            _signal(process, signal.SIGINT if process.name() == "postgres" else signal.SIGTERM)
        _, alive = await asyncio.to_thread(psutil.wait_procs, leftovers, self._grace)
        for process in alive:
            _signal(process, signal.SIGKILL)
        await asyncio.to_thread(psutil.wait_procs, alive, 3)

    async def start(self, commands: Sequence[Command], *, engines: bool = False) -> None:
        """Start a group of processes and wait until all are ready.

        Raises:
            DidNotStart: one of them will not be.
        """
        group: list[Child] = []
        self._groups.append(group)
        for command in commands:
            if command.log:
                rotate(command.log)
            group.append(Child(command, engine=engines, echo=not engines))
            self._data.note(command.name, group[-1].pid)
        waits = [asyncio.create_task(self._until_ready(child)) for child in group]
        try:
            await asyncio.gather(*waits)
        finally:
            for wait in waits:
                wait.cancel()

    async def watch(self) -> None:
        """Start again what dies and show warnings, until cancelled."""
        next_logs = 0.0
        while True:
            for child in self._children():
                self._revive(child)
            if time.monotonic() > next_logs:
                next_logs = time.monotonic() + LOGS_EVERY
                for child in self._children():
                    for line in child.severe_lines():
                        self._console.trouble(child.command.name, line)
            await asyncio.sleep(LOOK_EVERY)

    def hurry(self) -> None:
        """Let `stop` wait no longer."""
        self._hurried.set()

    async def stop(self) -> None:
        """End everything, the last group first, each process by its own signal, and by force after the grace."""
        for group in filter(None, reversed(self._groups)):
            for child in group:
                if child.running:
                    child.process.send_signal(child.command.stop_signal)
            await self._until_ended(group, self._grace / 3 if group[0].is_engine else self._grace)
        self._groups.clear()
        self._data.forget_all()

    def _children(self) -> Iterable[Child]:
        return (child for group in self._groups for child in group)

    async def _until_ready(self, child: Child) -> None:
        name, deadline = child.command.name, time.monotonic() + READY_SECONDS
        while not await asyncio.to_thread(child.command.ready):
            ended = not child.running
            if ended or time.monotonic() > deadline:
                reason = child.how_it_ended() if ended else f"was not ready after {READY_SECONDS:.0f} s"
                words = last_lines(child.command.log) if child.command.log else []
                raise DidNotStart("\n    ".join([f"{name} {reason}. The end of {child.command.log}:", *words]))
            await asyncio.sleep(0.03)
        self._console.step(name, "ready")

    def _revive(self, child: Child) -> None:
        if child.running:
            return
        name = child.command.name
        if child.restart_at is None:
            child.end_group()
            how = child.how_it_ended()
            self._console.trouble(name, f"{how}; starting it again in {child.plan_restart():.1f} s")
        elif time.monotonic() >= child.restart_at:
            child.start()
            self._data.note(name, child.pid)

    async def _until_ended(self, group: Sequence[Child], grace: float) -> None:
        deadline = time.monotonic() + grace
        while any(child.running for child in group) and time.monotonic() < deadline:
            if self._hurried.is_set():
                break
            await asyncio.sleep(0.03)
        for child in group:
            if child.running:
                self._console.trouble(child.command.name, "did not end by itself and is killed")
            if child.running or child.process.returncode != 0:
                _kill_group(child.process)
            await asyncio.to_thread(child.process.wait)


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    """Kill a process and the children that stayed in its group; each child of ours leads a group of its own."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return
    except PermissionError:  # a group whose members run as another user, and we are not root
        process.kill()


def _signal(process: psutil.Process, number: signal.Signals) -> None:
    try:
        process.send_signal(number)
    except psutil.NoSuchProcess:
        return
