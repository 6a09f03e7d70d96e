"""Token buckets in this process: no platform stands between us and whoever floods the web chat."""

import time
from collections import OrderedDict
from collections.abc import Callable

from packages.core.errors import RateLimited

_MOST_KEYS = 50_000


class Limiter:
    """Allows `burst` at once and `per_minute` on average, for each key.

    The longest unused keys are forgotten first, so memory is bounded whoever asks.
    """

    def __init__(self, per_minute: float, burst: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_second = per_minute / 60
        self._burst = float(burst)
        self._clock = clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, key: str) -> None:
        """Use one up.

        Raises:
            RateLimited: none is left; says when one will be.
        """
        now = self._clock()
        left, at = self._buckets.pop(key, (self._burst, now))
        left = min(self._burst, left + (now - at) * self._per_second)
        self._buckets[key] = (left - 1 if left >= 1 else left, now)
        if len(self._buckets) > _MOST_KEYS:
            self._buckets.popitem(last=False)
        if left < 1:
            raise RateLimited("Too many at once; please wait a moment.", retry_after=(1 - left) / self._per_second)
