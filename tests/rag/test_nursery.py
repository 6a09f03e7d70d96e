"""The process that forks the parsers: it serves many at once, survives their end, and is replaced when it dies."""

import asyncio
import os
import signal
from pathlib import Path
from typing import Any

import psutil
import pytest

from packages.rag import nursery
from packages.rag.nursery import Nursery, NurseryGone, close_nursery, run_forked
from packages.rag.sandbox import MB, parse_sandboxed

ENDLESS = b"<p>" * 3_000_000


def request(folder: Path, data: bytes, media_type: str = "text/plain") -> dict[str, Any]:
    folder.mkdir(exist_ok=True)
    (folder / "input").write_bytes(data)
    limits = {"memory_bytes": 1024 * MB, "cpu_seconds": 20, "most_cpu_seconds": 20, "output_bytes": 10 * MB}
    return {"folder": str(folder), "media_type": media_type, "filename": None, **limits}


def pid_of(serving: Nursery) -> int:
    assert serving._process is not None
    return serving._process.pid


def children_of(serving: Nursery) -> list[int]:
    return [child.pid for child in psutil.Process(pid_of(serving)).children()]


def is_running(pid: int) -> bool:
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


async def test_serves_many_at_once(tmp_path: Path) -> None:
    requests = [request(tmp_path / str(number), b"Text %d." % number) for number in range(8)]
    assert await asyncio.gather(*(run_forked(item, 20) for item in requests)) == [0] * 8
    assert all(f"Text {number}." in (tmp_path / str(number) / "output").read_text() for number in range(8))


async def test_reports_how_a_child_ended(tmp_path: Path) -> None:
    asked = request(tmp_path, b"Text.") | {"output_bytes": 1}
    assert await run_forked(asked, 20) not in {0, None}


async def test_kills_what_runs_out_of_time(tmp_path: Path) -> None:
    assert await run_forked(request(tmp_path, ENDLESS, "text/html"), 0.3) is None
    assert await run_forked(request(tmp_path / "next", b"Text."), 20) == 0


async def test_a_cancelled_parse_leaves_no_process(tmp_path: Path) -> None:
    serving = Nursery()
    parsing = asyncio.create_task(serving.run(request(tmp_path, ENDLESS, "text/html"), 60))
    await asyncio.sleep(1.0)
    parsing.cancel()
    await asyncio.gather(parsing, return_exceptions=True)
    async with asyncio.timeout(5):
        while children_of(serving):
            await asyncio.sleep(0.02)
    await serving.close()


async def test_a_nursery_that_dies_is_replaced(tmp_path: Path) -> None:
    assert await run_forked(request(tmp_path / "before", b"Text."), 20) == 0
    serving = nursery._nurseries[asyncio.get_running_loop()]
    os.kill(pid_of(serving), signal.SIGKILL)
    assert await run_forked(request(tmp_path / "after", b"Text."), 20) == 0


async def test_who_waits_for_a_lost_child_hears_of_it_and_it_ends(tmp_path: Path) -> None:
    serving = Nursery()
    parsing = asyncio.create_task(serving.run(request(tmp_path, ENDLESS, "text/html"), 60))
    await asyncio.sleep(1.0)
    [child] = children_of(serving)
    os.kill(pid_of(serving), signal.SIGKILL)
    with pytest.raises(NurseryGone):
        await parsing
    async with asyncio.timeout(5):
        while is_running(child):
            await asyncio.sleep(0.02)


async def test_ends_when_it_is_closed() -> None:
    await parse_sandboxed(b"Text.", media_type="text/plain")
    serving = nursery._nurseries[asyncio.get_running_loop()]
    await close_nursery()
    assert serving._process is not None
    assert serving._process.returncode == 0
