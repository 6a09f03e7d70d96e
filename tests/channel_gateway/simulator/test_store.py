"""The store: group commits, failures that stay with who caused them."""

import asyncio
import sqlite3
from pathlib import Path

import pytest

from services.channel_gateway.simulator.store import Store

SCHEMA = "CREATE TABLE IF NOT EXISTS thing (id INTEGER PRIMARY KEY, name TEXT NOT NULL)"
INSERT = "INSERT INTO thing VALUES (?, ?)"


async def test_what_was_written_is_there_after_opening_again(tmp_path: Path) -> None:
    store = Store(tmp_path / "folder" / "store.sqlite3", SCHEMA)
    await asyncio.gather(*(store.write((INSERT, [(number, "x")])) for number in range(200)))
    await store.close()
    again = Store(tmp_path / "folder" / "store.sqlite3", SCHEMA)
    assert await again.read("SELECT count(*) FROM thing") == [(200,)]
    await again.close()


async def test_failed_write_leaves_nothing_and_spares_its_neighbours(tmp_path: Path) -> None:
    store = Store(tmp_path / "store.sqlite3", SCHEMA)
    bad = store.write((INSERT, [(1, "first half")]), (INSERT, [(2, None)]))
    results = await asyncio.gather(bad, store.write((INSERT, [(3, "fine")])), return_exceptions=True)
    assert isinstance(results[0], sqlite3.IntegrityError)
    assert results[1] is None
    assert await store.read("SELECT id FROM thing") == [(3,)]
    await store.close()


async def test_caller_that_gives_up_does_not_disturb_the_writer(tmp_path: Path) -> None:
    store = Store(tmp_path / "store.sqlite3", SCHEMA)
    given_up = asyncio.create_task(store.write((INSERT, [(1, "x")])))
    await asyncio.sleep(0)
    given_up.cancel()
    with pytest.raises(asyncio.CancelledError):
        await given_up
    await store.write((INSERT, [(2, "y")]))
    assert await store.read("SELECT id FROM thing ORDER BY id") == [(1,), (2,)]
    await store.close()
