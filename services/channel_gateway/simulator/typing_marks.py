"""Who is being shown that the brand types: for the page, in memory, for as long as platforms show it."""

import time
from collections import OrderedDict

SECONDS = 25.0
_MOST = 10_000


class TypingMarks:
    """Marks under a key: a message's id where the platform is told that, else `<channel config id>:<customer>`."""

    def __init__(self) -> None:
        self._shown: OrderedDict[str, float] = OrderedDict()

    def show(self, key: str) -> None:
        """The brand types from now on."""
        self._shown[key] = time.time()
        self._shown.move_to_end(key)
        while len(self._shown) > _MOST:
            self._shown.popitem(last=False)

    def last(self, keys: list[str]) -> float | None:
        """When one of them was last marked, in Unix seconds; None if that is over."""
        latest = max((self._shown.get(key, 0.0) for key in keys), default=0.0)
        return latest if time.time() - latest < SECONDS else None
