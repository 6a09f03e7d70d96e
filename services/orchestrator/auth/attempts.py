"""Limits on log-in attempts, shared through Redis; where Redis is away, each process counts for itself."""

import hashlib
import time
from collections import OrderedDict

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from packages.core.errors import RateLimited

log = structlog.get_logger(__name__)
WINDOW = 300
"""Seconds in which attempts are counted."""
_REMEMBERED = 10_000


class Attempts:
    """Counts attempts per e-mail and address together, per address, and per e-mail.

    The pair has the tight limit, so that a stranger who guesses at an account does not lock its owner out.
    """

    def __init__(self, redis: "Redis", limit: int) -> None:
        self._redis = redis
        self._limit = limit
        self._own: OrderedDict[str, int] = OrderedDict()

    async def begin(self, email: str, address: str) -> None:
        """Count one attempt, before the password is looked at.

        Raises:
            RateLimited: too many in this window.
        """
        window = int(time.time() // WINDOW)
        limits = {
            _key(window, email, address): self._limit,
            _key(window, address): self._limit * 6,
            _key(window, email): self._limit * 20,
        }
        counts = await self._counted(list(limits))
        if any(count > limit for count, limit in zip(counts, limits.values(), strict=True)):
            log.warning("login_rate_limited", address=address)
            raise RateLimited(
                "Too many attempts to log in; please wait a few minutes.", retry_after=WINDOW - time.time() % WINDOW
            )

    async def succeeded(self, email: str, address: str) -> None:
        """Forget the attempts of someone who knows the password."""
        key = _key(int(time.time() // WINDOW), email, address)
        self._own.pop(key, None)
        try:
            await self._redis.delete(key)
        except (RedisError, OSError) as error:
            log.warning("login_counter_unavailable", error=str(error))

    async def _counted(self, keys: list[str]) -> list[int]:
        try:
            pipeline = self._redis.pipeline(transaction=True)
            for key in keys:
                pipeline.incr(key)
                pipeline.expire(key, WINDOW)
            answers: list[int] = await pipeline.execute()
            return answers[::2]
        except (RedisError, OSError) as error:
            log.warning("login_counter_unavailable", error=str(error))
            return [self._counted_here(key) for key in keys]

    def _counted_here(self, key: str) -> int:
        self._own[key] = self._own.pop(key, 0) + 1
        while len(self._own) > _REMEMBERED:
            self._own.popitem(last=False)
        return self._own[key]


def _key(window: int, *parts: str) -> str:
    digest = hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]
    return f"parley:login:{window}:{len(parts)}:{digest}"
