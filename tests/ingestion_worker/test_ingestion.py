import asyncio
import json
from collections.abc import Iterator, Sequence
from http.server import BaseHTTPRequestHandler

import pytest

from packages.core import streams
from packages.core.db.tables.knowledge import KnowledgeSource
from packages.core.errors import Unavailable
from packages.core.jobs import KnowledgeIngestJob
from packages.rag.documents import Scope
from packages.rag.embeddings import Vectors
from packages.rag.embeddings.hashing import HashingEmbedder
from packages.rag.retrieval import retrieve_context
from services.ingestion_worker import sources
from services.ingestion_worker.ingestion import Worker, ingest
from services.ingestion_worker.turns import TryAgain
from tests.factories.accounts import make_tenant
from tests.ingestion_worker.uploads import (
    change,
    chunks_of,
    knowledge_version,
    run_jobs,
    source_of,
    upload,
)
from tests.ingestion_worker.websites import Website, answer, serving


class TestReadable:
    async def test_a_pdf_becomes_chunks_with_pages(self, worker: Worker, scope: Scope) -> None:
        job = await upload(worker, scope, "five_pages_headings.pdf", media_type="application/pdf")
        await run_jobs(worker, job)
        source = await source_of(worker, job)
        assert (source.status, source.progress, source.version, source.error) == ("ready", 1.0, 1, None)
        chunks = await chunks_of(worker, job)
        assert len(chunks) == source.chunk_count > 1
        assert {chunk.page for chunk in chunks} >= {1, 2}

    async def test_articles_are_found_by_what_they_say(self, worker: Worker, scope: Scope) -> None:
        names = ["forgot-your-password.md", "delete-your-account.md", "accepted-id-type.md"]
        found = [await upload(worker, scope, name) for name in names]
        await run_jobs(worker, *found)
        assert [(await source_of(worker, job)).status for job in found] == ["ready"] * 3
        hits = await retrieve_context(worker.knowledge, scope, "How do I delete my account?", limit=1)
        assert str(hits[0].source_id) == found[1].source_id

    async def test_the_brands_knowledge_version_grows_with_each_source(self, worker: Worker, scope: Scope) -> None:
        first, second = [
            await upload(worker, scope, name) for name in ("forgot-your-password.md", "authentication-methods.md")
        ]
        await run_jobs(worker, first, second)
        assert await knowledge_version(worker, scope) == 2

    async def test_another_tenant_finds_nothing_of_it(self, worker: Worker, scope: Scope) -> None:
        await run_jobs(worker, await upload(worker, scope, "forgot-your-password.md"))
        other = await make_tenant(worker.database, "other")
        foreign = Scope(tenant_id=other.tenant_id, brand_id=other.brand_id)
        assert await retrieve_context(worker.knowledge, foreign, "forgot my password", limit=5) == []


class TestRepeated:
    async def test_an_unchanged_source_costs_no_embedding(
        self, worker: Worker, scope: Scope, embedder: HashingEmbedder
    ) -> None:
        job = await upload(worker, scope, "forgot-your-password.md")
        await run_jobs(worker, job)
        before, embedder.calls = [chunk.id for chunk in await chunks_of(worker, job)], 0
        await change(worker, job, status="queued", attempts=0)
        await run_jobs(worker, job)
        source = await source_of(worker, job)
        assert (source.status, source.version, embedder.calls) == ("ready", 1, 0)
        assert [chunk.id for chunk in await chunks_of(worker, job)] == before

    async def test_a_changed_document_replaces_its_chunks(self, worker: Worker, scope: Scope) -> None:
        job = await upload(worker, scope, "article.md", b"# Returns\n\nYou have 14 days to send it back.")
        await run_jobs(worker, job)
        key = (await source_of(worker, job)).storage_key or ""
        await worker.storage.put(key, b"# Returns\n\nYou have 30 days to send it back.")
        await change(worker, job, status="queued", attempts=0)
        await run_jobs(worker, job)
        assert (await source_of(worker, job)).version == 2
        assert [("30 days" in chunk.text, chunk.source_version) for chunk in await chunks_of(worker, job)] == [
            (True, 2)
        ]

    @pytest.mark.parametrize("status", ["ready", "failed"])
    async def test_a_job_for_a_settled_source_does_nothing(self, worker: Worker, scope: Scope, status: str) -> None:
        job = await upload(worker, scope, "forgot-your-password.md", status=status)
        await run_jobs(worker, job)
        source = await source_of(worker, job)
        assert (source.status, source.attempts, source.chunk_count) == (status, 0, 0)

    async def test_a_job_for_a_deleted_source_does_nothing(self, worker: Worker, scope: Scope) -> None:
        await run_jobs(worker, KnowledgeIngestJob(tenant_id=str(scope.tenant_id), source_id=str(scope.brand_id)))
        assert await knowledge_version(worker, scope) == 0

    async def test_a_job_too_many_does_nothing(self, worker: Worker, scope: Scope) -> None:
        job = await upload(worker, scope, "forgot-your-password.md")
        await run_jobs(worker, job, job, job)
        source = await source_of(worker, job)
        assert (source.status, source.attempts, source.version) == ("ready", 1, 1)

    async def test_two_workers_read_a_source_once(
        self, worker: Worker, scope: Scope, embedder: HashingEmbedder
    ) -> None:
        job = await upload(worker, scope, "forgot-your-password.md")
        await asyncio.gather(ingest(worker), ingest(worker))
        source = await source_of(worker, job)
        assert (source.status, source.attempts, source.version) == ("ready", 1, 1)


