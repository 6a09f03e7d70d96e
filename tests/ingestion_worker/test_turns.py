"""Whose source comes next: tenants in turns, over real Redis and arq."""

import asyncio
from collections.abc import Sequence

import pytest

from packages.core import jobs
from packages.core.jobs import KnowledgeIngestJob
from packages.rag.documents import Scope
from packages.rag.embeddings import Vectors
from packages.rag.embeddings.hashing import HashingEmbedder
from services.ingestion_worker import sources
from services.ingestion_worker.ingestion import Worker
from services.ingestion_worker.turns import TryAgain
from tests.factories.accounts import make_tenant
from tests.ingestion_worker.uploads import run_jobs, source_of, upload

MANY = 40


class Noting(HashingEmbedder):
    """Takes its time, and notes how many documents are in its hands at once and in which order they came."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []
        self.at_once: list[int] = []
        self.seconds = 0.02
        self._busy = 0

    async def embed(self, texts: Sequence[str]) -> Vectors:
        self._busy += 1
        self.seen.append(texts[0])
        self.at_once.append(self._busy)
        await asyncio.sleep(self.seconds)
        self._busy -= 1
        return await super().embed(texts)


@pytest.fixture
def embedder() -> Noting:
    return Noting()


async def other_scope(worker: Worker, slug: str) -> Scope:
    made = await make_tenant(worker.database, slug)
    return Scope(tenant_id=made.tenant_id, brand_id=made.brand_id)


async def uploads(worker: Worker, scope: Scope, name: str, count: int) -> list[KnowledgeIngestJob]:
    return [
        await upload(worker, scope, f"{name}-{number}.md", f"# {name}\n\nWords of {name} {number}.".encode())
        for number in range(count)
    ]


class TestFairness:
    async def test_many_documents_of_one_tenant_do_not_delay_anothers_first(
        self, worker: Worker, scope: Scope, embedder: Noting
    ) -> None:
        crowd = await uploads(worker, scope, "crowd", MANY)
        late = await uploads(worker, await other_scope(worker, "late"), "late", 2)
        await run_jobs(worker, *crowd, *late)
        assert len(embedder.seen) == MANY + 2
        places = [place for place, said in enumerate(embedder.seen) if "late" in said]
        assert max(places) <= 6, embedder.seen[:10]

    async def test_tenants_take_turns(self, worker: Worker, scope: Scope) -> None:
        second = await other_scope(worker, "second")
        await uploads(worker, scope, "first", 3)
        await uploads(worker, second, "second", 3)
        order = []
        for _ in range(6):
            held = await sources.claim_next(worker.database, stale_seconds=60)
            assert held
            order.append(held.asset.title.split("-")[0])
        assert order == ["first", "second"] * 3

    async def test_one_tenant_does_not_get_every_hand(self, worker: Worker, scope: Scope, embedder: Noting) -> None:
        embedder.seconds = 0.5
        await run_jobs(worker, *await uploads(worker, scope, "crowd", 5))
        assert max(embedder.at_once) == worker.settings.ingestion.tenant_concurrency == 2

    async def test_another_tenants_source_is_taken_up_while_one_waits(self, worker: Worker, scope: Scope) -> None:
        await uploads(worker, scope, "crowd", 4)
        async with worker.turns.next() as first, worker.turns.next() as second:
            assert first is not None
            assert second is not None
            third = asyncio.ensure_future(worker.turns.next().__aenter__())
            await asyncio.sleep(0.3)
            assert not third.done()
            await uploads(worker, await other_scope(worker, "late"), "late", 1)
            held = await asyncio.wait_for(third, 3)
        assert held is not None
        assert held.asset.title == "late-0.md"

    async def test_a_tenant_that_has_all_it_may_is_told_to_come_again(
        self, worker: Worker, scope: Scope, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("services.ingestion_worker.turns._WAIT_SECONDS", 0.1)
        await uploads(worker, scope, "crowd", 3)
        async with worker.turns.next(), worker.turns.next():
            with pytest.raises(TryAgain):
                await worker.turns.next().__aenter__()


class TestClaims:
    async def test_no_source_is_taken_up_twice(self, worker: Worker, scope: Scope) -> None:
        await uploads(worker, scope, "one", 5)
        claims = await asyncio.gather(*(sources.claim_next(worker.database, stale_seconds=60) for _ in range(8)))
        taken = [held.asset.source_id for held in claims if held]
        assert len(taken) == len(set(taken)) == 5

    async def test_what_waits_for_another_try_lets_others_pass(self, worker: Worker, scope: Scope) -> None:
        failing, other = await uploads(worker, scope, "one", 2)
        held = await sources.claim_next(worker.database, stale_seconds=60)
        assert held is not None
        assert held.asset.source_id == failing.source_id
        await sources.queue_again(worker.database, held, {}, pause=60)
        following = await sources.claim_next(worker.database, stale_seconds=60)
        assert following is not None
        assert following.asset.source_id == other.source_id
        assert await sources.claim_next(worker.database, stale_seconds=60) is None

    async def test_a_lost_wake_up_is_made_up_for_by_any_other(self, worker: Worker, scope: Scope) -> None:
        forgotten, told = await uploads(worker, scope, "one", 2)
        await jobs.enqueue_ingest(worker.queue, told)
        await run_jobs(worker)
        assert [(await source_of(worker, job)).status for job in (forgotten, told)] == ["ready", "queued"]
