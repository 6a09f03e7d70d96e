from dataclasses import asdict, replace
from typing import Any

import pytest
from arq.worker import Retry

from packages.core import jobs as queue
from packages.core.config import Settings, StorageSettings
from packages.core.db.session import Database
from packages.core.jobs import KnowledgeDeleteJob, KnowledgeIngestJob
from packages.core.storage import S3Store
from packages.rag.documents import Scope
from services.ingestion_worker import jobs
from services.ingestion_worker import worker as process
from services.ingestion_worker.ingestion import Worker
from services.ingestion_worker.settings import WorkerSettings
from services.local.engines import free_port
from tests.ingestion_worker.uploads import age, chunks_of, run_jobs, source_of, upload


def context(worker: Worker, job_try: int = 1) -> dict[str, Any]:
    return {"worker": worker, "job_id": "a-job", "job_try": job_try}


def without_postgres(worker: Worker) -> Worker:
    return replace(worker, database=Database(f"postgresql://nobody:x@127.0.0.1:{free_port()}/none"))


@pytest.fixture
async def job(worker: Worker, scope: Scope) -> KnowledgeIngestJob:
    return await upload(worker, scope, "forgot-your-password.md")


class TestIngestSource:
    async def test_comes_again_later_where_postgres_is_away(self, worker: Worker, job: KnowledgeIngestJob) -> None:
        with pytest.raises(Retry) as retry:
            await jobs.ingest_source(context(without_postgres(worker)), asdict(job))
        assert retry.value.defer_score
        assert (await source_of(worker, job)).attempts == 0

    async def test_comes_again_later_where_the_store_is_away(self, worker: Worker, job: KnowledgeIngestJob) -> None:
        away = StorageSettings.model_validate(
            {"endpoint": f"http://127.0.0.1:{free_port()}", "access_key": "x", "secret_key": "y"}
        )
        with pytest.raises(Retry):
            await jobs.ingest_source(context(replace(worker, storage=S3Store("bucket", away))), asdict(job))
        assert ((await source_of(worker, job)).error or {})["code"] == "unavailable"


class TestDeleteSource:
    async def test_removes_the_file_and_the_chunks_of_this_source_alone(
        self, worker: Worker, scope: Scope, job: KnowledgeIngestJob
    ) -> None:
        other = await upload(worker, scope, "delete-your-account.md")
        await run_jobs(worker, job, other)
        key, kept = [(await source_of(worker, item)).storage_key or "" for item in (job, other)]
        gone = KnowledgeDeleteJob(tenant_id=job.tenant_id, brand_id=str(scope.brand_id), source_id=job.source_id)
        await queue.enqueue_delete(worker.queue, gone)
        await run_jobs(worker)
        assert [await worker.storage.exists(key), await worker.storage.exists(kept)] == [False, True]
        assert (await chunks_of(worker, job), len(await chunks_of(worker, other)) > 0) == ([], True)

    async def test_is_harmless_to_repeat(self, worker: Worker, scope: Scope) -> None:
        gone = {"tenant_id": str(scope.tenant_id), "brand_id": str(scope.brand_id), "source_id": str(scope.brand_id)}
        for _ in range(2):
            await jobs.delete_source(context(worker), gone)
        assert not await worker.storage.exists(f"{scope.tenant_id}/{scope.brand_id}/{scope.brand_id}/original")


class TestSweep:
    async def test_a_postgres_that_is_away_does_not_end_the_worker(
        self, worker: Worker, job: KnowledgeIngestJob, capsys: pytest.CaptureFixture[str]
    ) -> None:
        await jobs.sweep(context(without_postgres(worker)))
        assert "sweep_failed" in capsys.readouterr().out

    async def test_enqueues_what_waits(self, worker: Worker, job: KnowledgeIngestJob) -> None:
        await age(worker, job, seconds=3)
        await jobs.sweep(context(worker))
        [name] = await worker.queue.zrange(queue.QUEUE, 0, -1)
        assert job.source_id in name.decode()


class TestProcess:
    def test_reads_its_settings_only_when_arq_asks(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PARLEY_REDIS__URL", "redis://127.0.0.1:6379/3")
        monkeypatch.setenv("PARLEY_INGESTION__CONCURRENCY", "7")
        options = process.WorkerSettings
        assert (options["max_jobs"], options["redis_settings"].database) == (7, 3)

    def test_has_nothing_else_to_offer(self) -> None:
        with pytest.raises(AttributeError):
            _ = process.Nonsense

    def test_keeps_no_results_that_would_swallow_a_second_job(self, settings: WorkerSettings) -> None:
        options = process.options(settings)
        assert options["keep_result"] == 0
        assert {function.name for function in options["functions"]} == {queue.INGEST, queue.DELETE}

    def test_settings_are_the_shared_ones_and_more(self, settings: WorkerSettings) -> None:
        assert isinstance(settings, Settings)
        assert settings.ingestion.heartbeat_seconds < settings.ingestion.stale_seconds