class TestUnreadable:
    @pytest.mark.parametrize(
        ("name", "media_type"),
        [
            ("encrypted_password.pdf", "application/pdf"),
            ("zero_bytes.pdf", "application/pdf"),
            ("zero_pages.pdf", "application/pdf"),
            ("truncated_half.pdf", "application/pdf"),
            ("fax_image.pdf", "application/pdf"),
        ],
    )
    async def test_fails_at_once_and_says_what_to_do(
        self, worker: Worker, scope: Scope, name: str, media_type: str
    ) -> None:
        job = await upload(worker, scope, name, media_type=media_type)
        await run_jobs(worker, job)
        source = await source_of(worker, job)
        assert (source.status, source.attempts, source.stage) == ("failed", 1, None)
        assert source.error is not None
        assert "pload" in str(source.error["message"]), source.error
        assert source.error["code"] not in {"internal", "poison"}

    async def test_leaves_what_was_indexed_before(self, worker: Worker, scope: Scope) -> None:
        job = await upload(worker, scope, "article.md", b"# Returns\n\nYou have 14 days.")
        await run_jobs(worker, job)
        await worker.storage.put((await source_of(worker, job)).storage_key or "", b"")
        await change(worker, job, status="queued", attempts=0)
        await run_jobs(worker, job)
        assert (await source_of(worker, job)).status == "failed"
        assert len(await chunks_of(worker, job)) == 1

    async def test_a_lost_file_asks_for_another_upload(self, worker: Worker, scope: Scope) -> None:
        job = await upload(worker, scope, "forgot-your-password.md")
        await worker.storage.delete_prefix(str(scope.tenant_id))
        await run_jobs(worker, job)
        source = await source_of(worker, job)
        assert (source.status, (source.error or {})["code"]) == ("failed", "missing_file")


class Faltering(HashingEmbedder):
    """A provider that fails so many times before it answers."""

    def __init__(self, failures: int, error: Exception) -> None:
        super().__init__()
        self.failures = failures
        self.error = error

    async def embed(self, texts: Sequence[str]) -> Vectors:
        if self.failures > 0:
            self.failures -= 1
            raise self.error
        return await super().embed(texts)


