"""Knowledge sources: taken in, queued, refreshed, retried and deleted; searched and answered from."""

import json
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import httpx
import pytest
import pytest_asyncio
from arq.connections import ArqRedis
from redis.asyncio import Redis
from redis.exceptions import ConnectionError as RedisConnectionError

from packages.core import jobs
from packages.core.db.repository import get
from packages.core.db.tables.brands import Brand
from packages.core.db.tables.knowledge import KnowledgeSource
from packages.core.storage import ObjectStore
from packages.rag.documents import Scope
from packages.rag.ingest import Upload, ingest_document
from packages.rag.retrieval import Knowledge
from services.local.engines import free_port
from tests.factories.companies import Company, Installation
from tests.factories.knowledge import document, make_source

ARTICLE = "forgot-your-password.md"


def path(company: Company) -> str:
    return f"/v1/brands/{company.brand_id}/knowledge"


async def upload(company: Company, *names: str, **form: Any) -> httpx.Response:
    files = [("files", (name, document(name))) for name in names]
    return await company.admin.post(path(company), files=files, data=form)


async def row(installation: Installation, company: Company, source_id: str) -> KnowledgeSource:
    async with installation.database.tenant(company.tenant_id) as session:
        return await get(session, KnowledgeSource, source_id)


async def settle(installation: Installation, company: Company, source_id: str, **values: Any) -> None:
    """Do as the worker does."""
    async with installation.database.tenant(company.tenant_id) as session:
        source = await get(session, KnowledgeSource, source_id)
        for name, value in values.items():
            setattr(source, name, value)


async def queued(redis: Redis, queue: str = jobs.QUEUE) -> set[str]:
    """Sources that a worker was woken for."""
    return {name.decode().split(":")[1] for name in await redis.zrange(queue, 0, -1)}


@pytest_asyncio.fixture
async def without_queue(installation: Installation) -> AsyncIterator[None]:
    """The orchestrator with a job queue that cannot be reached."""
    parts = installation.parts
    alive = parts.get(ArqRedis)
    dead: ArqRedis = ArqRedis(port=free_port())
    with pytest.raises(RedisConnectionError):
        await dead.ping()
    parts.put(ArqRedis, dead)
    yield
    parts.put(ArqRedis, alive)


