"""What is remembered, where, and by whom it is worked out."""

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from redis.asyncio import Redis

from packages.rag.caches import LOOKUPS, SharedMemory, TieredCache
from tests.conftest import Engines


class Work:
    """Counts how often it is done."""

    def __init__(self, value: str = "value", seconds: float = 0.0) -> None:
        self.value, self.seconds, self.done = value, seconds, 0

    async def __call__(self) -> str:
        self.done += 1
        await asyncio.sleep(self.seconds)
        return self.value


def cache(client: "Redis | None" = None, max_bytes: int = 10_000) -> TieredCache[str]:
    """As one process has it."""
    return TieredCache(
        name="test", encode=str.encode, decode=bytes.decode, size=len, max_bytes=max_bytes, shared=SharedMemory(client)
    )


@pytest_asyncio.fixture
async def lost_redis() -> AsyncIterator[Redis]:
    """Nobody listens there."""
    client: Redis = Redis.from_url("redis://127.0.0.1:1/0", socket_connect_timeout=0.2)
    yield client
    await client.aclose()


async def test_a_value_is_worked_out_once() -> None:
    kept, work = cache(), Work()
    assert [await kept.get("key", work) for _ in range(3)] == ["value"] * 3
    assert work.done == 1


async def test_what_many_ask_at_once_is_worked_out_once() -> None:
    kept, work = cache(), Work(seconds=0.05)
    assert await asyncio.gather(*(kept.get("key", work) for _ in range(20))) == ["value"] * 20
    assert work.done == 1


async def test_one_who_gives_up_leaves_the_answer_to_the_others() -> None:
    kept, work = cache(), Work(seconds=0.05)
    first = asyncio.create_task(kept.get("key", work))
    await asyncio.sleep(0.01)
    second = asyncio.create_task(kept.get("key", work))
    await asyncio.sleep(0)
    first.cancel()
    assert await second == "value"
    assert work.done == 1


async def test_a_failure_reaches_all_and_is_not_remembered() -> None:
    kept, work = cache(), Work()

    async def fail() -> str:
        await asyncio.sleep(0.01)
        raise ConnectionError

    failed = await asyncio.gather(*(kept.get("key", fail) for _ in range(2)), return_exceptions=True)
    assert [type(error) for error in failed] == [ConnectionError] * 2
    assert await kept.get("key", work) == "value"


async def test_memory_is_bounded_in_bytes() -> None:
    kept, work = cache(max_bytes=2000), Work("x" * 1000)
    await kept.get("first", work)
    await kept.get("second", work)
    await kept.get("first", work)
    assert work.done == 3


async def test_a_value_that_does_not_fit_is_not_kept() -> None:
    kept, work = cache(max_bytes=500), Work("x" * 1000)
    assert len(await kept.get("key", work)) == 1000
    await kept.get("key", work)
    assert work.done == 2


async def test_another_process_finds_it_in_redis(redis: Redis) -> None:
    work = Work()
    await cache(redis).get("key", work)
    before = LOOKUPS.labels("test", "redis")._value.get()
    assert await cache(redis).get("key", work) == "value"
    assert work.done == 1
    assert LOOKUPS.labels("test", "redis")._value.get() == before + 1
    assert 0 < await redis.ttl("parley:test:key") <= 600


async def test_of_two_processes_one_works_it_out(redis: Redis) -> None:
    work = Work(seconds=0.1)
    both = await asyncio.gather(cache(redis).get("key", work), cache(redis).get("key", work))
    assert list(both) == ["value"] * 2
    assert work.done == 1


async def test_a_failure_lets_another_process_try_at_once(redis: Redis) -> None:
    async def fail() -> str:
        raise ConnectionError

    with pytest.raises(ConnectionError):
        await cache(redis).get("key", fail)
    assert await redis.exists("parley:test:key:lock") == 0


async def test_the_lock_of_a_process_that_died_delays_only_a_little(redis: Redis) -> None:
    await redis.set("parley:test:key:lock", "1", px=60_000)
    async with asyncio.timeout(3):
        assert await cache(redis).get("key", Work()) == "value"


async def test_without_redis_the_process_remembers_alone(lost_redis: Redis) -> None:
    kept, work = cache(lost_redis), Work()
    assert [await kept.get("key", work) for _ in range(2)] == ["value"] * 2
    assert work.done == 1
    assert not kept.shared.is_there


async def test_bytes_that_cannot_be_read_are_worked_out_anew(redis: Redis, engines: Engines) -> None:
    await redis.set("parley:test:key", b"\xff\xfe")
    assert await cache(redis).get("key", Work()) == "value"