class TestTransient:
    @pytest.fixture
    def embedder(self) -> Faltering:
        return Faltering(2, Unavailable("The embedding provider does not answer."))

    async def test_is_tried_again_until_it_passes(self, worker: Worker, scope: Scope) -> None:
        job = await upload(worker, scope, "forgot-your-password.md")
        await run_jobs(worker, job)
        source = await source_of(worker, job)
        assert (source.status, source.attempts, source.error) == ("ready", 3, None)

    async def test_waits_queued_and_shows_the_reason(self, worker: Worker, scope: Scope) -> None:
        job = await upload(worker, scope, "forgot-your-password.md")
        with pytest.raises(TryAgain):
            await ingest(worker)
        source = await source_of(worker, job)
        assert (source.status, source.attempts, (source.error or {})["code"]) == ("queued", 1, "unavailable")

    async def test_is_poison_after_the_last_attempt(self, worker: Worker, scope: Scope, embedder: Faltering) -> None:
        embedder.failures = 99
        job = await upload(worker, scope, "forgot-your-password.md")
        await run_jobs(worker, job)
        source = await source_of(worker, job)
        assert (source.status, source.attempts, embedder.failures) == ("failed", 5, 94)
        assert source.error is not None
        assert (source.error["code"], source.error["cause"], source.error["attempts"]) == ("poison", "unavailable", 5)
        assert "does not answer" in str(source.error["message"])

    async def test_poison_can_be_retried(self, worker: Worker, scope: Scope, embedder: Faltering) -> None:
        embedder.failures = 5
        job = await upload(worker, scope, "forgot-your-password.md")
        await run_jobs(worker, job)
        await change(worker, job, status="queued", attempts=0)
        await run_jobs(worker, job)
        assert (await source_of(worker, job)).status == "ready"

    async def test_an_unexpected_error_tells_the_admin_nothing_of_our_insides(
        self, worker: Worker, scope: Scope, embedder: Faltering
    ) -> None:
        embedder.error = RuntimeError("a path, a query, a secret")
        job = await upload(worker, scope, "forgot-your-password.md")
        with pytest.raises(TryAgain):
            await ingest(worker)
        assert (await source_of(worker, job)).error == {
            "code": "internal",
            "message": "Something went wrong on our side.",
        }

    async def test_a_source_that_kills_its_workers_is_poison(self, worker: Worker, scope: Scope) -> None:
        job = await upload(worker, scope, "forgot-your-password.md", status="queued", attempts=5)
        await ingest(worker)
        source = await source_of(worker, job)
        assert source.status == "failed"
        assert ((source.error or {})["code"], (source.error or {})["cause"]) == ("poison", "worker_died")


