"""Web sites and pages as sources: crawled, refreshed, and read again only where they have changed."""

from collections.abc import Iterator
from uuid import UUID

import pytest
from sqlalchemy import text
from sqlmodel import col, select

from packages.core.db.tables.accounts import Tenant
from packages.core.db.tables.knowledge import KnowledgeRemoval, KnowledgeSource
from packages.core.jobs import KnowledgeIngestJob
from packages.rag.documents import Scope
from packages.rag.embeddings.hashing import HashingEmbedder
from packages.rag.retrieval import retrieve_context
from services.ingestion_worker import jobs
from services.ingestion_worker.ingestion import Worker
from tests.ingestion_worker.test_crawl import html, with_etag
from tests.ingestion_worker.uploads import change, run_jobs, source_of, upload
from tests.ingestion_worker.websites import Page, Website, answer, serving


@pytest.fixture
def pages() -> dict[str, Page]:
    return {
        "/": html("/returns", "/hours", text="Welcome to the shop"),
        "/returns": html(text="Send it back within 14 days", head="<title>Returns</title>"),
        "/hours": html(text="We open at nine"),
    }


@pytest.fixture
def website(pages: dict[str, Page]) -> Iterator[Website]:
    with serving(pages) as served:
        yield served


@pytest.fixture
async def site(worker: Worker, scope: Scope, website: Website) -> KnowledgeIngestJob:
    worker.settings.fetch.crawl_delay_seconds = 0
    crawl = {"by": "links", "limit": 50, "path": "/"}
    return await web(worker, scope, website.url("/"), kind="site", crawl=crawl)


async def web(worker: Worker, scope: Scope, url: str, **values: object) -> KnowledgeIngestJob:
    job = await upload(worker, scope, url, b"", url=url, **{"kind": "url", **values})
    await change(worker, job, storage_key=None, filename=None)
    return job


async def again(worker: Worker, job: KnowledgeIngestJob) -> None:
    source = await source_of(worker, job)
    await change(worker, job, status="queued", attempts=0, epoch=source.epoch + 1)
    await run_jobs(worker, job)


async def pages_of(worker: Worker, site: KnowledgeIngestJob) -> dict[str, KnowledgeSource]:
    async with worker.database.tenant(site.tenant_id) as session:
        query = select(KnowledgeSource).where(col(KnowledgeSource.parent_id) == UUID(site.source_id))
        return {(row.url or "").rsplit("/", 1)[-1]: row for row in (await session.scalars(query)).all()}


class TestSite:
    async def test_each_page_is_a_source_with_its_title(
        self, worker: Worker, scope: Scope, site: KnowledgeIngestJob
    ) -> None:
        await run_jobs(worker, site)
        source, found = await source_of(worker, site), await pages_of(worker, site)
        assert (source.status, source.progress) == ("ready", 1.0)
        assert {name: page.status for name, page in found.items()} == dict.fromkeys(["", "returns", "hours"], "ready")
        assert found["returns"].title == "Returns"
        hits = await retrieve_context(worker.knowledge, scope, "How many days to send it back?", limit=1)
        assert hits[0].source_id == found["returns"].id

    async def test_unchanged_pages_cost_no_embedding(
        self, worker: Worker, site: KnowledgeIngestJob, embedder: HashingEmbedder, pages: dict[str, Page]
    ) -> None:
        await run_jobs(worker, site)
        before, embedder.calls = await pages_of(worker, site), 0
        pages["/returns"] = html(text="Send it back within 30 days")
        await again(worker, site)
        after = await pages_of(worker, site)
        assert {name: page.version for name, page in after.items()} == {"": 1, "returns": 2, "hours": 1}
        assert embedder.calls == 1
        assert after["hours"].updated_at == before["hours"].updated_at

    async def test_pages_that_are_gone_are_forgotten(
        self, worker: Worker, scope: Scope, site: KnowledgeIngestJob, pages: dict[str, Page]
    ) -> None:
        await run_jobs(worker, site)
        pages["/"] = html("/hours", text="Welcome")
        del pages["/returns"]
        await again(worker, site)
        assert sorted(await pages_of(worker, site)) == ["", "hours"]
        assert not [hit for hit in await retrieve_context(worker.knowledge, scope, "14 days") if "14" in hit.text]
        async with worker.database.tenant(site.tenant_id) as session:
            assert len((await session.scalars(select(KnowledgeRemoval))).all()) == 1

    async def test_a_site_in_trouble_keeps_its_pages(
        self, worker: Worker, site: KnowledgeIngestJob, pages: dict[str, Page]
    ) -> None:
        await run_jobs(worker, site)
        pages["/"] = answer(b"", status=404)
        await again(worker, site)
        assert (await source_of(worker, site)).status == "failed"
        assert len(await pages_of(worker, site)) == 3

    async def test_robots_are_obeyed(self, worker: Worker, site: KnowledgeIngestJob, pages: dict[str, Page]) -> None:
        pages["/robots.txt"] = answer(b"User-agent: *\nDisallow: /", Content_Type="text/plain")
        await run_jobs(worker, site)
        source = await source_of(worker, site)
        assert (source.status, (source.error or {})["code"]) == ("failed", "forbidden_by_robots")

    async def test_only_what_the_sitemap_names(
        self, worker: Worker, scope: Scope, website: Website, pages: dict[str, Page]
    ) -> None:
        worker.settings.fetch.crawl_delay_seconds = 0
        named = f"<urlset><url><loc>{website.url('/')}</loc></url></urlset>".encode()
        pages["/sitemap.xml"] = answer(named, Content_Type="application/xml")
        site = await web(worker, scope, website.url("/"), kind="site", crawl={"by": "sitemap", "limit": 9, "path": "/"})
        await run_jobs(worker, site)
        assert list(await pages_of(worker, site)) == [""]

    async def test_a_quota_that_is_used_up_ends_the_crawl(
        self, worker: Worker, scope: Scope, site: KnowledgeIngestJob
    ) -> None:
        async with worker.database.across_tenants() as session:
            (await session.get_one(Tenant, scope.tenant_id)).settings = {"knowledge": {"max_sources": 2}}
        await run_jobs(worker, site)
        source = await source_of(worker, site)
        assert (source.status, (source.error or {})["code"]) == ("failed", "quota_exceeded")
        assert len(await pages_of(worker, site)) == 1


