"""The courier: repeats, lanes, limits."""

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import pytest_asyncio

from packages.core.errors import Unavailable
from services.channel_gateway.simulator import courier as module
from services.channel_gateway.simulator.courier import Courier, Receipt
from services.channel_gateway.simulator.records import SCHEMA, Errand, Records
from services.channel_gateway.simulator.store import Store
from tests.channel_gateway.simulator.gateway_double import eventually


def errand(name: str, lane: str | None = None) -> Errand:
    return Errand(platform="p", channel_config_id="c", data={"name": name}, due=time.time(), lane=lane)


class Road:
    """What the courier meets: every name's attempts, and how often each still fails."""

    def __init__(self) -> None:
        self.attempts: list[tuple[str, float]] = []
        self.failures: dict[str, int] = {}

    @property
    def names(self) -> list[str]:
        return [name for name, _at in self.attempts]

    async def carry(self, errands: list[Errand]) -> Receipt:
        name = errands[0].data["name"]
        self.attempts.append((name, time.monotonic()))
        if name == "broken" and len(self.attempts) == 1:
            raise RuntimeError("a fault of the platform's own code")
        if self.failures.get(name, 0) > 0:
            self.failures[name] -= 1
            return Receipt(False, 503)
        return Receipt(True, 200)


@pytest.fixture
def road() -> Road:
    return Road()


@pytest_asyncio.fixture
async def records(tmp_path: Path) -> AsyncIterator[Records]:
    records = Records(Store(tmp_path / "store.sqlite3", SCHEMA))
    await records.load()
    yield records
    await records.close()


@pytest_asyncio.fixture
async def make_courier(records: Records, road: Road) -> AsyncIterator[Callable[[], Courier]]:
    started: list[tuple[Courier, asyncio.Task[None]]] = []

    def make() -> Courier:
        courier = Courier(records, road.carry, lambda _platform: 0.0, first_pause=0.05, longest_pause=0.1)
        started.append((courier, asyncio.create_task(courier.run())))
        return courier

    yield make
    for courier, task in started:
        task.cancel()
        await courier.finish()


async def test_pauses_grow_up_to_the_longest(make_courier: Callable[[], Courier], road: Road) -> None:
    road.failures = {"a": 3}
    courier = make_courier()
    await courier.add([errand("a")])
    await eventually(lambda: courier.pending == 0)
    times = [at for _name, at in road.attempts]
    pauses = [after - before for before, after in itertools.pairwise(times)]
    assert pauses[0] >= 0.045
    assert all(pause >= 0.09 for pause in pauses[1:])


async def test_lane_keeps_its_order_and_does_not_hold_others_up(
    make_courier: Callable[[], Courier], road: Road
) -> None:
    road.failures = {"a1": 2}
    courier = make_courier()
    await courier.add([errand("a1", "a"), errand("a2", "a"), errand("b1", "b"), errand("free")])
    await eventually(lambda: courier.pending == 0)
    assert road.names.index("b1") < 3
    assert [name for name in road.names if name.startswith("a")] == ["a1", "a1", "a1", "a2"]


async def test_open_errands_are_resumed_in_their_order(
    make_courier: Callable[[], Courier], records: Records, road: Road
) -> None:
    late = [errand("a1", "a"), errand("a2", "a")]
    late[0].due += 0.2
    await records.save(errands=late, sent=[], written=[])
    found = await records.load()
    assert [item.data["name"] for item in found] == ["a1", "a2"]
    courier = make_courier()
    courier.resume(found)
    await eventually(lambda: courier.pending == 0)
    assert road.names == ["a1", "a2"]
    assert await records.load() == []


async def test_crash_of_a_platform_is_repeated(make_courier: Callable[[], Courier], road: Road) -> None:
    courier = make_courier()
    await courier.add([errand("broken")])
    await eventually(lambda: courier.pending == 0)
    assert road.names == ["broken", "broken"]


async def test_errand_is_given_up_after_a_week(
    make_courier: Callable[[], Courier], road: Road, records: Records
) -> None:
    road.failures = {"a": 100}
    old = errand("a")
    await records.save(errands=[old], sent=[], written=[])
    old.created -= module.GIVE_UP_AFTER + 1
    courier = make_courier()
    courier.resume([old])
    await eventually(lambda: courier.pending == 0)
    assert road.names == ["a"]


async def test_too_many_open_errands_are_refused(
    make_courier: Callable[[], Courier], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_PENDING", 1)
    with pytest.raises(Unavailable):
        await make_courier().add([errand("a"), errand("b")])
