"""What the worker counts."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client import Counter, Histogram

OUTCOMES = Counter("parley_ingest_attempts_total", "Attempts to ingest a source, by outcome", ["outcome"])
DURATION = Histogram(
    "parley_ingest_seconds",
    "Time of one attempt to ingest a source",
    buckets=(0.1, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800),
)
REQUEUED = Counter("parley_ingest_requeued_total", "Sources that the sweep put on the queue again")


@contextmanager
def timed() -> Iterator[None]:
    """Observe how long the block takes, however it ends."""
    started = time.perf_counter()
    try:
        yield
    finally:
        DURATION.observe(time.perf_counter() - started)