class Hanging(HashingEmbedder):
    """A provider that never answers."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = asyncio.Event()

    async def embed(self, texts: Sequence[str]) -> Vectors:
        self.asked.set()
        await asyncio.sleep(60)
        return await super().embed(texts)


class TestInterrupted:
    @pytest.fixture
    def embedder(self) -> Hanging:
        return Hanging()

    async def test_a_stopping_worker_hands_the_source_back(
        self, worker: Worker, scope: Scope, embedder: Hanging
    ) -> None:
        job = await upload(worker, scope, "forgot-your-password.md")
        task = asyncio.create_task(ingest(worker))
        await embedder.asked.wait()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert task.cancelled()
        source = await source_of(worker, job)
        assert (source.status, source.attempts, source.error) == ("queued", 0, None)

    async def test_a_source_queued_anew_meanwhile_is_read_anew(
        self, worker: Worker, scope: Scope, embedder: Hanging
    ) -> None:
        job = await upload(worker, scope, "forgot-your-password.md")
        task = asyncio.create_task(ingest(worker))
        await embedder.asked.wait()
        await change(worker, job, status="queued", attempts=0)
        await asyncio.wait_for(task, 5)
        source = await source_of(worker, job)
        assert (source.status, source.attempts) == ("queued", 0)

    async def test_a_source_deleted_meanwhile_is_left_alone(
        self, worker: Worker, scope: Scope, embedder: Hanging
    ) -> None:
        job = await upload(worker, scope, "forgot-your-password.md")
        task = asyncio.create_task(ingest(worker))
        await embedder.asked.wait()
        async with worker.database.tenant(scope.tenant_id) as session:
            await session.delete(await session.get_one(KnowledgeSource, job.source_id))
        await asyncio.wait_for(task, 5)
        await ingest(worker)
        assert await sources.state(worker.database, job.tenant_id, job.source_id) is None

    async def test_the_time_of_one_attempt_is_limited(self, worker: Worker, scope: Scope) -> None:
        worker.settings.ingestion.job_seconds = 0.3
        job = await upload(worker, scope, "forgot-your-password.md")
        with pytest.raises(TryAgain):
            await ingest(worker)
        source = await source_of(worker, job)
        assert (source.status, (source.error or {})["code"]) == ("queued", "timeout")

    async def test_a_source_being_read_keeps_beating(self, worker: Worker, scope: Scope, embedder: Hanging) -> None:
        job = await upload(worker, scope, "forgot-your-password.md")
        task = asyncio.create_task(ingest(worker))
        await embedder.asked.wait()
        before = (await source_of(worker, job)).updated_at
        await asyncio.sleep(0.4)
        assert (await source_of(worker, job)).updated_at > before
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


class Moody:
    """A page that answers with one status after another."""

    def __init__(self) -> None:
        self.answers: list[tuple[int, bytes]] = []

    def __call__(self, request: BaseHTTPRequestHandler) -> None:
        status, body = self.answers.pop(0)
        answer(body, status=status, Content_Type="text/html")(request)


class TestURLs:
    @pytest.fixture
    def page(self) -> Moody:
        return Moody()

    @pytest.fixture
    def site(self, page: Moody) -> Iterator[Website]:
        with serving({"/help.html": page}) as site:
            yield site

    async def _queue(self, worker: Worker, scope: Scope, url: str) -> KnowledgeIngestJob:
        job = await upload(worker, scope, "placeholder", b"", kind="url", url=url)
        await change(worker, job, storage_key=None, filename=None)
        return job

    async def test_a_page_is_fetched_kept_and_indexed(
        self, worker: Worker, scope: Scope, page: Moody, site: Website
    ) -> None:
        page.answers = [(200, b"<h1>Opening hours</h1><p>We are open from nine to five.</p>")]
        job = await self._queue(worker, scope, site.url("/help.html"))
        await run_jobs(worker, job)
        source = await source_of(worker, job)
        assert (source.status, source.media_type, source.filename) == ("ready", "text/html", "help.html")
        assert b"nine to five" in await worker.storage.get(source.storage_key or "")
        assert ["nine to five" in chunk.text for chunk in await chunks_of(worker, job)] == [True]

    async def test_a_server_in_trouble_is_asked_again(
        self, worker: Worker, scope: Scope, page: Moody, site: Website
    ) -> None:
        page.answers = [(503, b""), (429, b""), (200, b"<p>We are open.</p>")]
        job = await self._queue(worker, scope, site.url("/help.html"))
        await run_jobs(worker, job)
        source = await source_of(worker, job)
        assert (source.status, source.attempts) == ("ready", 3)

    async def test_a_page_that_is_gone_fails_at_once(
        self, worker: Worker, scope: Scope, page: Moody, site: Website
    ) -> None:
        page.answers = [(404, b"")]
        job = await self._queue(worker, scope, site.url("/help.html"))
        await run_jobs(worker, job)
        source = await source_of(worker, job)
        assert (source.status, source.attempts, (source.error or {})["code"]) == ("failed", 1, "http_404")

    async def test_an_address_inside_the_network_is_refused(self, worker: Worker, scope: Scope) -> None:
        job = await self._queue(worker, scope, "http://169.254.169.254/latest/meta-data/")
        await run_jobs(worker, job)
        source = await source_of(worker, job)
        assert (source.status, source.attempts, (source.error or {})["code"]) == ("failed", 1, "forbidden_address")


class TestAnnounced:
    async def _events(self, worker: Worker, job: KnowledgeIngestJob) -> list[dict[str, object]]:
        listener = worker.redis.pubsub()
        await listener.subscribe(streams.live_channel(job.tenant_id))
        await listener.get_message(timeout=2)  # the confirmation
        await run_jobs(worker, job)
        events = []
        while message := await listener.get_message(timeout=0.3):
            payload = json.loads(message["data"])
            assert payload["type"] == "knowledge.progress"
            events.append(payload["data"])
        await listener.aclose()  # type: ignore[no-untyped-call]
        return events

    async def test_every_stage_shows_and_progress_only_grows(self, worker: Worker, scope: Scope) -> None:
        job = await upload(worker, scope, "five_pages_headings.pdf", media_type="application/pdf")
        events = await self._events(worker, job)
        stages = list(dict.fromkeys(event["stage"] for event in events))
        assert stages == ["fetch", "parse", "chunk", "embed", "store", None]
        progress = [float(str(event["progress"])) for event in events]
        assert progress == sorted(progress)
        assert (events[-1]["id"], events[-1]["status"], progress[-1]) == (job.source_id, "ready", 1.0)

    async def test_a_failure_is_told_with_its_reason(self, worker: Worker, scope: Scope) -> None:
        events = await self._events(worker, await upload(worker, scope, "zero_pages.pdf", media_type="application/pdf"))
        assert events[-1]["status"] == "failed"
        assert isinstance(events[-1]["error"], dict)

    async def test_a_redis_that_is_away_does_not_hold_up_the_work(self, worker: Worker, scope: Scope) -> None:
        await worker.redis.connection_pool.disconnect()
        worker.redis.connection_pool.connection_kwargs["port"] = 1
        job = await upload(worker, scope, "forgot-your-password.md")
        await ingest(worker)
        assert (await source_of(worker, job)).status == "ready"