class TestUpload:
    async def test_files_are_stored_and_queued(self, installation: Installation, acme: Company, redis: Redis) -> None:
        answer = await upload(acme, ARTICLE, "agreement_bookmarks.pdf", tags=["help", "login"], language="en")
        assert answer.status_code == 202
        items = answer.json()["items"]
        assert [(item["title"], item["status"]) for item in items] == [
            ("Forgot your password", "queued"),
            ("Agreement bookmarks", "queued"),
        ]
        source = await row(installation, acme, items[0]["id"])
        assert (source.kind, source.media_type, source.filename) == ("file", "text/markdown", ARTICLE)
        assert (source.tags, source.language) == (["help", "login"], "en")
        assert source.storage_key == f"{acme.tenant_id}/{acme.brand_id}/{source.id}/original"
        assert await installation.parts.get(ObjectStore).get(source.storage_key) == document(ARTICLE)
        assert await queued(redis) == {item["id"] for item in items}

    async def test_same_content_is_the_same_source(
        self, installation: Installation, acme: Company, rival: Company
    ) -> None:
        first = (await upload(acme, ARTICLE)).json()["items"][0]
        await settle(installation, acme, first["id"], status="ready")
        again = (await upload(acme, ARTICLE, ARTICLE)).json()["items"]
        assert [(item["id"], item["status"]) for item in again] == [(first["id"], "ready")] * 2
        assert (await upload(rival, ARTICLE)).json()["items"][0]["id"] != first["id"]

    @pytest.mark.parametrize(
        ("body", "kind", "media_type", "title"),
        [
            ({"text": "# Hours\nNine to five.", "title": "Hours"}, "text", "text/markdown", "Hours"),
            ({"faq": [{"question": "Q?", "answer": "A."}]}, "faq", "application/vnd.parley.faq+json", "FAQ"),
            ({"url": "https://example.test/help"}, "url", "text/html", "https://example.test/help"),
        ],
    )
    async def test_json_forms(
        self, installation: Installation, acme: Company, body: dict[str, Any], kind: str, media_type: str, title: str
    ) -> None:
        answer = await acme.admin.post(path(acme), json=body)
        assert answer.status_code == 202
        source = await row(installation, acme, answer.json()["items"][0]["id"])
        assert (source.kind, source.media_type, source.title) == (kind, media_type, title)
        repeated = await acme.admin.post(path(acme), json=body)
        assert repeated.json() == answer.json()
        if kind == "faq":
            assert source.storage_key
            assert json.loads(await installation.parts.get(ObjectStore).get(source.storage_key)) == body["faq"]
        if kind == "url":
            assert (source.url, source.storage_key) == (body["url"], None)

    @pytest.mark.parametrize(
        ("body", "status"),
        [
            ({"url": "file:///etc/passwd"}, 422),
            ({"url": "https://user:secret@host.test/"}, 422),
            ({"url": "https://"}, 422),
            ({"text": "x"}, 422),
            ({"faq": []}, 422),
            ({"text": "x", "title": "x", "url": "https://a.test"}, 422),
            ({}, 422),
            ({"text": "x", "title": "a\0b"}, 422),
        ],
    )
    async def test_malformed(self, acme: Company, body: dict[str, Any], status: int) -> None:
        answer = await acme.admin.post(path(acme), json=body)
        assert answer.status_code == status
        assert "secret" not in answer.text

    @pytest.mark.parametrize(
        ("content", "content_type", "status"),
        [
            (b"{", "application/json", 422),
            (b"[]", "application/json", 422),
            (b"x", "text/plain", 415),
            (b"", "multipart/form-data", 400),
            (b"--x--\r\n", "multipart/form-data; boundary=x", 422),
        ],
    )
    async def test_bodies_that_are_none(self, acme: Company, content: bytes, content_type: str, status: int) -> None:
        answer = await acme.admin.post(path(acme), content=content, headers={"Content-Type": content_type})
        assert answer.status_code == status
        assert answer.json()["error"]["request_id"]

    async def test_too_large(self, acme: Company) -> None:
        answer = await acme.admin.post(path(acme), files=[("files", ("big.txt", b"x" * 200_001))])
        assert (answer.status_code, answer.json()["error"]["code"]) == (413, "too_large")

    async def test_too_many(self, acme: Company) -> None:
        files = [("files", (f"{number}.txt", b"x")) for number in range(4)]
        assert (await acme.admin.post(path(acme), files=files)).status_code == 413
        assert (await acme.admin.get(path(acme))).json()["items"] == []

    @pytest.mark.parametrize(
        ("filename", "kept", "title"),
        [
            ("../../etc/passwd", "passwd", "Passwd"),
            ("C:\\docs\\my_file.txt", "my_file.txt", "My file"),
            (".md", ".md", ".md"),
        ],
    )
    async def test_file_names_are_only_names(
        self, installation: Installation, acme: Company, filename: str, kept: str, title: str
    ) -> None:
        answer = await acme.admin.post(path(acme), files=[("files", (filename, b"words"))])
        source = await row(installation, acme, answer.json()["items"][0]["id"])
        assert (source.filename, source.title) == (kept, title)
        assert source.storage_key == f"{acme.tenant_id}/{acme.brand_id}/{source.id}/original"

    async def test_without_redis(self, installation: Installation, acme: Company, without_queue: None) -> None:
        answer = await upload(acme, ARTICLE)
        assert (answer.status_code, answer.json()["items"][0]["status"]) == (202, "queued")
        gone = await acme.admin.delete(f"{path(acme)}/{answer.json()['items'][0]['id']}")
        assert gone.status_code == 204

    async def test_agents_add_nothing(self, acme: Company) -> None:
        answer = await acme.agent.post(path(acme), json={"text": "x", "title": "x"})
        assert answer.status_code == 403


