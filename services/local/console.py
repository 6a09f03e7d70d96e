"""What a person at the terminal sees."""

import sys
import time


class Console:
    """Prints lines at once, so that they also show where output is piped."""

    def __init__(self) -> None:
        self._begun = time.monotonic()

    def say(self, text: str = "") -> None:
        """A plain line."""
        print(text, flush=True)

    def step(self, name: str, result: str) -> None:
        """A step of the start that is done, with the seconds since the beginning."""
        self.say(f"  {name:<18} {result:<28} {time.monotonic() - self._begun:5.1f} s")

    def trouble(self, name: str, text: str) -> None:
        """Something a person should know of, on standard error."""
        print(f"[{name}] {text}", file=sys.stderr, flush=True)
