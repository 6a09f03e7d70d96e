"""What a source held: kept, taken back, replaced at once, and forgotten without a trace."""

import asyncio
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy import text

from packages.core import jobs as queue
from packages.core.db.tables.accounts import Tenant
from packages.core.db.tables.knowledge import KnowledgeRemoval, KnowledgeSource
from packages.core.jobs import KnowledgeDeleteJob, KnowledgeIngestJob
from packages.rag.documents import Scope
from packages.rag.embeddings import Vectors
from packages.rag.embeddings.hashing import HashingEmbedder
from packages.rag.retrieval import retrieve_context
from services.ingestion_worker import jobs, sources
from services.ingestion_worker.ingestion import Worker, ingest
from tests.ingestion_worker.uploads import change, chunks_of, run_jobs, source_of, upload

SIDES = "# {0}\n\nThe first rule of {0} is {0} one.\n\n# Second {0}\n\nThe second rule of {0} is {0} two.\n"


async def put(worker: Worker, job: KnowledgeIngestJob, words: str) -> None:
    """New content under a key of its own, as the API stores it."""
    source = await source_of(worker, job)
    key = f"{source.tenant_id}/{source.brand_id}/{source.id}/files/{abs(hash(words)):x}"
    await worker.storage.put(key, words.encode())
    await change(worker, job, storage_key=key, status="queued", attempts=0, epoch=source.epoch + 1)


async def versions(worker: Worker, job: KnowledgeIngestJob) -> list[int]:
    async with worker.database.tenant(job.tenant_id) as session:
        query = text("SELECT version FROM knowledge_version WHERE source_id = :id ORDER BY version")
        return list((await session.scalars(query, {"id": UUID(job.source_id)})).all())


def files(tmp_path: Path) -> list[str]:
    return sorted(file.parent.name for file in (tmp_path / "objects").rglob("*") if file.is_file())


@pytest.fixture
async def job(worker: Worker, scope: Scope) -> KnowledgeIngestJob:
    job = await upload(worker, scope, "rules.md", SIDES.format("white").encode())
    await run_jobs(worker, job)
    return job