class TestRead:
    async def test_progress(self, installation: Installation, acme: Company) -> None:
        source_id = (await upload(acme, ARTICLE)).json()["items"][0]["id"]
        await settle(installation, acme, source_id, status="processing", stage="embed", progress=0.5)
        shown = (await acme.viewer.get(f"{path(acme)}/{source_id}")).json()
        assert (shown["status"], shown["stage"], shown["progress"]) == ("processing", "embed", 0.5)
        assert (shown["chunk_count"], shown["version"], shown["error"]) == (0, 0, None)

    async def test_pages(self, acme: Company) -> None:
        for number in range(3):
            await acme.admin.post(path(acme), json={"text": str(number), "title": str(number)})
        first = (await acme.viewer.get(path(acme), params={"limit": 2})).json()
        second = (await acme.viewer.get(path(acme), params={"limit": 2, "cursor": first["next_cursor"]})).json()
        assert [item["title"] for item in first["items"] + second["items"]] == ["2", "1", "0"]
        assert second["next_cursor"] is None

    async def test_by_status(self, installation: Installation, acme: Company) -> None:
        source_id = (await upload(acme, ARTICLE)).json()["items"][0]["id"]
        assert (await acme.viewer.get(path(acme), params={"status": "ready"})).json()["items"] == []
        await settle(installation, acme, source_id, status="ready")
        assert len((await acme.viewer.get(path(acme), params={"status": "ready"})).json()["items"]) == 1


class TestAgain:
    @pytest.mark.parametrize("status", ["ready", "failed"])
    async def test_refresh_queues(self, installation: Installation, acme: Company, redis: Redis, status: str) -> None:
        source_id = (await upload(acme, ARTICLE)).json()["items"][0]["id"]
        await settle(installation, acme, source_id, status=status, attempts=5, error={"code": "x"}, progress=1.0)
        await redis.flushall()
        answer = await acme.admin.post(f"{path(acme)}/{source_id}/refresh")
        shown = answer.json()
        assert (answer.status_code, shown["status"], shown["attempts"], shown["error"]) == (202, "queued", 0, None)
        assert await queued(redis) == {source_id}

    async def test_refresh_leaves_work_in_hand_alone(self, installation: Installation, acme: Company) -> None:
        source_id = (await upload(acme, ARTICLE)).json()["items"][0]["id"]
        await settle(installation, acme, source_id, status="processing", attempts=2)
        shown = (await acme.admin.post(f"{path(acme)}/{source_id}/refresh")).json()
        assert (shown["status"], shown["attempts"]) == ("processing", 2)

    async def test_poison_queue(self, installation: Installation, acme: Company, redis: Redis) -> None:
        source_id = (await upload(acme, ARTICLE)).json()["items"][0]["id"]
        assert (await acme.admin.post(f"/v1/knowledge/{source_id}/retry")).status_code == 409
        error = {"code": "unreadable", "message": "This PDF is encrypted; upload it without a password."}
        await settle(installation, acme, source_id, status="failed", attempts=5, error=error)
        failed = (await acme.viewer.get("/v1/knowledge/failed")).json()["items"]
        assert [(item["id"], item["error"], item["attempts"]) for item in failed] == [(source_id, error, 5)]
        retried = await acme.admin.post(f"/v1/knowledge/{source_id}/retry")
        assert (retried.status_code, retried.json()["status"]) == (202, "queued")
        assert (await acme.viewer.get("/v1/knowledge/failed")).json()["items"] == []


