import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest
import pytest_asyncio
from redis.asyncio import Redis

from packages.core import streams
from packages.core.streams import Consumer, Entry
from tests.processes import KillableRedis

STREAM = "test:stream"
GROUP = "readers"


@dataclass(frozen=True)
class Order:
    number: int
    note: str = ""


@asynccontextmanager
async def collecting(consumer: Consumer, *, done: bool = True) -> AsyncIterator[list[Entry]]:
    """Run a consumer beside the test; what it read so far."""
    read: list[Entry] = []

    async def run() -> None:
        async for entries in consumer.batches():
            read.extend(entries)
            if done:
                await consumer.done(entries)

    task = asyncio.create_task(run())
    try:
        yield read
    finally:
        consumer.stop()
        await asyncio.wait_for(task, 10)


async def until(read: list[Entry], count: int, seconds: float = 15) -> None:
    async with asyncio.timeout(seconds):
        while len(read) < count:
            await asyncio.sleep(0.01)


def consumer(redis: Redis, **options: int) -> Consumer:
    return Consumer(redis, STREAM, GROUP, **{"block_ms": 50, "idle_ms": 10_000, **options})


def numbers(entries: list[Entry]) -> list[int]:
    return [entry.decode(Order).number for entry in entries]


class TestPublish:
    async def test_keeps_the_order(self, redis: Redis) -> None:
        await streams.publish(redis, STREAM, [Order(number) for number in range(5)])
        async with collecting(consumer(redis)) as read:
            await until(read, 5)
        assert numbers(read) == [0, 1, 2, 3, 4]

    async def test_nothing_is_no_round_trip(self, redis: Redis) -> None:
        await streams.publish(redis, STREAM, [])
        assert not await redis.exists(STREAM)

    async def test_carries_any_text(self, redis: Redis) -> None:
        await streams.publish(redis, STREAM, [Order(1, "žluťoučký 🐎\n\x00")])
        async with collecting(consumer(redis)) as read:
            await until(read, 1)
        assert read[0].decode(Order).note == "žluťoučký 🐎\n\x00"


class TestDecode:
    def test_refuses_another_form(self) -> None:
        with pytest.raises(msgspec.ValidationError):
            Entry(b"1-0", b'{"number": "many"}').decode(Order)


class TestConsumer:
    async def test_reads_batches_of_limited_size(self, redis: Redis) -> None:
        await streams.publish(redis, STREAM, [Order(number) for number in range(7)])
        sizes = []
        reader = consumer(redis, count=3)
        async for entries in reader.batches():
            sizes.append(len(entries))
            await reader.done(entries)
            if sum(sizes) == 7:
                reader.stop()
        assert sizes == [3, 3, 1]

    async def test_what_is_done_leaves_the_stream(self, redis: Redis) -> None:
        await streams.publish(redis, STREAM, [Order(1), Order(2)])
        async with collecting(consumer(redis)) as read:
            await until(read, 2)
        assert await redis.xlen(STREAM) == 0
        assert (await redis.xpending(STREAM, GROUP))["pending"] == 0

    async def test_what_is_not_done_stays(self, redis: Redis) -> None:
        await streams.publish(redis, STREAM, [Order(1)])
        async with collecting(consumer(redis), done=False) as read:
            await until(read, 1)
        assert await redis.xlen(STREAM) == 1

    async def test_reads_what_was_published_before_its_group_existed(self, redis: Redis) -> None:
        await streams.publish(redis, STREAM, [Order(1)])
        async with collecting(consumer(redis)) as read:
            await until(read, 1)
        assert numbers(read) == [1]

    async def test_two_of_a_group_share_the_work(self, redis: Redis) -> None:
        await streams.publish(redis, STREAM, [Order(number) for number in range(40)])
        async with collecting(consumer(redis, count=2)) as first, collecting(consumer(redis, count=2)) as second:
            async with asyncio.timeout(10):
                while len(first) + len(second) < 40:
                    await asyncio.sleep(0.01)
        assert sorted(numbers(first) + numbers(second)) == list(range(40))

    async def test_stops_at_once_although_nothing_comes(self, redis: Redis) -> None:
        async with asyncio.timeout(2), collecting(consumer(redis)):
            await asyncio.sleep(0.1)
        assert await redis.exists(STREAM)

    async def test_passes_over_foreign_entries(self, redis: Redis) -> None:
        await redis.xadd(STREAM, {"other": "x"})
        await streams.publish(redis, STREAM, [Order(1)])
        async with collecting(consumer(redis)) as read:
            await until(read, 1)
        assert numbers(read) == [1]


