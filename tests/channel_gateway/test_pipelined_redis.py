"""The shared Redis connection: order, reconnection, time limits, and refusals."""

import asyncio

import hiredis
import pytest
from redis.asyncio import Redis

from services.channel_gateway.pipelined_redis import PipelinedRedis, RedisAway
from services.local.engines import free_port
from tests.conftest import Engines


async def connected(engines: Engines, **more: float) -> PipelinedRedis:
    link = PipelinedRedis(engines.redis_url, **more)  # type: ignore[arg-type]
    await link.start()
    return link


async def test_answers_come_to_their_callers(engines: Engines, redis: Redis) -> None:
    link = await connected(engines)
    answers = await asyncio.gather(*(link.call("ECHO", str(number)) for number in range(500)))
    assert answers == [str(number).encode() for number in range(500)]
    await link.close()


async def test_refusal_reaches_its_caller_alone(engines: Engines, redis: Redis) -> None:
    link = await connected(engines)
    await redis.set("text", "x")
    refused, fine = link.call("INCR", "text"), link.call("PING")
    with pytest.raises(hiredis.ReplyError):
        await refused
    assert await fine == b"PONG"
    await link.close()


async def test_caller_that_left_does_not_disturb_the_order(engines: Engines, redis: Redis) -> None:
    link = await connected(engines)
    gone, stays = link.call("ECHO", "gone"), link.call("ECHO", "stays")
    gone.cancel()
    assert await stays == b"stays"
    await link.close()


async def test_database_and_password_come_from_the_url(engines: Engines, redis: Redis) -> None:
    link = PipelinedRedis(engines.redis_url.removesuffix("/0") + "/3")
    await link.start()
    await link.call("SET", "here", "1")
    assert await redis.get("here") is None
    await link.close()


async def test_comes_back_after_a_lost_connection(engines: Engines, redis: Redis) -> None:
    prepared = 0

    async def prepare(link: PipelinedRedis) -> None:
        nonlocal prepared
        prepared += 1

    link = PipelinedRedis(engines.redis_url, prepare=prepare)
    await link.start()
    await redis.client_kill_filter(_type="normal", skipme=True)
    async with asyncio.timeout(5):
        while prepared < 2:
            await asyncio.sleep(0.01)
    assert await link.call("PING") == b"PONG"
    await link.close()


async def test_commands_on_their_way_fail_with_the_connection(engines: Engines, redis: Redis) -> None:
    link = await connected(engines)
    waiting = link.call("BLPOP", "never", "30")
    await asyncio.sleep(0.05)
    await redis.client_kill_filter(_type="normal", skipme=True)
    with pytest.raises(RedisAway):
        await waiting
    await link.close()


async def test_silence_is_given_up(engines: Engines, redis: Redis) -> None:
    link = await connected(engines, timeout=0.2)
    with pytest.raises(RedisAway):
        await asyncio.wait_for(link.call("BLPOP", "never", "30"), 2)
    await link.close()


async def test_nobody_there() -> None:
    link = PipelinedRedis(f"redis://127.0.0.1:{free_port()}/0", timeout=0.2)
    await link.start()
    with pytest.raises(RedisAway):
        link.call("PING")
    await link.close()


async def test_wrong_password(engines: Engines) -> None:
    link = PipelinedRedis(engines.redis_url.replace("redis://:", "redis://:wrong"), timeout=0.5)
    await link.start()
    assert not link.connected
    await link.close()


async def test_too_many_commands_are_refused_at_once(engines: Engines, redis: Redis) -> None:
    link = await connected(engines, max_waiting=3)
    calls = [link.call("PING") for _ in range(3)]
    with pytest.raises(RedisAway):
        link.call("PING")
    await asyncio.gather(*calls)
    await link.close()