@pytest_asyncio.fixture
async def learned(installation: Installation, acme: Company) -> AsyncIterator[UUID]:
    """A source of acme's that was ingested."""
    knowledge = installation.parts.get(Knowledge)
    scope = Scope(tenant_id=acme.tenant_id, brand_id=acme.brand_id)
    source_id = await make_source(installation.database, scope, "Forgot your password", filename=ARTICLE)
    data = document(ARTICLE)
    await ingest_document(
        knowledge, scope, source_id, Upload(data=data, media_type="text/markdown", title="Forgot your password")
    )
    yield source_id


QUESTION = "How do I reset my password?"


class TestSearch:
    async def test_finds_chunks_with_their_place(self, acme: Company, learned: UUID) -> None:
        answer = await acme.viewer.post(f"{path(acme)}/search", json={"query": QUESTION, "limit": 2})
        items = answer.json()["items"]
        assert 1 <= len(items) <= 2
        assert items[0].keys() == {"chunk_id", "source_id", "title", "text", "score", "location"}
        assert (items[0]["source_id"], items[0]["title"]) == (str(learned), "Forgot your password")
        assert items[0]["location"].keys() == {"page", "headings"}

    async def test_filters(self, acme: Company, learned: UUID) -> None:
        for filters, found in [({"tags": ["none"]}, False), ({"source_ids": [str(learned)]}, True)]:
            body = {"query": QUESTION, "filters": filters}
            items = (await acme.viewer.post(f"{path(acme)}/search", json=body)).json()["items"]
            assert bool(items) is found

    async def test_another_brand_finds_nothing(self, rival: Company, learned: UUID) -> None:
        answer = await rival.viewer.post(f"{path(rival)}/search", json={"query": QUESTION})
        assert answer.json() == {"items": []}

    @pytest.mark.parametrize("body", [{"query": " "}, {"query": "x", "limit": 0}, {"query": "x" * 4001}, {}])
    async def test_malformed(self, acme: Company, body: dict[str, Any]) -> None:
        assert (await acme.viewer.post(f"{path(acme)}/search", json=body)).status_code == 422


class TestAnswer:
    async def test_cites_its_source_verbatim(self, acme: Company, learned: UUID) -> None:
        url = f"/v1/brands/{acme.brand_id}/answers"
        history = [{"author": "customer", "text": "Hello"}, {"author": "bot", "text": "Hi!"}]
        answer = (await acme.viewer.post(url, json={"question": QUESTION, "history": history})).json()
        assert (answer["abstained"], answer["offer_person"]) == (False, False)
        citation = answer["citations"][0]
        assert citation["source_id"] == str(learned)
        hits = (await acme.viewer.post(f"{path(acme)}/search", json={"query": QUESTION, "limit": 50})).json()["items"]
        assert citation["quote"] in {hit["chunk_id"]: hit["text"] for hit in hits}[citation["chunk_id"]]

    async def test_does_not_know(self, acme: Company, learned: UUID) -> None:
        url = f"/v1/brands/{acme.brand_id}/answers"
        answer = (await acme.viewer.post(url, json={"question": "Which telescope shows the moons of Jupiter?"})).json()
        assert (answer["abstained"], answer["offer_person"], answer["citations"]) == (True, True, [])
        assert answer["answer"]


async def test_delete_forgets_at_once(installation: Installation, acme: Company, learned: UUID, redis: Redis) -> None:
    async with installation.database.tenant(acme.tenant_id) as session:
        before = (await get(session, Brand, acme.brand_id)).knowledge_version
    assert (await acme.admin.delete(f"{path(acme)}/{learned}")).status_code == 204
    assert (await acme.admin.get(f"{path(acme)}/{learned}")).status_code == 404
    found = await acme.viewer.post(f"{path(acme)}/search", json={"query": QUESTION})
    async with installation.database.tenant(acme.tenant_id) as session:
        after = (await get(session, Brand, acme.brand_id)).knowledge_version
    assert found.json() == {"items": []}
    assert after == before + 1
    assert await queued(redis, jobs.UPKEEP_QUEUE) == {str(learned)}
