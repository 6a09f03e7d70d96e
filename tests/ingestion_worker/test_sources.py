import pytest

from packages.core.jobs import KnowledgeIngestJob
from packages.rag.documents import Scope
from services.ingestion_worker import sources
from services.ingestion_worker.ingestion import Worker
from services.ingestion_worker.sources import Claim, LostClaim
from tests.ingestion_worker.uploads import age, change, source_of, upload


@pytest.fixture
async def job(worker: Worker, scope: Scope) -> KnowledgeIngestJob:
    return await upload(worker, scope, "forgot-your-password.md")


async def claim(worker: Worker, job: KnowledgeIngestJob) -> Claim:
    held = await sources.claim_next(worker.database, stale_seconds=2)
    assert held is not None
    return held


class TestClaim:
    async def test_takes_a_queued_source(self, worker: Worker, job: KnowledgeIngestJob) -> None:
        held = await claim(worker, job)
        source = await source_of(worker, job)
        assert (held.attempt, held.asset.source_id, held.asset.title) == (1, job.source_id, "forgot-your-password.md")
        assert (source.status, source.stage, source.attempts) == ("processing", "fetch", 1)

    async def test_leaves_a_source_that_is_worked_on(self, worker: Worker, job: KnowledgeIngestJob) -> None:
        await claim(worker, job)
        assert await sources.claim_next(worker.database, stale_seconds=2) is None

    async def test_takes_over_from_a_silent_worker(self, worker: Worker, job: KnowledgeIngestJob) -> None:
        await claim(worker, job)
        await age(worker, job, seconds=3)
        assert (await claim(worker, job)).attempt == 2

    @pytest.mark.parametrize("status", ["ready", "failed"])
    async def test_leaves_a_settled_source(self, worker: Worker, job: KnowledgeIngestJob, status: str) -> None:
        await change(worker, job, status=status)
        assert await sources.claim_next(worker.database, stale_seconds=0) is None


class TestBeat:
    async def test_moves_the_progress(self, worker: Worker, job: KnowledgeIngestJob) -> None:
        await sources.beat(worker.database, await claim(worker, job), stage="embed", progress=0.5)
        source = await source_of(worker, job)
        assert (source.stage, source.progress) == ("embed", 0.5)

    async def test_alone_leaves_the_progress(self, worker: Worker, job: KnowledgeIngestJob) -> None:
        held = await claim(worker, job)
        await sources.beat(worker.database, held, stage="embed", progress=0.5)
        await sources.beat(worker.database, held)
        source = await source_of(worker, job)
        assert (source.stage, source.progress) == ("embed", 0.5)

    async def test_keeps_others_from_taking_over(self, worker: Worker, job: KnowledgeIngestJob) -> None:
        held = await claim(worker, job)
        await age(worker, job, seconds=3)
        await sources.beat(worker.database, held)
        assert await sources.claim_next(worker.database, stale_seconds=2) is None

    async def test_tells_a_worker_that_was_taken_over(self, worker: Worker, job: KnowledgeIngestJob) -> None:
        silent = await claim(worker, job)
        await age(worker, job, seconds=3)
        await claim(worker, job)
        with pytest.raises(LostClaim):
            await sources.beat(worker.database, silent, stage="store", progress=0.9)
        assert (await source_of(worker, job)).stage == "fetch"

    async def test_is_calm_once_the_source_is_ready(self, worker: Worker, job: KnowledgeIngestJob) -> None:
        held = await claim(worker, job)
        await change(worker, job, status="ready", progress=1.0)
        await sources.beat(worker.database, held)
        assert (await source_of(worker, job)).progress == 1.0


class TestSettle:
    async def test_a_worker_that_was_taken_over_changes_nothing(self, worker: Worker, job: KnowledgeIngestJob) -> None:
        silent = await claim(worker, job)
        await age(worker, job, seconds=3)
        await claim(worker, job)
        await sources.fail(worker.database, silent, {"code": "late", "message": "late"})
        await sources.hand_back(worker.database, silent)
        source = await source_of(worker, job)
        assert (source.status, source.attempts, source.error) == ("processing", 2, None)

    async def test_handing_back_does_not_count(self, worker: Worker, job: KnowledgeIngestJob) -> None:
        await sources.hand_back(worker.database, await claim(worker, job))
        source = await source_of(worker, job)
        assert (source.status, source.attempts, source.stage) == ("queued", 0, None)

    async def test_queueing_again_counts_and_keeps_the_reason(self, worker: Worker, job: KnowledgeIngestJob) -> None:
        reason = {"code": "unavailable", "message": "Away, for „now“."}
        await sources.queue_again(worker.database, await claim(worker, job), reason)
        source = await source_of(worker, job)
        assert (source.status, source.attempts, source.error) == ("queued", 1, reason)


class TestUnfinished:
    @pytest.mark.parametrize(
        ("status", "seconds", "found"),
        [
            ("queued", 3, 1),
            ("processing", 3, 1),
            ("queued", 1, 0),
            ("processing", 1, 0),
            ("ready", 3, 0),
            ("failed", 3, 0),
        ],
    )
    async def test_lists_what_nobody_touched_for_a_while(
        self, worker: Worker, job: KnowledgeIngestJob, status: str, seconds: float, found: int
    ) -> None:
        await change(worker, job, status=status)
        await age(worker, job, seconds=seconds)
        listed = await sources.unfinished(worker.database, stale_seconds=2, limit=10)
        assert listed == [job] * found
