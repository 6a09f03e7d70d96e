"""Ends event streams when the process is told to stop: the server waits for open answers before the lifespan ends."""

import asyncio
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any


@contextmanager
def on_termination(callback: Callable[[], None]) -> Iterator[None]:
    """Inside the block, SIGINT and SIGTERM call `callback` on the event loop, then do what they did before.

    Outside of the main thread, where signals do not arrive, nothing happens.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    loop = asyncio.get_running_loop()
    previous: dict[signal.Signals, Any] = {}

    def handle(number: int, frame: FrameType | None) -> None:
        if not loop.is_closed():
            loop.call_soon_threadsafe(callback)
        before = previous[signal.Signals(number)]
        if callable(before):
            before(number, frame)

    for kind in (signal.SIGINT, signal.SIGTERM):
        if callable(signal.getsignal(kind)):  # where nobody handles it, the process ends anyway
            previous[kind] = signal.signal(kind, handle)
    try:
        yield
    finally:
        for kind, before in previous.items():
            if signal.getsignal(kind) is handle:
                signal.signal(kind, before)
