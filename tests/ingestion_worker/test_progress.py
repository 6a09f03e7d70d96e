import itertools

import pytest

from packages.rag.documents import Scope
from services.ingestion_worker import sources
from services.ingestion_worker.ingestion import Worker
from services.ingestion_worker.progress import SPANS, Progress, overall
from services.ingestion_worker.sources import LostClaim
from tests.ingestion_worker.uploads import change, source_of, upload


def test_stages_follow_one_another_without_a_gap() -> None:
    assert all(before[1] == after[0] for before, after in itertools.pairwise(SPANS.values()))


@pytest.mark.parametrize(
    ("stage", "done", "total", "expected"),
    [
        ("fetch", 0, 1, 0.0),
        ("embed", 0, 10, 0.25),
        ("embed", 5, 10, 0.6),
        ("embed", 20, 10, 0.95),
        ("embed", 0, 0, 0.95),
    ],
)
def test_steps_move_within_their_stage(stage: str, done: int, total: int, expected: float) -> None:
    assert overall(stage, done, total) == pytest.approx(expected)


def test_only_ready_is_the_whole() -> None:
    assert overall("store", 1, 1) < 1


async def test_many_steps_become_few_writes(worker: Worker, scope: Scope) -> None:
    job = await upload(worker, scope, "forgot-your-password.md")
    held = await sources.claim_next(worker.database, stale_seconds=2)
    assert held is not None
    report = Progress(worker.database, worker.redis, held, every=60)
    for step in range(50):
        await report("embed", step, 50)
    assert (await source_of(worker, job)).progress == pytest.approx(0.25)
    await report("store", 0, 1)
    assert (await source_of(worker, job)).progress == pytest.approx(0.95)


async def test_a_lost_source_ends_the_work(worker: Worker, scope: Scope) -> None:
    job = await upload(worker, scope, "forgot-your-password.md")
    held = await sources.claim_next(worker.database, stale_seconds=2)
    assert held is not None
    await change(worker, job, status="queued")
    with pytest.raises(LostClaim):
        await Progress(worker.database, worker.redis, held, every=0)("embed", 0, 1)
