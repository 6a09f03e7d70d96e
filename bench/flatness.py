"""Flatness: what a turn costs must not grow with tenants, with stored messages, or with a conversation's history.

Two loads of the same size alternate, which differ in that one thing. For stored messages these are two installations
side by side, one of them filled; the other two comparisons take place in one installation.
"""

import itertools
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

from bench.conversations import Outcome, Pace
from bench.report import Section
from bench.stack import Stack
from bench.tenants import Brand
from bench.turns import SERVICES, WARM_UP_SECONDS, Site, site

TENANTS = 100
CUSTOMERS = 100
PAUSE_SECONDS = 8.0
MESSAGES, FEW_MESSAGES = 400, 10
STORED = 1_000_000
BATCH_CONVERSATIONS = 1000
_numbers = itertools.count(int(time.time()) % 1_000_000 * 1000)

FILL = """
WITH account AS (SELECT * FROM channel_config WHERE id = $1),
made AS (
  SELECT gen_random_uuid() AS customer, gen_random_uuid() AS conversation, recipient
  FROM unnest($2::text[]) AS recipient),
people AS (
  INSERT INTO customer (id, created_at, tenant_id, brand_id, attributes)
  SELECT customer, now(), tenant_id, brand_id, '{}' FROM made, account),
identities AS (
  INSERT INTO customer_identity (id, created_at, tenant_id, channel_config_id, external_id, customer_id)
  SELECT gen_random_uuid(), now(), tenant_id, account.id, recipient, customer FROM made, account),
talks AS (
  INSERT INTO conversation (id, created_at, tenant_id, brand_id, channel_config_id, customer_id, recipient, status,
    owner, epoch, last_message_at, last_customer_message_at)
  SELECT conversation, now(), tenant_id, brand_id, account.id, customer, recipient, 'open', 'bot', $3, now(), now()
  FROM made, account)
SELECT conversation, (SELECT tenant_id FROM account) AS tenant_id FROM made
"""
TALK = """
INSERT INTO message_log (id, created_at, tenant_id, conversation_id, direction, author, kind, text, content, status,
  citations, context, answered_by, sent_at)
SELECT gen_random_uuid(), at, $2, conversation, direction, author, 'text',
  'Message ' || number || ': where is my parcel, and when will the next bag of beans arrive?', '{}',
  CASE direction WHEN 'inbound' THEN 'received' ELSE 'delivered' END, '[]', '[]',
  CASE direction WHEN 'inbound' THEN gen_random_uuid() END, at
FROM unnest($1::uuid[]) AS conversation, generate_series(1, $3::int) AS number,
  LATERAL (SELECT now() - (1000 - number) * interval '1 minute' AS at,
    CASE number % 2 WHEN 1 THEN 'inbound' ELSE 'outbound' END AS direction,
    CASE number % 2 WHEN 1 THEN 'customer' ELSE 'bot' END AS author) AS side
"""
Run = Callable[[], Awaitable[Outcome]]


async def measure(rounds: int, seconds: float) -> AsyncIterator[Section]:
    """Tenants, history, stored messages."""
    pace = Pace(CUSTOMERS, PAUSE_SECONDS, WARM_UP_SECONDS, seconds)
    async with site(TENANTS, local_embedder=False, articles=1) as on:
        yield await _tenants(on, pace, rounds)
        yield await _history(on, pace, rounds)
    async with site(1, local_embedder=False, articles=1) as empty, site(1, local_embedder=False, articles=1) as full:
        await _store(full, STORED)
        runs = (lambda: empty.run(pace), lambda: full.run(pace))
        title = f"flatness_stored: an empty installation, and one with {STORED:,} stored messages"
        yield await _compare(title, "1,000,000 / 0 messages", runs, rounds)


async def _tenants(on: Site, pace: Pace, rounds: int) -> Section:
    spread = Pace(CUSTOMERS // TENANTS, pace.pause, pace.warm_up, pace.measured)
    runs = (lambda: on.run(pace, on.brands[:1]), lambda: on.run(spread))
    title = f"flatness_tenants: {CUSTOMERS} customers of one tenant, and of {TENANTS} tenants"
    return await _compare(title, "100 tenants / 1 tenant", runs, rounds)


async def _history(on: Site, pace: Pace, rounds: int) -> Section:
    brand = on.brands[0]
    few = await _make_conversations(on.stack, brand, CUSTOMERS, FEW_MESSAGES)
    many = await _make_conversations(on.stack, brand, CUSTOMERS, MESSAGES)
    await on.stack.sql("VACUUM ANALYZE")

    def run(users: Sequence[str]) -> Run:
        return lambda: on.run(Pace(0, pace.pause, pace.warm_up, pace.measured, users), [brand])

    title = f"flatness_history: conversations with {FEW_MESSAGES} messages, and with {MESSAGES}"
    return await _compare(title, "400 / 10 messages of history", (run(few), run(many)), rounds)


async def _store(on: Site, messages: int) -> None:
    each = 100
    for _ in range(messages // (each * BATCH_CONVERSATIONS)):
        await _make_conversations(on.stack, on.brands[0], BATCH_CONVERSATIONS, each)
    await on.stack.sql("VACUUM ANALYZE")


async def _make_conversations(stack: Stack, brand: Brand, count: int, messages: int) -> list[str]:
    """Conversations that look as if they had been held; returns the customers' numbers."""
    users = [f"45{next(_numbers):012d}" for _ in range(count)]
    made = await stack.sql(FILL, brand.channel_config_id, users, messages // 2)
    await stack.sql(TALK, [row["conversation"] for row in made], made[0]["tenant_id"], messages)
    return users


async def _compare(title: str, ratio: str, runs: tuple[Run, Run], rounds: int) -> Section:
    """Alternate both; goals hold for the second by the first."""
    small, large = [], []
    for _ in range(rounds):
        small.append(await runs[0]())
        large.append(await runs[1]())
    section = Section(title)
    cpu = [_cpu(much) / _cpu(little) for little, much in zip(small, large, strict=True)]
    late = [much.overhead(0.95) / little.overhead(0.95) for little, much in zip(small, large, strict=True)]
    section.add(f"CPU of a turn, {ratio}", cpu, "×", floor=1.25, aim=1.1)
    section.add(f"overhead p95, {ratio}", late, "×", floor=1.25, aim=1.1)
    section.add("CPU of a turn, all processes, first", [_cpu(run) for run in small], "ms")
    section.add("CPU of a turn, all processes, second", [_cpu(run) for run in large], "ms")
    section.add("overhead p95, first", [run.overhead(0.95) for run in small], "ms")
    section.add("overhead p95, second", [run.overhead(0.95) for run in large], "ms")
    section.add("lost or doubled", [run.lost + run.doubled for run in (*small, *large)], floor=0, aim=0)
    return section


def _cpu(run: Outcome) -> float:
    return run.cpu_per_turn(*SERVICES, "redis", "postgres")