class TestKept:
    async def test_as_many_as_the_settings_say(self, worker: Worker, job: KnowledgeIngestJob, tmp_path: Path) -> None:
        worker.settings.knowledge.versions_kept = 2
        for number in range(3):
            await put(worker, job, f"Rule {number}.")
            await run_jobs(worker, job)
        assert await versions(worker, job) == [3, 4]
        assert files(tmp_path) == ["files", "files", "parses", "parses"]

    async def test_a_file_that_two_versions_share_stays(self, worker: Worker, job: KnowledgeIngestJob) -> None:
        worker.settings.knowledge.versions_kept = 1
        await change(worker, job, status="queued", title="Another title", attempts=0)
        await run_jobs(worker, job)
        assert await versions(worker, job) == [2]
        assert await worker.storage.get((await source_of(worker, job)).storage_key or "")

    async def test_what_was_read_is_not_read_again(
        self, worker: Worker, job: KnowledgeIngestJob, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("packages.rag.ingest.parse_sandboxed", None)
        await change(worker, job, status="queued", title="Another title", attempts=0)
        await run_jobs(worker, job)
        assert (await source_of(worker, job)).version == 2

    async def test_a_damaged_reading_is_made_anew(self, worker: Worker, job: KnowledgeIngestJob) -> None:
        async with worker.database.tenant(job.tenant_id) as session:
            key = await session.scalar(text("SELECT parse_key FROM knowledge_version"))
        await worker.storage.put(str(key), b"not what it was")
        await change(worker, job, status="queued", title="Another title", attempts=0)
        await run_jobs(worker, job)
        assert (await source_of(worker, job)).status == "ready"


class Slow(HashingEmbedder):
    """Holds each batch of new texts until it is told to go on."""

    def __init__(self) -> None:
        super().__init__()
        self.asked, self.go_on = asyncio.Event(), asyncio.Event()
        self.go_on.set()

    async def embed(self, texts: Sequence[str]) -> Vectors:
        if len(texts) > 1:
            self.asked.set()
            await self.go_on.wait()
        return await super().embed(texts)


class TestReplaced:
    @pytest.fixture
    def embedder(self) -> Slow:
        return Slow()

    async def test_answers_never_see_half_of_a_document(
        self, worker: Worker, scope: Scope, job: KnowledgeIngestJob
    ) -> None:
        seen: set[frozenset[str]] = set()
        stop = asyncio.Event()

        async def ask() -> None:
            while not stop.is_set():
                hits = await retrieve_context(worker.knowledge, scope, "first second rule", limit=10)
                seen.add(frozenset("black" if "black" in hit.text else "white" for hit in hits))
                assert len(hits) == 2

        asking = asyncio.create_task(ask())
        for colour in ("black", "white") * 5:
            await put(worker, job, SIDES.format(colour))
            await ingest(worker)
        stop.set()
        await asking
        assert seen == {frozenset({"black"}), frozenset({"white"})}

    async def test_a_worker_that_dies_while_it_writes_leaves_the_old_words(
        self, worker: Worker, scope: Scope, job: KnowledgeIngestJob, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async def die(*_: object) -> None:
            raise RuntimeError("the connection broke")

        before = [chunk.id for chunk in await chunks_of(worker, job)]
        await put(worker, job, SIDES.format("black"))
        with monkeypatch.context() as patched:
            patched.setattr("packages.rag.ingest.rows.bump_version", die)
            await asyncio.gather(ingest(worker), return_exceptions=True)
        assert [chunk.id for chunk in await chunks_of(worker, job)] == before
        assert await versions(worker, job) == [1]
        await asyncio.sleep(0.1)
        await run_jobs(worker, job)
        assert all("black" in chunk.text for chunk in await chunks_of(worker, job))

    async def test_one_called_off_meanwhile_changes_nothing(
        self, worker: Worker, job: KnowledgeIngestJob, embedder: Slow
    ) -> None:
        worker.settings.ingestion.heartbeat_seconds = 60
        embedder.go_on.clear()
        await put(worker, job, SIDES.format("black"))
        task = asyncio.create_task(ingest(worker))
        await asyncio.wait_for(embedder.asked.wait(), 20)
        await change(worker, job, status="ready", epoch=(await source_of(worker, job)).epoch + 1)
        embedder.go_on.set()
        await task
        source = await source_of(worker, job)
        assert (source.status, source.version) == ("ready", 1)
        assert all("white" in chunk.text for chunk in await chunks_of(worker, job))

    async def test_a_late_worker_does_not_pass_for_the_next_ones(self, worker: Worker, job: KnowledgeIngestJob) -> None:
        """Both are first attempts: only the epoch tells them apart."""
        await change(worker, job, status="queued", attempts=0)
        late = await sources.claim_next(worker.database, stale_seconds=60)
        assert late
        await change(worker, job, status="queued", attempts=0)
        present = await sources.claim_next(worker.database, stale_seconds=60)
        assert present
        assert (late.attempt, present.attempt) == (1, 1)
        await sources.fail(worker.database, late, {"code": "late", "message": "late"})
        assert (await source_of(worker, job)).status == "processing"


TABLES = ("source", "chunk", "posting", "vector", "version", "removal")


class TestDeleted:
    async def _rows(self, worker: Worker) -> dict[str, int]:
        async with worker.database.across_tenants() as session:
            return {name: await session.scalar(text(f"SELECT count(*) FROM knowledge_{name}")) or 0 for name in TABLES}

    async def _delete(self, worker: Worker, job: KnowledgeIngestJob) -> KnowledgeDeleteJob:
        """As the API does."""
        async with worker.database.tenant(job.tenant_id) as session:
            source = await session.get_one(KnowledgeSource, UUID(job.source_id))
            removal = KnowledgeRemoval(tenant_id=source.tenant_id, brand_id=source.brand_id, source_id=source.id)
            session.add(removal)
            await session.delete(source)
        return KnowledgeDeleteJob(tenant_id=job.tenant_id, brand_id=str(removal.brand_id), source_id=job.source_id)

    async def test_nothing_is_left(self, worker: Worker, job: KnowledgeIngestJob, tmp_path: Path) -> None:
        await put(worker, job, SIDES.format("black"))
        await run_jobs(worker, job)
        before = await self._rows(worker)
        assert [name for name in TABLES if not before[name]] == ["removal"]
        await queue.enqueue_delete(worker.queue, await self._delete(worker, job))
        await run_jobs(worker)
        assert await self._rows(worker) == dict.fromkeys(TABLES, 0)
        assert files(tmp_path) == []

    async def test_a_removal_that_nobody_was_told_of_is_done(
        self, worker: Worker, job: KnowledgeIngestJob, tmp_path: Path
    ) -> None:
        await self._delete(worker, job)
        async with worker.database.across_tenants() as session:
            await session.execute(text("UPDATE knowledge_removal SET created_at = now() - interval '1 minute'"))
        await jobs.sweep({"worker": worker})
        assert (files(tmp_path), (await self._rows(worker))["removal"]) == ([], 0)

    async def test_one_deleted_while_it_is_read_leaves_nothing(
        self, worker: Worker, scope: Scope, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        job = await upload(worker, scope, "rules.md", SIDES.format("white").encode())

        async def delete_first(stage: str, *_: object) -> None:
            if stage == "chunk":
                gone = await self._delete(worker, job)
                await jobs.delete_source({"worker": worker}, asdict(gone))

        monkeypatch.setattr("services.ingestion_worker.ingestion.Progress", lambda *_args, **_kwargs: delete_first)
        await ingest(worker)
        assert files(tmp_path) == []


async def test_a_document_beyond_the_quota_fails_and_says_so(worker: Worker, scope: Scope) -> None:
    async with worker.database.across_tenants() as session:
        tenant = await session.get_one(Tenant, scope.tenant_id)
        tenant.settings = {"knowledge": {"max_chunks": 3}}
    first = await upload(worker, scope, "first.md", SIDES.format("first").encode())
    await run_jobs(worker, first)
    assert (await source_of(worker, first)).status == "ready"
    second = await upload(worker, scope, "second.md", SIDES.format("second").encode())
    await run_jobs(worker, second)
    failed = await source_of(worker, second)
    assert (failed.status, (failed.error or {})["code"]) == ("failed", "quota_exceeded")
