import subprocess
import sys
from pathlib import Path

import pytest

from services.local.data_dir import AlreadyRunning, DataDir
from tests.local.conftest import ROOT, Start


class TestLock:
    def test_a_second_one_learns_who_holds_it(self, supervised: Start, tmp_path: Path) -> None:
        holder = supervised()
        with pytest.raises(AlreadyRunning, match=rf"process {holder.pid}\).*PARLEY_DATA_DIR"):
            DataDir(tmp_path / "data")

    def test_it_is_free_after_kill_9(self, supervised: Start, tmp_path: Path) -> None:
        holder = supervised()
        holder.kill()
        holder.wait(5)
        DataDir(tmp_path / "data").close()
        assert (tmp_path / "data" / "lock").exists()

    def test_a_holder_that_was_refused_leaves_the_note_alone(self, supervised: Start, tmp_path: Path) -> None:
        holder = supervised()
        with pytest.raises(AlreadyRunning):
            DataDir(tmp_path / "data")
        assert (tmp_path / "data" / "lock").read_text() == str(holder.pid)


class TestSecrets:
    def test_are_made_once(self, tmp_path: Path) -> None:
        first = DataDir(tmp_path)
        made = first.secrets()
        first.close()
        assert DataDir(tmp_path).secrets() == made
        assert len(made["PARLEY_SECRET_KEY"]) == 64

    def test_nobody_else_may_read_them(self, tmp_path: Path) -> None:
        DataDir(tmp_path).secrets()
        assert (tmp_path / "secrets.env").stat().st_mode & 0o777 == 0o600

    def test_what_is_there_stays_when_another_is_added(self, tmp_path: Path) -> None:
        (tmp_path / "secrets.env").write_text("PARLEY_SECRET_KEY=own\nSOMETHING=else\n")
        kept = DataDir(tmp_path).secrets()
        assert kept["PARLEY_SECRET_KEY"] == "own"
        assert kept["PARLEY_ADMIN_PASSWORD"]
        assert "SOMETHING=else" in (tmp_path / "secrets.env").read_text()


def test_the_command_refuses_a_locked_directory(supervised: Start, tmp_path: Path) -> None:
    supervised()
    done = subprocess.run(
        [sys.executable, "-m", "services.local"],
        cwd=ROOT,
        env={
            "PATH": "/usr/bin:/bin",
            "PARLEY_DATA_DIR": str(tmp_path / "data"),
            "PARLEY_ORCHESTRATOR_PORT": "0",
            "PARLEY_GATEWAY_PORT": "0",
            "PARLEY_SIMULATOR_PORT": "0",
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert done.returncode == 1
    assert "Parley already runs" in done.stderr
