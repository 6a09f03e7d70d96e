"""The data directory of one installation: its lock, its generated secrets, and the processes that run on it."""

import fcntl
import json
import os
import secrets
from pathlib import Path
from typing import IO

import psutil

SECRET_NAMES = ("PARLEY_SECRET_KEY", "PARLEY_ADMIN_PASSWORD", "DEMO_PASSWORD")


class AlreadyRunning(Exception):
    """Another process uses the data directory; the message says which, and what to do."""


class DataDir:
    """The folder, locked for this process until it ends or closes it."""

    def __init__(self, path: Path) -> None:
        """Lock the folder, which is made if it is absent.

        Raises:
            AlreadyRunning: it is locked.
        """
        self.path = path.resolve()
        self.path.mkdir(parents=True, exist_ok=True)
        self.logs = self.path / "logs"
        self.logs.mkdir(exist_ok=True)
        self._pids_file = self.path / "pids.json"
        self._pids: dict[str, dict[str, float]] = {}
        self._lock = _lock(self.path)

    def close(self) -> None:
        """Let others use the folder."""
        self._lock.close()

    def secrets(self) -> dict[str, str]:
        """Secrets by name, from `secrets.env`. What is not there yet is made and kept."""
        file = self.path / "secrets.env"
        kept = (
            dict(line.split("=", 1) for line in file.read_text().splitlines() if "=" in line) if file.exists() else {}
        )
        missing = [name for name in SECRET_NAMES if not kept.get(name)]
        if missing:
            kept |= {name: _new_secret(name) for name in missing}
            _write(file, "".join(f"{name}={value}\n" for name, value in kept.items()))
        return kept

    def note(self, name: str, pid: int) -> None:
        """Remember a child, so that the next start can end it if this process cannot."""
        try:
            started = psutil.Process(pid).create_time()
        except psutil.NoSuchProcess:  # it has ended already
            return
        self._pids[name] = {"pid": pid, "started": started}
        _write(self._pids_file, json.dumps(self._pids, indent=1))

    def forget_all(self) -> None:
        """All children have ended."""
        self._pids.clear()
        self._pids_file.unlink(missing_ok=True)

    def leftovers(self) -> list[psutil.Process]:
        """Children of an earlier start that still run; a process id that another program has by now is not one."""
        if not self._pids_file.exists():
            return []
        found = []
        for noted in json.loads(self._pids_file.read_text()).values():
            try:
                process = psutil.Process(int(noted["pid"]))
                if abs(process.create_time() - noted["started"]) < 0.1:
                    found.append(process)
            except psutil.NoSuchProcess:
                continue
        return found


def _lock(folder: Path) -> IO[str]:
    file = (folder / "lock").open("a+")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.seek(0)
        holder = file.read().strip() or "unknown"
        file.close()
        raise AlreadyRunning(
            f"Parley already runs on {folder} (process {holder}). End that one first (Ctrl-C where it runs), "
            "or set PARLEY_DATA_DIR and the three ports to run a second one beside it."
        ) from None
    file.truncate(0)
    file.write(str(os.getpid()))
    file.flush()
    return file


def _new_secret(name: str) -> str:
    return secrets.token_hex(32) if name == "PARLEY_SECRET_KEY" else secrets.token_urlsafe(12)


def _write(file: Path, text: str) -> None:
    """Replace the file in one step; only its owner may read it."""
    unfinished = file.with_suffix(".new")
    unfinished.unlink(missing_ok=True)
    unfinished.touch(mode=0o600)
    unfinished.write_text(text)
    unfinished.replace(file)