class TestRefresh:
    async def _due(self, worker: Worker) -> None:
        async with worker.database.across_tenants() as session:
            await session.execute(text("UPDATE knowledge_source SET refresh_at = now() - interval '1 second'"))
        await jobs.refresh({"worker": worker})
        await run_jobs(worker)

    async def test_an_unchanged_page_is_not_sent_again(
        self, worker: Worker, scope: Scope, website: Website, pages: dict[str, Page], embedder: HashingEmbedder
    ) -> None:
        pages["/tagged"] = with_etag(b"<p>We close at five</p>", '"one"')
        job = await web(worker, scope, website.url("/tagged"), refresh_hours=24.0)
        await run_jobs(worker, job)
        embedder.calls = 0
        await self._due(worker)
        source = await source_of(worker, job)
        assert (source.status, source.version, embedder.calls) == ("ready", 1, 0)
        assert source.refresh_at is not None
        assert 22 * 3600 < (source.refresh_at - source.updated_at).total_seconds() < 26 * 3600

    async def test_a_changed_page_becomes_the_next_version(
        self, worker: Worker, scope: Scope, website: Website, pages: dict[str, Page]
    ) -> None:
        job = await web(worker, scope, website.url("/hours"), refresh_hours=1.0)
        await run_jobs(worker, job)
        pages["/hours"] = html(text="We open at ten")
        await self._due(worker)
        hits = await retrieve_context(worker.knowledge, scope, "When do you open?", limit=5)
        assert [("ten" in hit.text, hit.source_version) for hit in hits] == [(True, 2)]

    async def test_what_has_no_hour_is_left_alone(self, worker: Worker, scope: Scope) -> None:
        job = await upload(worker, scope, "forgot-your-password.md")
        await run_jobs(worker, job)
        await jobs.refresh({"worker": worker})
        assert (await source_of(worker, job)).status == "ready"

    async def test_a_page_that_robots_forbid_is_not_read(
        self, worker: Worker, scope: Scope, website: Website, pages: dict[str, Page]
    ) -> None:
        pages["/robots.txt"] = answer(b"User-agent: *\nDisallow: /hours", Content_Type="text/plain")
        job = await web(worker, scope, website.url("/hours"))
        await run_jobs(worker, job)
        assert ((await source_of(worker, job)).error or {})["code"] == "forbidden_by_robots"


async def test_what_another_embedder_indexed_comes_over(
    worker: Worker, scope: Scope, embedder: HashingEmbedder
) -> None:
    job = await upload(worker, scope, "forgot-your-password.md")
    await run_jobs(worker, job)
    embedder.name = "another-model"
    context = {"worker": worker}
    await jobs.re_embed(context)
    assert str((await source_of(worker, job)).indexed_hash).endswith("|another-model")
    hits = await retrieve_context(worker.knowledge, scope, "How do I reset my password?", limit=3)
    assert hits[0].dense is not None
    before = (await source_of(worker, job)).version
    await jobs.re_embed(context)
    assert (await source_of(worker, job)).version == before
