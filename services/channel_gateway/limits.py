"""How fast each account may send: token buckets in Redis, shared by every gateway process.

A bucket is one number, the time at which it would be full again (the "theoretical arrival time" of GCRA, ITU-T I.371).
All messages of a batch are asked for in one round trip. While Redis is away each process keeps buckets of its own.
"""

import hashlib
import time
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
import structlog
from prometheus_client import Counter
from redis.asyncio import Redis
from redis.exceptions import NoScriptError, RedisError

from packages.core.domain.channels import Capabilities, Rate

log = structlog.get_logger(__name__)

LOCAL = Counter("parley_rate_limits_local_total", "Batches limited by this process alone, because Redis was away")
PATIENCE_SECONDS = 2.0
"""What must wait longer than this is given back instead of held."""
LONGEST_SECONDS = 60.0
_PREFIX = "parley:rate:"
_LONGEST_PAUSE = 86_400.0
_MOST_LOCAL = 50_000

# Each message has two buckets (account, person) with their pauses. If both let it go within ARGV[1] ms, it takes its
# place in both; else it is told when to come back: a line of the account's own spreads those over the time to come.
_TAKE = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local patience, longest = tonumber(ARGV[1]), tonumber(ARGV[2])
local answer = {}
for i, one in ipairs(cjson.decode(ARGV[3])) do
    local wait, paused, slots, slowest = 0, 0, {}, nil
    for _, bucket in ipairs(one) do
        local key, interval, burst = bucket[1], bucket[2], bucket[3]
        local pause = tonumber(redis.call('GET', key .. ':pause') or '0')
        paused = math.max(paused, pause - now)
        if interval > 0 then
            local full = math.max(tonumber(redis.call('GET', key) or '0'), now)
            local own = full - now - interval * (burst - 1)
            slots[#slots + 1] = {key, full + interval, interval}
            if own > wait then wait, slowest = own, slots[#slots] end
        end
    end
    wait = math.max(wait, paused)
    if wait <= patience then
        for _, slot in ipairs(slots) do
            redis.call('SET', slot[1], slot[2], 'PX', math.ceil(slot[2] - now) + 1000)
        end
    elseif slowest and paused < wait then
        local line = slowest[1] .. ':line'
        local place = math.max(tonumber(redis.call('GET', line) or '0'), now + wait)
        if place > now + longest then place = now + wait end
        redis.call('SET', line, place + slowest[3], 'PX', math.ceil(place - now) + 1000)
        wait = math.min(place - now, longest)
    end
    answer[i] = math.ceil(math.max(wait, 0))
end
return answer
"""
_PATIENCE, _LONGEST = str(PATIENCE_SECONDS * 1000), str(LONGEST_SECONDS * 1000)
_SHA = hashlib.sha1(_TAKE.encode(), usedforsecurity=False).hexdigest()

Bucket = tuple[str, float, int]
"""Key, milliseconds per token (0: no rate, pauses alone), tokens saved up."""


@dataclass(frozen=True, slots=True)
class Ask:
    """One request to a platform: for whom, by which account."""

    account_id: str
    recipient: str
    capabilities: Capabilities


class Limits:
    """Says when a request may go. A wait of at most `PATIENCE_SECONDS` has been reserved; a longer one has not."""

    def __init__(self, redis: "Redis") -> None:
        self._redis = redis
        self._local: dict[str, float] = {}

    async def take(self, asks: Sequence[Ask]) -> list[float]:
        """Seconds to wait for each, in one round trip."""
        wanted = [_buckets(ask) for ask in asks]
        if not wanted:
            return []
        arguments = (_PATIENCE, _LONGEST, msgspec.json.encode(wanted).decode())
        try:
            try:
                answer = await self._redis.evalsha(_SHA, 0, *arguments)  # type: ignore[misc]
            except NoScriptError:
                answer = await self._redis.eval(_TAKE, 0, *arguments)  # type: ignore[misc]
        except (RedisError, OSError) as error:
            log.warning("rate_limits_local", error=str(error)[:200])
            LOCAL.inc()
            return [self._take_locally(buckets) for buckets in wanted]
        return [milliseconds / 1000 for milliseconds in answer]

    async def pause(self, account_id: str, seconds: float, recipient: str | None = None) -> None:
        """Nothing more for an account, or for one person of it, for some time: in every process."""
        key = _key(account_id, recipient)
        pause = min(max(seconds, 0.0), _LONGEST_PAUSE)
        until = (time.time() + pause) * 1000
        self._local[f"{key}:pause"] = until
        try:
            await self._redis.set(f"{key}:pause", round(until), px=max(1, round(pause * 1000)))
        except (RedisError, OSError) as error:
            log.warning("pause_local", error=str(error)[:200])

    def _take_locally(self, buckets: Sequence[Bucket]) -> float:
        """The same arithmetic on this process's own numbers."""
        now = time.time() * 1000
        if len(self._local) > _MOST_LOCAL:
            self._local = {key: value for key, value in self._local.items() if value > now}
        wait, slots = 0.0, {}
        for key, interval, burst in buckets:
            wait = max(wait, self._local.get(f"{key}:pause", 0.0) - now)
            if interval > 0:
                full = max(self._local.get(key, 0.0), now)
                wait = max(wait, full - now - interval * (burst - 1))
                slots[key] = full + interval
        if wait <= PATIENCE_SECONDS * 1000:
            self._local.update(slots)
        return min(wait / 1000, LONGEST_SECONDS)


def _buckets(ask: Ask) -> list[Bucket]:
    rules = ask.capabilities
    is_group = rules.group_rate is not None and ask.recipient.startswith("-")  # Telegram's ids of groups are negative
    return [
        _bucket(_key(ask.account_id), rules.account_rate),
        _bucket(_key(ask.account_id, ask.recipient), rules.group_rate if is_group else rules.person_rate),
    ]


def _bucket(key: str, rate: Rate | None) -> Bucket:
    return (key, 1000 / rate.per_second, max(1, rate.burst)) if rate else (key, 0.0, 0)


def _key(account_id: str, recipient: str | None = None) -> str:
    return f"{_PREFIX}{account_id}:{recipient}" if recipient is not None else f"{_PREFIX}{account_id}"
