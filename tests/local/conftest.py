"""Programs to supervise, and a supervisor in a process of its own."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import psutil
import pytest

from tests.local.noted import pids

ROOT = Path(__file__).parents[2]
Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def supervised(tmp_path: Path) -> Iterator[Start]:
    """Starts a supervisor over commands (argv by name) and waits until it is ready; all of it ends with the test."""
    with ExitStack() as stack:

        def start(**commands: list[str]) -> subprocess.Popen[str]:
            described = tmp_path / "commands.json"
            described.write_text(json.dumps([{"name": name, "argv": argv} for name, argv in commands.items()]))
            process = subprocess.Popen(
                [sys.executable, str(ROOT / "tests/local/supervised.py"), str(tmp_path / "data"), str(described)],
                env={**os.environ, "PYTHONPATH": str(ROOT)},
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
            stack.callback(end, process, tmp_path / "data")
            assert process.stdout
            for line in process.stdout:
                if line == "ready\n":
                    return process
            raise AssertionError("the supervisor ended")

        yield start


def end(process: subprocess.Popen[str], data: Path) -> None:
    """Kill a supervisor and what it noted."""
    children = list(pids(data).values())
    process.kill()
    process.communicate()
    for pid in children:
        if psutil.pid_exists(pid):
            psutil.Process(pid).kill()
