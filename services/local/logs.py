"""The log files of child processes: kept within bounds, and searched for what a person at the console must see."""

import json
import re
import shutil
import time
from collections import Counter
from pathlib import Path

MAX_BYTES = 20_000_000
SHOWN_PER_READ = 8
_SEVERE = frozenset({"warning", "error", "critical"})
_SEVERE_TEXT = re.compile(r"error|exception|traceback|critical|fatal|warning", re.IGNORECASE)
_VARYING = re.compile(r"[0-9a-f]{8,}|[\d.:]+")
_LEFT_OUT = frozenset({"level", "event", "timestamp", "service", "logger", "trace_id", "span_id", "exception"})


def rotate(log: Path, max_bytes: int = MAX_BYTES) -> None:
    """Move a log that has grown too long aside (one old copy is kept).

    It is copied and emptied rather than renamed, so that a process which appends to it can go on.
    """
    if log.exists() and log.stat().st_size > max_bytes:
        shutil.copyfile(log, log.with_name(log.name + ".1"))
        with log.open("r+b") as file:
            file.truncate(0)


def last_lines(log: Path, count: int = 15) -> list[str]:
    """The end of a log."""
    if not log.exists():
        return []
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - 64_000))
        return file.read().decode(errors="replace").splitlines()[-count:]


class Tail:
    """Reads what was appended to a log since the last look, and picks warnings, errors and crashes.

    The same message again within `repeat_seconds` is counted, not shown.
    """

    def __init__(self, log: Path, *, repeat_seconds: float = 60.0) -> None:
        self._log = log
        self._repeat_seconds = repeat_seconds
        self._position = log.stat().st_size if log.exists() else 0
        self._shown_at: dict[str, float] = {}
        self._repeats: Counter[str] = Counter()

    def severe(self) -> list[str]:
        """New lines worth showing, at most `SHOWN_PER_READ` and a line that says how many more there are."""
        lines = [line for line in map(self._once, filter(None, map(_shown, self._new_lines()))) if line]
        more = len(lines) - SHOWN_PER_READ
        return [*lines[:SHOWN_PER_READ], f"… and {more} more lines, see {self._log}"] if more > 0 else lines

    def _once(self, line: str) -> str | None:
        kind, now = _VARYING.sub("", line), time.monotonic()
        if now - self._shown_at.get(kind, -self._repeat_seconds) < self._repeat_seconds:
            self._repeats[kind] += 1
            return None
        if len(self._shown_at) > 1000:  # messages without end, each of its own kind
            self._shown_at.clear()
            self._repeats.clear()
        self._shown_at[kind] = now
        repeats = self._repeats.pop(kind, 0)
        return f"{line} (and {repeats} times before)" if repeats else line

    def _new_lines(self) -> list[str]:
        try:
            size = self._log.stat().st_size
        except FileNotFoundError:
            return []
        if size < self._position:  # rotated
            self._position = 0
        with self._log.open("rb") as file:
            file.seek(self._position)
            data = file.read()
        whole = data.rfind(b"\n") + 1
        self._position += whole
        return data[:whole].decode(errors="replace").splitlines()


def _shown(line: str) -> str | None:
    try:
        entry = json.loads(line)
    except ValueError:
        return line if _SEVERE_TEXT.search(line) else None
    if not isinstance(entry, dict) or entry.get("level") not in _SEVERE:
        return None
    fields = " ".join(f"{name}={value}" for name, value in entry.items() if name not in _LEFT_OUT)
    cause = str(entry.get("exception", "")).strip().rsplit("\n", 1)[-1]
    event = str(entry.get("event")).split("\n", 1)[0]
    return " ".join(part for part in (f"{entry['level']}: {event}", fields, cause) if part)
