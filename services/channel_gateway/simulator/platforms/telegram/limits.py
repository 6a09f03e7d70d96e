"""How fast a bot may send: about one message a second to a person, twenty a minute to a group, thirty a second in all.

Telegram lets short bursts pass, without saying how short; these are on the generous side.
"""

import time
from collections import OrderedDict
from collections.abc import Callable

_PERSON = (1.0, 20.0)
_GROUP = (20 / 60, 20.0)
_BOT = (30.0, 60.0)
_MOST_KEPT = 50_000


class Limits:
    """Token buckets by bot and by chat, in memory."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._buckets: OrderedDict[tuple[int, int], tuple[float, float]] = OrderedDict()

    def take(self, bot: int, chat: int) -> float:
        """Count one message. Returns 0, or in how many seconds one more may come; refused messages do not count."""
        now = self._clock()
        rates = {(bot, chat): _GROUP if chat < 0 else _PERSON, (bot, 0): _BOT}
        levels = {key: self._level(key, rate, now) for key, rate in rates.items()}
        waits = [(1 - level) / rates[key][0] for key, level in levels.items() if level < 1]
        if waits:
            return max(waits)
        for key, level in levels.items():
            self._buckets[key] = (level - 1, now)
            self._buckets.move_to_end(key)
        while len(self._buckets) > _MOST_KEPT:
            self._buckets.popitem(last=False)
        return 0.0

    def _level(self, key: tuple[int, int], rate: tuple[float, float], now: float) -> float:
        per_second, burst = rate
        level, at = self._buckets.get(key, (burst, now))
        return min(burst, level + (now - at) * per_second)
