"""kill -9 of every part under load: nothing lost, nothing answered twice, every conversation in order."""

import asyncio
import random

import httpx
import pytest
from redis.asyncio import Redis

from tests.faults.conftest import Stage
from tests.faults.traffic import Traffic, books, settled

PARTS = ("gateway", "orchestrator", "worker", "redis")
EMPTY_WHEN_TAKEN_IN = """
if redis.call('XLEN', KEYS[1]) > 0 then return 0 end
redis.call('FLUSHALL')
return 1
"""
pytestmark = [pytest.mark.faults, pytest.mark.timeout(900)]


async def _kill_at_random(stage: Stage, times: int, within: float, seed: int) -> list[str]:
    """kill -9 each part `times` times; the supervisor starts it again."""
    dice = random.Random(seed)
    plan = sorted((dice.uniform(1, within), part) for part in PARTS for _ in range(times))
    killed, before = [], 0.0
    for moment, part in plan:
        await asyncio.sleep(moment - before)
        before = moment
        stage.product.kill(part)
        killed.append(part)
    return killed


async def _check(stage: Stage, messages: int) -> None:
    found = await books(stage.product)
    assert found.inbound == messages
    assert found.unanswered == 0
    assert found.failed == 0
    assert found.missing == set()
    assert found.unknown == set()
    assert found.doubled == []
    assert found.out_of_order == []


async def _stored(stage: Stage) -> int:
    (row,) = await stage.product.sql("SELECT count(*) AS n FROM message_log WHERE direction = 'inbound'")
    return int(row["n"])


def _accounts(stage: Stage) -> list[tuple[str, str]]:
    return [("whatsapp", stage.first["whatsapp"]), ("webchat", stage.first["webchat"])]


class TestKills:
    async def test_three_messages_within_a_second_get_one_answer(self, stage: Stage) -> None:
        before = len((await books(stage.product)).replies)
        traffic = Traffic(stage.product, [("whatsapp", stage.first["whatsapp"])], 1, 3, seed=7)
        traffic._answer = lambda *_: asyncio.sleep(0.3)  # type: ignore[method-assign]
        await traffic.run()
        await settled(stage.product, 3, 60)
        assert len((await books(stage.product)).replies) == before + 1
        await _check(stage, 3)

    async def test_2000_messages_while_every_part_is_killed_three_times(self, stage: Stage) -> None:
        before = await _stored(stage)
        traffic = Traffic(stage.product, _accounts(stage), 100, 20)
        load = asyncio.create_task(traffic.run())
        killed = await _kill_at_random(stage, times=3, within=75, seed=11)
        await load
        assert sorted(killed) == sorted(PARTS * 3)
        assert sum(traffic.sent.values()) == 2000
        await settled(stage.product, before + 2000, 240)
        await _check(stage, before + 2000)

    async def test_an_emptied_redis_after_intake_loses_nothing(self, stage: Stage) -> None:
        before = await _stored(stage)
        traffic = Traffic(stage.product, _accounts(stage), 50, 4, seed=3)
        load = asyncio.create_task(traffic.run())
        redis: Redis = Redis.from_url(stage.product.redis_url)
        for _ in range(3):
            await asyncio.sleep(3)
            while not await redis.eval(EMPTY_WHEN_TAKEN_IN, 1, "parley:inbound"):  # type: ignore[misc]
                await asyncio.sleep(0.002)
        await redis.aclose()
        await load
        await settled(stage.product, before + 200, 120)
        await _check(stage, before + 200)

    async def test_every_webhook_three_times_is_one_message(self, stage: Stage) -> None:
        before = await _stored(stage)
        traffic = Traffic(stage.product, _accounts(stage)[:1], 40, 3, seed=5, duplicates=2)
        await traffic.run()
        await settled(stage.product, before + 120, 120)
        await _check(stage, before + 120)

    async def test_batches_of_mixed_accounts_three_times_each(self, stage: Stage) -> None:
        before = await _stored(stage)
        accounts = (stage.first["whatsapp"], stage.second["whatsapp"])
        async with httpx.AsyncClient(base_url=stage.product.url("simulator"), timeout=30) as http:
            for number in range(5):
                lines = [
                    {
                        "from": f"4477008{number:02d}{place:02d}",
                        "text": "hello",
                        "channel_config_id": accounts[place % 2],
                    }
                    for place in range(20)
                ]
                answer = await http.post(f"/simulate/whatsapp/{accounts[0]}", json={"batch": lines, "duplicates": 2})
                assert answer.status_code == 202, answer.text
        await settled(stage.product, before + 100, 120)
        await _check(stage, before + 100)
        rows = await stage.product.sql(
            "SELECT c.channel_config_id::text AS account, count(*) AS n FROM message_log m "
            "JOIN conversation c ON c.id = m.conversation_id AND c.tenant_id = m.tenant_id "
            "WHERE m.direction = 'inbound' AND c.recipient LIKE '4477008%' GROUP BY 1"
        )
        assert {row["account"]: row["n"] for row in rows} == dict.fromkeys(accounts, 50)
