"""SQLite behind one writer thread: many writes, few commits.

Whatever is waiting when the thread comes round goes into one transaction (group commit), so that the cost of a commit
is shared under load and nobody waits for a timer when there is none. WAL with synchronous=NORMAL survives the death of
the process at any moment; only a power cut could take the last moments, which is enough for a simulator.
"""

import asyncio
import queue
import sqlite3
import threading
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Row = Sequence[Any]
_MOST_PER_COMMIT = 2000


@dataclass(slots=True)
class _Write:
    """Statements that are committed together, and who waits for it."""

    statements: Sequence[tuple[str, Iterable[Row]]]
    done: "asyncio.Future[None]"
    error: sqlite3.Error | None = field(default=None)


class Store:
    """A small durable database for one process."""

    def __init__(self, path: Path, schema: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._writer = _connect(path)
        self._writer.executescript(schema)
        self._reader = _connect(path)
        self._readers = ThreadPoolExecutor(1, thread_name_prefix="simulator-reader")
        self._queue: queue.SimpleQueue[_Write | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._write_forever, name="simulator-writer", daemon=True)
        self._thread.start()

    async def write(self, *statements: tuple[str, Iterable[Row]]) -> None:
        """Execute each statement with each of its rows of values; returns once all of it is committed.

        Raises:
            sqlite3.Error: one of the statements failed; none of this call's statements took effect.
        """
        done = asyncio.get_running_loop().create_future()
        self._queue.put(_Write(statements, done))
        await done

    async def read(self, sql: str, values: Row = ()) -> list[Row]:
        """All rows of a query, as of the last commit."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._readers, lambda: self._reader.execute(sql, values).fetchall())

    async def close(self) -> None:
        """Commit what is waiting, then close."""
        self._queue.put(None)
        await asyncio.to_thread(self._thread.join)
        self._readers.shutdown()
        self._writer.close()
        self._reader.close()

    def _write_forever(self) -> None:
        open_ended = True
        while open_ended:
            batch, open_ended = self._waiting()
            if batch:
                self._commit(batch)

    def _waiting(self) -> tuple[list[_Write], bool]:
        """Everything that waits by now, at least one; False when the end was asked for."""
        batch: list[_Write] = []
        item = self._queue.get()
        while item is not None:
            batch.append(item)
            if len(batch) >= _MOST_PER_COMMIT:
                return batch, True
            try:
                item = self._queue.get_nowait()
            except queue.Empty:
                return batch, True
        return batch, False

    def _commit(self, batch: list[_Write]) -> None:
        self._writer.execute("BEGIN IMMEDIATE")
        for write in batch:
            self._writer.execute("SAVEPOINT one")
            try:
                for sql, rows in write.statements:
                    self._writer.executemany(sql, rows)
            except sqlite3.Error as error:
                self._writer.execute("ROLLBACK TO one")
                write.error = error
            self._writer.execute("RELEASE one")
        self._writer.execute("COMMIT")
        loop = batch[0].done.get_loop()
        if not loop.is_closed():
            loop.call_soon_threadsafe(_resolve, batch)


def _resolve(batch: list[_Write]) -> None:
    for write in batch:
        if write.done.done():
            continue
        if write.error is None:
            write.done.set_result(None)
        else:
            write.done.set_exception(write.error)


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=10)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=NORMAL")
    return connection
