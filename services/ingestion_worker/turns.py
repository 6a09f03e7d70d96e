"""Whose source a worker reads next: PostgreSQL says, and no tenant gets every hand of one worker."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from packages.core.db.session import Database
from services.ingestion_worker import sources
from services.ingestion_worker.settings import IngestionSettings
from services.ingestion_worker.sources import Claim

_LOOK_SECONDS = 0.2
_WAIT_SECONDS = 5.0


class TryAgain(Exception):
    """There is, or will be, something to do in `seconds`."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"again in {seconds:.1f} s")
        self.seconds = seconds


class Turns:
    """The sources that one worker process has in hand."""

    def __init__(self, database: Database, settings: IngestionSettings) -> None:
        self._database = database
        self._settings = settings
        self._in_hand: Counter[str] = Counter()
        self._lock = asyncio.Lock()

    @asynccontextmanager
    async def next(self) -> AsyncIterator[Claim | None]:
        """The source whose turn it is, in hand until the block ends; None if there is none.

        While only tenants wait that have all they may have in hand, it waits too: another tenant's first source is
        then taken up at once.

        Raises:
            TryAgain: they still wait.
        """
        held = await self._take()
        try:
            yield held
        finally:
            if held is not None:
                self._in_hand[held.asset.tenant_id] -= 1

    async def _take(self) -> Claim | None:
        clock = asyncio.get_running_loop()
        give_up_at = clock.time() + _WAIT_SECONDS
        stale = self._settings.stale_seconds
        while True:
            async with self._lock:
                most = self._settings.tenant_concurrency
                full = [tenant for tenant, count in self._in_hand.items() if count >= most]
                held = await sources.claim_next(self._database, stale_seconds=stale, full=full)
                if held is not None:
                    self._in_hand[held.asset.tenant_id] += 1
                    return held
            if not full or not await sources.waits(self._database, full, stale_seconds=stale):
                return None
            if clock.time() >= give_up_at:
                raise TryAgain(_LOOK_SECONDS)
            await asyncio.sleep(_LOOK_SECONDS)
