"""CPU time and memory of processes, with all their children.

CPU time hardly moves when other programs load the machine, so it is the steadiest figure of a benchmark.
"""

import os
from collections.abc import Mapping

import psutil


def family(pid: int) -> list[psutil.Process]:
    """The process and its descendants that are alive."""
    try:
        process = psutil.Process(pid)
        return [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def cpu_seconds(pid: int) -> float:
    """User and system time of a process, of its living children, and of those children that it has waited for."""
    total = 0.0
    for process in family(pid):
        try:
            times = process.cpu_times()
        except psutil.NoSuchProcess:
            continue
        total += times.user + times.system + times.children_user + times.children_system
    return total


def rss_megabytes(pid: int) -> float:
    """Resident memory of a process and its children, in MB; shared pages count in each."""
    return _megabytes([pid], "rss")


def pss_megabytes(pids: list[int]) -> float:
    """Resident memory of processes and their children, in MB; a page that N share counts 1/N in each."""
    return _megabytes(pids, "pss")


def _megabytes(pids: list[int], kind: str) -> float:
    total = 0
    for process in (member for pid in pids for member in family(pid)):
        try:
            total += getattr(process.memory_full_info() if kind == "pss" else process.memory_info(), kind)
        except psutil.NoSuchProcess:
            continue
    return total / 1e6


class CPUMeter:
    """CPU seconds of named processes since it was made."""

    def __init__(self, pids: Mapping[str, int]) -> None:
        self._pids = pids
        self._before = {name: cpu_seconds(pid) for name, pid in pids.items()}

    def seconds(self) -> dict[str, float]:
        """CPU seconds by name."""
        return {name: cpu_seconds(pid) - self._before[name] for name, pid in self._pids.items()}


def machine() -> dict[str, object]:
    """What the figures were measured on, in words, and how busy it was."""
    return {
        "cores": os.cpu_count(),
        "memory_gb": round(psutil.virtual_memory().total / 1e9),
        "load_average": [round(value, 1) for value in os.getloadavg()],
    }
