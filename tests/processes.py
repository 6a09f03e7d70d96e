"""Real processes for tests: started, awaited, and always ended."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from services.local.engines import Command, EmbeddedRedis


def venv_binary(name: str) -> str:
    """A program that is installed beside the interpreter."""
    return str(Path(sys.executable).with_name(name))


@contextmanager
def running(command: Command, *, timeout: float = 30) -> Iterator[subprocess.Popen[bytes]]:
    """Start a process, wait until it is ready, and end it with the block."""
    process = command.start()
    try:
        wait_until(lambda: process.poll() is not None or command.ready(), timeout=timeout)
        if process.poll() is not None:
            log = command.log.read_text() if command.log else ""
            raise RuntimeError(f"{command.name} ended with {process.returncode}: {log[-2000:]}")
        yield process
    finally:
        stop(process)


class KillableRedis:
    """A Redis of one test's own, with its data in a folder; it may be killed and started again."""

    def __init__(self, folder: Path) -> None:
        self._engine = EmbeddedRedis(folder)
        self._process: subprocess.Popen[bytes] | None = None
        self.url = self._engine.url

    def __enter__(self) -> "KillableRedis":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._process:
            stop(self._process)

    def start(self) -> None:
        """Start it and wait until it serves."""
        command = self._engine.command()
        self._process = command.start()
        wait_until(command.ready)

    def kill(self) -> None:
        """kill -9."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()


def stop(process: subprocess.Popen[bytes]) -> None:
    """End a process: politely, then not."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(10)


def wait_until(condition: Callable[[], bool], *, timeout: float = 30, every: float = 0.05) -> None:
    """Poll until the condition holds.

    Raises:
        TimeoutError: it does not in time.
    """
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"still not so after {timeout} s")
        time.sleep(every)
