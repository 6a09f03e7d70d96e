"""What the simulator must not forget: errands still to run, messages that reached a platform, and a few notes."""

import itertools
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import msgspec

from services.channel_gateway.simulator.store import Row, Store

SCHEMA = """
CREATE TABLE IF NOT EXISTS errand (
    id INTEGER PRIMARY KEY, platform TEXT NOT NULL, channel_config_id TEXT NOT NULL, lane TEXT, batch TEXT,
    due REAL NOT NULL, attempts INTEGER NOT NULL, created REAL NOT NULL, data BLOB NOT NULL
);
CREATE TABLE IF NOT EXISTS sent (
    n INTEGER PRIMARY KEY, channel TEXT NOT NULL, channel_config_id TEXT NOT NULL, recipient TEXT NOT NULL, text TEXT,
    message_id TEXT, external_id TEXT NOT NULL, at REAL NOT NULL, payload BLOB NOT NULL
);
CREATE INDEX IF NOT EXISTS ix_sent_recipient ON sent (recipient, n);
CREATE INDEX IF NOT EXISTS ix_sent_channel_config_id ON sent (channel_config_id, n);
CREATE TABLE IF NOT EXISTS written (
    n INTEGER PRIMARY KEY, channel TEXT NOT NULL, channel_config_id TEXT NOT NULL, sender TEXT NOT NULL, text TEXT,
    external_id TEXT NOT NULL, at REAL NOT NULL
);
CREATE INDEX IF NOT EXISTS ix_written_sender ON written (sender, n);
CREATE TABLE IF NOT EXISTS note (name TEXT PRIMARY KEY, value BLOB NOT NULL);
"""

Statement = tuple[str, list[Row]]


@dataclass(slots=True, kw_only=True)
class Errand:
    """Something a platform owes a gateway, such as a webhook; repeated until it is done.

    Errands with the same `lane` run one after the other, in the order they were made; errands with the same `batch`
    may be carried out together. `due` and `created` are Unix times in seconds.
    """

    platform: str
    channel_config_id: str
    data: dict[str, Any]
    due: float
    lane: str | None = None
    batch: str | None = None
    attempts: int = 0
    created: float = 0.0
    id: int = 0


@dataclass(slots=True, kw_only=True)
class Sent:
    """One message that reached a platform. `message_id` is Parley's own id of it, where the platform was told."""

    channel: str
    channel_config_id: str
    to: str
    text: str | None
    message_id: str | None
    external_id: str
    payload: dict[str, Any]


@dataclass(slots=True, kw_only=True)
class Written:
    """One message that a customer wrote."""

    channel: str
    channel_config_id: str
    sender: str
    text: str | None
    external_id: str


