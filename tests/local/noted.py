"""What a data directory notes of its processes."""

import json
from pathlib import Path

import psutil


def pids(data: Path) -> dict[str, int]:
    """The process ids by name that a data directory notes."""
    file = data / "pids.json"
    return {name: int(noted["pid"]) for name, noted in json.loads(file.read_text()).items()} if file.exists() else {}


def alive(pid: int) -> bool:
    """Whether a process runs (a zombie does not)."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
