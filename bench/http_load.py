"""HTTP load over raw keep-alive connections, cheap enough to outrun one server process.

`closed_loop` finds out how much a server can take: each connection sends as soon as it was answered. `open_loop` sends
at a fixed rate whatever the server does, and counts each latency from the moment when the request was due.
"""

import asyncio
import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

PATIENCE_SECONDS = 10.0


@dataclass(slots=True)
class Load:
    """What came of it; latencies in ms, `bad` counts answers other than 2xx and lost connections."""

    seconds: float = 0.0
    bad: int = 0
    latencies: list[float] = field(default_factory=list)

    @property
    def answered(self) -> int:
        """Requests with a good answer."""
        return len(self.latencies)

    @property
    def rate(self) -> float:
        """Good answers per second."""
        return self.answered / self.seconds if self.seconds else 0.0

    def percentile(self, share: float) -> float:
        """The latency that this share of the requests stayed below, in ms."""
        return percentile(self.latencies, share)


def percentile(values: Sequence[float], share: float) -> float:
    """The value that this share of all stays at or below; NaN of nothing."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else float("nan")


class _Connection(asyncio.Protocol):
    """One request at a time; the future it returns brings the status, 0 for a lost connection."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._buffer = b""
        self._answer: asyncio.Future[int] | None = None
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]  # uvloop's are no subclass of asyncio's

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._settle(0)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head_end = self._buffer.find(b"\r\n\r\n")
        if head_end < 0:
            return
        head = self._buffer[:head_end].lower()
        at = head.find(b"content-length:")
        length = int(head[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
        if len(self._buffer) >= head_end + 4 + length:
            status = int(self._buffer[9:12])
            self._buffer = b""
            self._settle(status)

    def request(self, data: bytes) -> asyncio.Future[int]:
        self._answer = self._loop.create_future()
        if self._transport is None:
            self._answer.set_result(0)
        else:
            self._transport.write(data)
        return self._answer

    def close(self) -> None:
        if self._transport:
            self._transport.close()

    def _settle(self, status: int) -> None:
        if self._answer and not self._answer.done():
            self._answer.set_result(status)


async def _connect(port: int, count: int) -> list[_Connection]:
    loop = asyncio.get_running_loop()
    return [(await loop.create_connection(_Connection, "127.0.0.1", port))[1] for _ in range(count)]


async def closed_loop(port: int, requests: Iterator[bytes], *, connections: int, seconds: float) -> Load:
    """Send over all connections as fast as answers come, until the time or the requests are used up."""
    load = Load()
    links = await _connect(port, connections)
    begin = time.perf_counter()
    end = begin + seconds

    async def drive(link: _Connection) -> None:
        for request in requests:
            sent = time.perf_counter()
            status = await link.request(request)
            done = time.perf_counter()
            if 200 <= status < 300:
                load.latencies.append((done - sent) * 1000)
            else:
                load.bad += 1
            if done >= end or status == 0:
                return

    try:
        async with asyncio.timeout(seconds + PATIENCE_SECONDS):
            await asyncio.gather(*(drive(link) for link in links))
    finally:
        for link in links:
            link.close()
    load.seconds = time.perf_counter() - begin
    return load


async def open_loop(port: int, requests: Iterable[bytes], *, rate: float, connections: int = 64) -> Load:
    """Send each request when it is due, `rate` a second, over the first connection that is free."""
    load = Load()
    free = deque(await _connect(port, connections))
    links, late = list(free), asyncio.Semaphore(connections)
    running: set[asyncio.Task[None]] = set()

    async def send(request: bytes, due: float) -> None:
        async with late:
            link = free.popleft()
            status = await link.request(request)
            free.append(link)
        if 200 <= status < 300:
            load.latencies.append((time.perf_counter() - due) * 1000)
        else:
            load.bad += 1

    begin = time.perf_counter()
    try:
        for number, request in enumerate(requests):
            due = begin + number / rate
            if (wait := due - time.perf_counter()) > 0:
                await asyncio.sleep(wait)
            task = asyncio.create_task(send(request, due))
            running.add(task)
            task.add_done_callback(running.discard)
        async with asyncio.timeout(PATIENCE_SECONDS):
            await asyncio.gather(*running)
    finally:
        for link in links:
            link.close()
    load.seconds = time.perf_counter() - begin
    return load
