"""The supervisor over real processes, itself in a process of its own."""

import os
import signal
import sys
import time
from pathlib import Path

import psutil
import pytest

from services.local.console import Console
from services.local.data_dir import DataDir
from services.local.engines import Command
from services.local.supervisor import DidNotStart, Supervisor
from tests.local.conftest import Start
from tests.local.noted import alive, pids
from tests.processes import wait_until

SLEEP = ["/bin/sleep", "600"]
DEAF = ["/bin/sh", "-c", "trap '' TERM; while true; do sleep 0.1; done"]


def python(code: str) -> list[str]:
    return [sys.executable, "-S", "-c", code]


class TestRestart:
    def test_a_killed_process_is_started_again(self, supervised: Start, tmp_path: Path) -> None:
        supervised(one=SLEEP, other=SLEEP)
        before = pids(tmp_path / "data")
        os.kill(before["one"], signal.SIGKILL)
        wait_until(lambda: pids(tmp_path / "data")["one"] != before["one"], timeout=5)
        after = pids(tmp_path / "data")
        assert alive(after["one"])
        assert after["other"] == before["other"]

    def test_it_comes_back_each_time(self, supervised: Start, tmp_path: Path) -> None:
        supervised(one=SLEEP)
        seen = set()
        for _ in range(3):
            pid = pids(tmp_path / "data")["one"]
            seen.add(pid)
            os.kill(pid, signal.SIGKILL)
            wait_until(lambda: pids(tmp_path / "data")["one"] not in seen, timeout=5)
        assert len(seen) == 3

    def test_one_that_keeps_ending_is_started_with_growing_pauses(self, supervised: Start, tmp_path: Path) -> None:
        starts = tmp_path / "starts"
        supervised(one=["/bin/sh", "-c", f"echo >> {starts}; exit 3"])
        time.sleep(2.5)
        assert 3 <= len(starts.read_text().splitlines()) <= 5  # after 0.2, 0.4, 0.8 … seconds

    def test_what_a_killed_process_had_started_goes_with_it(self, supervised: Start, tmp_path: Path) -> None:
        noted = tmp_path / "grandchild"
        supervised(one=["/bin/sh", "-c", f"sleep 600 & echo $! > {noted}; wait"])
        wait_until(lambda: noted.exists() and noted.read_text().strip() != "", timeout=5)
        grandchild = int(noted.read_text())
        os.kill(pids(tmp_path / "data")["one"], signal.SIGKILL)
        wait_until(lambda: not alive(grandchild), timeout=5)
        assert not alive(grandchild)


class TestStop:
    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
    def test_all_end_with_the_supervisor(self, supervised: Start, tmp_path: Path, number: signal.Signals) -> None:
        supervisor = supervised(one=SLEEP, other=SLEEP)
        children = pids(tmp_path / "data")
        supervisor.send_signal(number)
        assert supervisor.wait(5) == 0
        assert not any(alive(pid) for pid in children.values())
        assert pids(tmp_path / "data") == {}

    def test_one_that_will_not_end_is_killed(self, supervised: Start, tmp_path: Path) -> None:
        supervisor = supervised(deaf=DEAF)
        child = pids(tmp_path / "data")["deaf"]
        time.sleep(0.3)  # until it has set its trap
        supervisor.send_signal(signal.SIGTERM)
        assert supervisor.wait(8) == 0
        assert not alive(child)

    @pytest.mark.skipif(sys.platform != "linux", reason="only Linux ties a child to its parent's life")
    def test_a_killed_supervisor_leaves_no_orphan(self, supervised: Start, tmp_path: Path) -> None:
        supervisor = supervised(one=SLEEP, deaf=DEAF)
        children = pids(tmp_path / "data").values()
        supervisor.kill()
        supervisor.wait(5)
        wait_until(lambda: not any(alive(pid) for pid in children), timeout=5)
        assert not any(alive(pid) for pid in children)


class TestLeftovers:
    async def test_a_process_of_an_earlier_start_is_ended(self, tmp_path: Path) -> None:
        data = DataDir(tmp_path)
        leftover = Command(name="one", argv=SLEEP, ready=lambda: True).start()
        data.note("one", leftover.pid)
        await Supervisor(data, Console()).end_leftovers()
        assert not alive(leftover.pid)

    async def test_another_program_under_a_noted_id_is_left_alone(self, tmp_path: Path) -> None:
        data = DataDir(tmp_path)
        data.note("one", os.getpid())
        file = tmp_path / "pids.json"
        file.write_text(file.read_text().replace(str(psutil.Process().create_time()), "12345.0"))
        assert data.leftovers() == []


class TestStart:
    async def test_one_that_ends_at_once_says_why(self, tmp_path: Path) -> None:
        supervisor = Supervisor(DataDir(tmp_path), Console())
        argv = python("import sys; sys.exit('no such table: brand')")
        broken = Command(name="one", argv=argv, ready=lambda: False, log=tmp_path / "one.log")
        with pytest.raises(DidNotStart, match=r"one ended with status 1(?s:.*)no such table: brand"):
            await supervisor.start([broken])
        await supervisor.stop()

    async def test_the_next_group_begins_when_the_first_is_ready(self, tmp_path: Path) -> None:
        supervisor = Supervisor(DataDir(tmp_path), Console(), grace=1)
        flag = tmp_path / "flag"
        first = Command(name="a", argv=["/bin/sh", "-c", f"sleep 0.3; touch {flag}; sleep 600"], ready=flag.exists)
        await supervisor.start([first], engines=True)
        assert flag.exists()
        await supervisor.stop()
