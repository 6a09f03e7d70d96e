"""Runs errands as platforms do: several at once, again after growing pauses until they are done, for up to a week."""

import asyncio
import heapq
import time
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import structlog

from packages.core.errors import Unavailable
from services.channel_gateway.simulator.chance import DICE, hit
from services.channel_gateway.simulator.records import Errand, Records, Sent, Written

log = structlog.get_logger(__name__)

GIVE_UP_AFTER = 7 * 24 * 3600.0
MOST_PENDING = 100_000
_MOST_TOGETHER = 50
_STOP_WITHIN = 3.0


@dataclass(frozen=True, slots=True)
class Receipt:
    """How one attempt ended. `done` ends the errand; otherwise it is repeated. `status` is None without an answer."""

    done: bool
    status: int | None = None
    body: str = ""


Carry = Callable[[list[Errand]], Awaitable[Receipt]]


class Courier:
    """Holds every open errand. All of it is in the records too, so that a killed process forgets nothing.

    Args:
        carry: makes one attempt for errands of one batch; must not raise for what the other side does.
        batched: the probability that a due errand takes others of its batch along, by platform.
    """

    def __init__(
        self,
        records: Records,
        carry: Carry,
        batched: Callable[[str], float],
        *,
        first_pause: float,
        longest_pause: float,
        concurrency: int = 64,
    ) -> None:
        self._records = records
        self._carry = carry
        self._batched = batched
        self._first_pause = first_pause
        self._longest_pause = longest_pause
        self._slots = asyncio.Semaphore(concurrency)
        self._heap: list[tuple[float, int, Errand]] = []
        self._lanes: dict[str, deque[Errand]] = {}
        self._watched: dict[int, asyncio.Future[Receipt]] = {}
        self._wake = asyncio.Event()
        self._running: set[asyncio.Task[None]] = set()
        self.pending = 0

    async def add(
        self, errands: list[Errand], *, sent: Sent | None = None, written: list[Written] | None = None
    ) -> None:
        """Take errands on, together with the record of what caused them; durable on return.

        Raises:
            Unavailable: too many are open; the gateway has been away for long.
        """
        if self.pending + len(errands) > MOST_PENDING:
            raise Unavailable(f"{self.pending} webhooks wait for the gateway already; start it first.")
        await self._records.save(errands=errands, sent=[sent] if sent else [], written=written or [])
        self.resume(errands)

    def resume(self, errands: list[Errand]) -> None:
        """Queue errands that are in the records already, in the order they were made."""
        self.pending += len(errands)
        for errand in errands:
            if errand.lane is not None and errand.lane in self._lanes:
                self._lanes[errand.lane].append(errand)
                continue
            if errand.lane is not None:
                self._lanes[errand.lane] = deque()
            self._queue(errand)

    def watch(self, errand: Errand) -> asyncio.Future[Receipt]:
        """The receipt of the errand's next attempt. Call it right after `add`, before anything else is awaited."""
        return self._watched.setdefault(errand.id, asyncio.get_running_loop().create_future())

    async def run(self) -> None:
        """Start whatever is due, for ever."""
        while True:
            self._wake.clear()
            while self._heap and self._heap[0][0] <= time.time():
                await self._slots.acquire()
                task = asyncio.create_task(self._attempt(self._take()))
                self._running.add(task)
                task.add_done_callback(self._ended)
            pause = self._heap[0][0] - time.time() if self._heap else None
            try:
                async with asyncio.timeout(pause):
                    await self._wake.wait()
            except TimeoutError:
                continue

    async def finish(self) -> None:
        """Give attempts under way a moment to end; what does not end is repeated after the next start."""
        if self._running:
            _done, late = await asyncio.wait(self._running, timeout=_STOP_WITHIN)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        self._slots.release()

    def _queue(self, errand: Errand) -> None:
        heapq.heappush(self._heap, (errand.due, errand.id, errand))
        self._wake.set()

    def _take(self) -> list[Errand]:
        """The errand that is due first; sometimes with those of its batch that are due as well."""
        first = heapq.heappop(self._heap)[2]
        taken, moment = [first], time.time()
        if first.batch is None or not hit(self._batched(first.platform)):
            return taken
        while (
            self._heap
            and self._heap[0][0] <= moment
            and self._heap[0][2].batch == first.batch
            and len(taken) < _MOST_TOGETHER
        ):
            taken.append(heapq.heappop(self._heap)[2])
        return taken

    async def _attempt(self, errands: list[Errand]) -> None:
        try:
            receipt = await self._carry(errands)
        except Exception:
            log.exception("errand_crashed", platform=errands[0].platform, errands=[errand.id for errand in errands])
            receipt = Receipt(False)
        for errand in errands:
            watcher = self._watched.pop(errand.id, None)
            if watcher is not None and not watcher.done():
                watcher.set_result(receipt)
        given_up = [] if receipt.done else [errand for errand in errands if _is_old(errand)]
        if given_up:
            log.warning("errands_given_up", errands=[errand.id for errand in given_up], status=receipt.status)
        ended = errands if receipt.done else given_up
        if ended:
            await self._close(ended)
        repeated = [errand for errand in errands if errand not in ended]
        if repeated:
            await self._repeat(repeated)

    async def _close(self, errands: list[Errand]) -> None:
        await self._records.finish(errands)
        self.pending -= len(errands)
        for errand in errands:
            if errand.lane is None:
                continue
            if self._lanes[errand.lane]:
                self._queue(self._lanes[errand.lane].popleft())
            else:
                del self._lanes[errand.lane]

    async def _repeat(self, errands: list[Errand]) -> None:
        for errand in errands:
            pause = min(self._longest_pause, self._first_pause * 2.0 ** min(errand.attempts, 30))
            errand.attempts += 1
            errand.due = time.time() + pause * DICE.uniform(0.9, 1.1)
        await self._records.postpone(errands)
        for errand in errands:
            self._queue(errand)


def _is_old(errand: Errand) -> bool:
    return time.time() - errand.created > GIVE_UP_AFTER