class Records:
    """Typed access to the store. Numbers are given out here, so that order of acceptance is order of number."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._errand_ids = itertools.count(1)
        self._sent_numbers = itertools.count(1)
        self._written_numbers = itertools.count(1)

    async def load(self) -> list[Errand]:
        """Go on where the last process stopped; returns the errands that are still open, oldest first."""
        [(errand, sent, written)] = await self._store.read(
            "SELECT (SELECT coalesce(max(id), 0) FROM errand), (SELECT coalesce(max(n), 0) FROM sent),"
            " (SELECT coalesce(max(n), 0) FROM written)"
        )
        floor = await self.note("numbers") or {"sent": 0}
        self._errand_ids = itertools.count(errand + 1)
        self._sent_numbers = itertools.count(max(sent, floor["sent"]) + 1)
        self._written_numbers = itertools.count(written + 1)
        rows = await self._store.read(
            "SELECT platform, channel_config_id, data, due, lane, batch, attempts, created, id FROM errand ORDER BY id"
        )
        return [_errand(row) for row in rows]

    async def save(
        self, *, errands: list[Errand], sent: list[Sent], written: list[Written], notes: Sequence[tuple[str, Any]] = ()
    ) -> None:
        """Write all of it in one transaction. The errands get their ids."""
        moment = time.time()
        for errand in errands:
            errand.id, errand.created = next(self._errand_ids), moment
        statements: list[Statement] = [
            ("INSERT INTO errand VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", [_errand_row(errand) for errand in errands]),
            (
                "INSERT INTO sent VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                [(next(self._sent_numbers), *_sent_row(item, moment)) for item in sent],
            ),
            (
                "INSERT INTO written VALUES (?, ?, ?, ?, ?, ?, ?)",
                [(next(self._written_numbers), *_written_row(item, moment)) for item in written],
            ),
            (
                "INSERT OR REPLACE INTO note VALUES (?, ?)",
                [(name, msgspec.json.encode(value)) for name, value in notes],
            ),
        ]
        await self._store.write(*(statement for statement in statements if statement[1]))

    async def finish(self, errands: list[Errand]) -> None:
        """They are done."""
        await self._store.write(("DELETE FROM errand WHERE id = ?", [(errand.id,) for errand in errands]))

    async def postpone(self, errands: list[Errand]) -> None:
        """Remember when they are due again and how often they were tried."""
        rows = [(errand.due, errand.attempts, errand.id) for errand in errands]
        await self._store.write(("UPDATE errand SET due = ?, attempts = ? WHERE id = ?", rows))

    async def sent(
        self, *, channel: str | None, to: str | None, channel_config_id: str | None, after: int, limit: int
    ) -> list[dict[str, Any]]:
        """What reached the platforms, in order, from number `after` on."""
        wanted = {"channel": channel, "recipient": to, "channel_config_id": channel_config_id}
        where = "".join(f" AND {column} = ?" for column, value in wanted.items() if value is not None)
        rows = await self._store.read(
            "SELECT n, channel, channel_config_id, recipient, text, message_id, external_id, at, payload FROM sent"  # noqa: S608 - the columns are named above
            f" WHERE n > ?{where} ORDER BY n LIMIT ?",
            (after, *(value for value in wanted.values() if value is not None), limit),
        )
        return [_shown(row) for row in rows]

    async def written(self, channel_config_id: str, sender: str, limit: int) -> list[dict[str, Any]]:
        """A customer's latest messages, oldest first."""
        rows = await self._store.read(
            "SELECT n, text, external_id, at FROM (SELECT * FROM written WHERE sender = ? AND channel_config_id = ?"
            " ORDER BY n DESC LIMIT ?) ORDER BY n",
            (sender, channel_config_id, limit),
        )
        return [{"n": n, "text": text, "external_id": id_, "at": _time(at)} for n, text, id_, at in rows]

    async def clear_sent(self) -> None:
        """Forget what was sent and written; the numbering goes on."""
        floor = next(self._sent_numbers)
        numbers = msgspec.json.encode({"sent": floor})
        await self._store.write(
            ("INSERT OR REPLACE INTO note VALUES (?, ?)", [("numbers", numbers)]),
            ("DELETE FROM sent WHERE n < ?", [(floor,)]),
            ("DELETE FROM written WHERE true", [()]),
        )

    async def note(self, name: str) -> Any:
        """A remembered value, None if there is none."""
        rows = await self._store.read("SELECT value FROM note WHERE name = ?", (name,))
        return msgspec.json.decode(rows[0][0]) if rows else None

    async def notes(self, prefix: str) -> dict[str, Any]:
        """The remembered values whose names begin so."""
        rows = await self._store.read(
            "SELECT name, value FROM note WHERE name >= ? AND name < ?", (prefix, prefix + "\uffff")
        )
        return {name: msgspec.json.decode(value) for name, value in rows}

    async def close(self) -> None:
        """Close the store."""
        await self._store.close()


def _errand(row: Row) -> Errand:
    platform, channel_config_id, data, due, lane, batch, attempts, created, id_ = row
    return Errand(
        platform=platform,
        channel_config_id=channel_config_id,
        data=msgspec.json.decode(data),
        due=due,
        lane=lane,
        batch=batch,
        attempts=attempts,
        created=created,
        id=id_,
    )


def _errand_row(errand: Errand) -> Row:
    data = msgspec.json.encode(errand.data)
    place = (errand.id, errand.platform, errand.channel_config_id, errand.lane, errand.batch)
    return (*place, errand.due, errand.attempts, errand.created, data)


def _sent_row(item: Sent, at: float) -> Row:
    ids = (item.message_id, item.external_id)
    return (item.channel, item.channel_config_id, item.to, item.text, *ids, at, msgspec.json.encode(item.payload))


def _written_row(item: Written, at: float) -> Row:
    return (item.channel, item.channel_config_id, item.sender, item.text, item.external_id, at)


def _shown(row: Row) -> dict[str, Any]:
    n, channel, channel_config_id, to, text, message_id, external_id, at, payload = row
    return {
        "n": n,
        "channel": channel,
        "channel_config_id": channel_config_id,
        "to": to,
        "text": text,
        "message_id": message_id,
        "external_id": external_id,
        "at": _time(at),
        "payload": msgspec.json.decode(payload),
    }


def _time(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