class TestTakeOver:
    async def _die_with(self, redis: Redis, count: int) -> None:
        """A consumer reads and is never heard of again."""
        await streams.publish(redis, STREAM, [Order(number) for number in range(count)])
        await redis.xgroup_create(STREAM, GROUP, id="0")
        await redis.xreadgroup(GROUP, "dead-consumer", {STREAM: ">"}, count=count)

    async def test_what_a_dead_consumer_left_is_read(self, redis: Redis) -> None:
        await self._die_with(redis, 3)
        await asyncio.sleep(0.1)
        async with collecting(consumer(redis, idle_ms=50)) as read:
            await until(read, 3)
        assert numbers(read) == [0, 1, 2]
        assert await redis.xlen(STREAM) == 0

    async def test_more_than_one_batch_is_taken_over(self, redis: Redis) -> None:
        await self._die_with(redis, 25)
        await asyncio.sleep(0.1)
        async with collecting(consumer(redis, idle_ms=50, count=10)) as read:
            await until(read, 25)
        assert sorted(numbers(read)) == list(range(25))

    async def test_what_a_live_consumer_works_on_is_left_to_it(self, redis: Redis) -> None:
        await self._die_with(redis, 3)
        async with collecting(consumer(redis, idle_ms=60_000)) as read:
            await streams.publish(redis, STREAM, [Order(99)])
            await until(read, 1)
            await asyncio.sleep(0.2)
        assert numbers(read) == [99]

    async def test_dead_entries_do_not_keep_new_ones_waiting(self, redis: Redis) -> None:
        await self._die_with(redis, 3)
        await asyncio.sleep(0.1)
        async with collecting(consumer(redis, idle_ms=50)) as read:
            await streams.publish(redis, STREAM, [Order(99)])
            await until(read, 4)
        assert sorted(numbers(read)) == [0, 1, 2, 99]


class TestSetAside:
    async def test_moves_the_entry_to_the_dead_letters(self, redis: Redis) -> None:
        await redis.xadd(STREAM, {"d": b"not json"})
        reader = consumer(redis)
        async for entries in reader.batches():
            await reader.set_aside(entries[0], "cannot be decoded" + "!" * 1000)
            reader.stop()
        ((_, fields),) = await redis.xrange(STREAM + streams.DEAD)
        assert fields[b"d"] == b"not json"
        assert len(fields[b"reason"]) == 500
        assert await redis.xlen(STREAM) == 0


class TestLiveChannel:
    async def test_reaches_whoever_listens(self, redis: Redis) -> None:
        listener = redis.pubsub()
        await listener.subscribe(streams.live_channel("t1"), streams.live_channel("t2"))
        await streams.announce(redis, streams.live_channel("t1"), {"type": "x", "data": {"n": 1}})
        received = [await listener.get_message(timeout=1) for _ in range(3)]
        await listener.aclose()  # type: ignore[no-untyped-call]
        assert received[-1] is not None
        assert (received[-1]["channel"], msgspec.json.decode(received[-1]["data"])) == (
            b"parley:live:t1",
            {"type": "x", "data": {"n": 1}},
        )

    async def test_a_redis_that_is_away_is_only_logged(self, capsys: pytest.CaptureFixture[str]) -> None:
        away = Redis(host="127.0.0.1", port=1, socket_connect_timeout=0.5)
        await streams.announce(away, "parley:live:t1", {})
        assert "announce_failed" in capsys.readouterr().out


class TestForgetfulRedis:
    async def test_makes_its_group_anew_after_everything_was_deleted(self, redis: Redis) -> None:
        async with collecting(consumer(redis)) as read:
            await streams.publish(redis, STREAM, [Order(1)])
            await until(read, 1)
            await redis.flushall()
            await streams.publish(redis, STREAM, [Order(2)])
            await until(read, 2)
        assert numbers(read) == [1, 2]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[KillableRedis]:
    with KillableRedis(tmp_path / "redis") as server:
        yield server


@pytest_asyncio.fixture
async def client(server: KillableRedis) -> AsyncIterator[Redis]:
    client = streams.connect(server.url)
    yield client
    await client.aclose()


async def publish_anew(server: KillableRedis, payloads: list[Order]) -> None:
    """Publish on a new connection: that of before died with the server."""
    async with streams.connect(server.url) as fresh:
        await streams.publish(fresh, STREAM, payloads)


class TestRestartedRedis:
    async def test_goes_on_where_it_was(self, server: KillableRedis, client: Redis) -> None:
        async with collecting(consumer(client)) as read:
            await streams.publish(client, STREAM, [Order(1)])
            await until(read, 1)
            server.kill()
            await asyncio.sleep(0.3)
            server.start()
            await publish_anew(server, [Order(2)])
            await until(read, 2)
        assert numbers(read) == [1, 2]

    async def test_what_was_published_survives_a_kill(self, server: KillableRedis, client: Redis) -> None:
        await streams.publish(client, STREAM, [Order(number) for number in range(10)])
        server.kill()
        server.start()
        async with collecting(consumer(client)) as read:
            await until(read, 10)
        assert numbers(read) == list(range(10))

    async def test_waits_for_a_redis_that_is_not_there_yet(self, server: KillableRedis, client: Redis) -> None:
        server.kill()
        async with collecting(consumer(client)) as read:
            await asyncio.sleep(0.3)
            server.start()
            await publish_anew(server, [Order(1)])
            await until(read, 1)
        assert numbers(read) == [1]

    async def test_done_tells_of_a_redis_that_is_away(
        self, server: KillableRedis, client: Redis, capsys: pytest.CaptureFixture[str]
    ) -> None:
        server.kill()
        await consumer(client).done([Entry(b"1-0", b"{}")])
        assert "stream_ack_failed" in capsys.readouterr().out
