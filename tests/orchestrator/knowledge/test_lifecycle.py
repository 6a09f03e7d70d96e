"""Sources after their upload: listed, changed, replaced, cancelled, rolled back; their blocks, and quotas."""

from typing import Any

import httpx
import pytest

from packages.core.db.repository import get
from packages.core.db.tables.accounts import Tenant
from packages.core.db.tables.knowledge import KnowledgeSource
from packages.core.storage import ObjectStore
from packages.rag.documents import Scope
from packages.rag.ingest import Upload, ingest_document
from packages.rag.retrieval import Knowledge
from tests.factories.companies import Company, Installation

FIRST, SECOND = "# Returns\n\nYou have 14 days.", "# Returns\n\nYou have 30 days."


def path(company: Company, source_id: str = "") -> str:
    return f"/v1/brands/{company.brand_id}/knowledge" + (f"/{source_id}" if source_id else "")


async def add(company: Company, text: str = FIRST, title: str = "Returns", **more: Any) -> str:
    answer = await company.admin.post(path(company), json={"text": text, "title": title, **more})
    assert answer.status_code == 202, answer.text
    return str(answer.json()["items"][0]["id"])


async def show(company: Company, source_id: str) -> dict[str, Any]:
    shown: dict[str, Any] = (await company.viewer.get(path(company, source_id))).json()
    return shown


async def change(installation: Installation, company: Company, source_id: str, **values: Any) -> KnowledgeSource:
    async with installation.database.tenant(company.tenant_id) as session:
        source = await get(session, KnowledgeSource, source_id)
        source.sqlmodel_update(values)
    return source


async def read(installation: Installation, company: Company, source_id: str) -> None:
    """Do as the worker does."""
    storage = installation.parts.get(ObjectStore)
    source = await change(installation, company, source_id)
    assert source.storage_key
    upload = Upload(
        data=await storage.get(source.storage_key),
        media_type=source.media_type,
        title=source.title,
        storage_key=source.storage_key,
    )
    scope = Scope(tenant_id=company.tenant_id, brand_id=company.brand_id)
    await ingest_document(installation.parts.get(Knowledge), scope, source.id, upload, storage=storage)


async def allow(installation: Installation, company: Company, **limits: int) -> None:
    async with installation.database.across_tenants() as session:
        tenant = await session.get_one(Tenant, company.tenant_id)
        tenant.settings = {**tenant.settings, "knowledge": limits}


class TestList:
    @pytest.mark.parametrize(
        ("wanted", "titles"),
        [
            ({"q": "retu"}, ["Returns"]),
            ({"q": "100%"}, ["100% wool"]),
            ({"q": "_"}, []),
            ({"tag": "shop"}, ["100% wool", "Returns"]),
            ({"tag": "none"}, []),
            ({"kind": "faq"}, []),
            ({"status": "queued", "q": "wool"}, ["100% wool"]),
        ],
    )
    async def test_is_narrowed(self, acme: Company, wanted: dict[str, str], titles: list[str]) -> None:
        await add(acme, tags=["shop"])
        await add(acme, "Care for it.", "100% wool", tags=["shop", "care"])
        found = (await acme.viewer.get(path(acme), params=wanted)).json()["items"]
        assert [item["title"] for item in found] == titles


class TestPatch:
    async def test_tags_and_validity_change_at_once(self, installation: Installation, acme: Company) -> None:
        source_id = await add(acme)
        await read(installation, acme, source_id)
        body = {"tags": ["new"], "valid_until": "2030-01-01T00:00:00Z"}
        shown = (await acme.admin.patch(path(acme, source_id), json=body)).json()
        assert (shown["tags"], shown["valid_until"], shown["status"]) == (["new"], "2030-01-01T00:00:00Z", "ready")

    async def test_a_new_language_is_indexed_anew(self, installation: Installation, acme: Company) -> None:
        source_id = await add(acme)
        await read(installation, acme, source_id)
        shown = (await acme.admin.patch(path(acme, source_id), json={"language": "de"})).json()
        assert (shown["status"], shown["attempts"]) == ("queued", 0)

    @pytest.mark.parametrize(
        "body",
        [
            {"refresh_hours": 24},
            {"valid_from": "2030-01-01T00:00:00Z", "valid_until": "2029-01-01T00:00:00Z"},
            {"valid_from": "2030-01-01T00:00:00"},
            {"status": "ready"},
        ],
    )
    async def test_refuses_nonsense(self, acme: Company, body: dict[str, Any]) -> None:
        assert (await acme.admin.patch(path(acme, await add(acme)), json=body)).status_code == 422

    async def test_pages_are_refreshed_by_the_hour(self, acme: Company) -> None:
        answer = await acme.admin.post(path(acme), json={"url": "https://example.test/", "refresh_hours": 24})
        source_id = answer.json()["items"][0]["id"]
        assert (await show(acme, source_id))["refresh_at"]
        shown = (await acme.admin.patch(path(acme, source_id), json={"refresh_hours": None})).json()
        assert (shown["refresh_at"], shown["refresh_hours"]) == (None, None)


class TestVersions:
    async def test_new_content_becomes_the_next_version(self, installation: Installation, acme: Company) -> None:
        source_id = await add(acme)
        await read(installation, acme, source_id)
        answer = await acme.admin.put(f"{path(acme, source_id)}/content", json={"text": SECOND, "title": "Returns"})
        assert (answer.status_code, answer.json()["status"], answer.json()["version"]) == (202, "queued", 1)
        await read(installation, acme, source_id)
        listed = (await acme.viewer.get(f"{path(acme, source_id)}/versions")).json()["items"]
        assert [(item["version"], item["chunk_count"]) for item in listed] == [(2, 1), (1, 1)]
        assert listed[0]["content_hash"] != listed[1]["content_hash"]

    async def test_the_same_content_changes_nothing(self, installation: Installation, acme: Company) -> None:
        source_id = await add(acme)
        await read(installation, acme, source_id)
        answer = await acme.admin.put(f"{path(acme, source_id)}/content", json={"text": FIRST, "title": "Returns"})
        assert (answer.json()["status"], answer.json()["version"]) == ("ready", 1)

    async def test_rollback_brings_the_earlier_words_back(self, installation: Installation, acme: Company) -> None:
        source_id = await add(acme)
        await read(installation, acme, source_id)
        await acme.admin.put(f"{path(acme, source_id)}/content", json={"text": SECOND, "title": "Returns"})
        await read(installation, acme, source_id)
        answer = await acme.admin.post(f"{path(acme, source_id)}/rollback", json={"version": 1})
        assert (answer.status_code, answer.json()["status"]) == (202, "queued")
        await read(installation, acme, source_id)
        hits = (await acme.viewer.post(f"{path(acme)}/search", json={"query": "How many days?"})).json()["items"]
        assert ["14 days" in hit["text"] for hit in hits] == [True]
        assert (await show(acme, source_id))["version"] == 3

    @pytest.mark.parametrize(("version", "status"), [(1, 409), (7, 404), (0, 422)])
    async def test_only_earlier_versions_come_back(
        self, installation: Installation, acme: Company, version: int, status: int
    ) -> None:
        source_id = await add(acme)
        await read(installation, acme, source_id)
        answer = await acme.admin.post(f"{path(acme, source_id)}/rollback", json={"version": version})
        assert answer.status_code == status

    async def test_pages_from_the_web_are_not_replaced(self, acme: Company) -> None:
        added = await acme.admin.post(path(acme), json={"url": "https://example.test/"})
        source_id = added.json()["items"][0]["id"]
        answer = await acme.admin.put(f"{path(acme, source_id)}/content", json={"text": FIRST, "title": "Returns"})
        assert answer.status_code == 409


class TestBlocks:
    async def test_come_in_order_and_in_pages(self, installation: Installation, acme: Company) -> None:
        source_id = await add(acme)
        await read(installation, acme, source_id)
        url = f"{path(acme, source_id)}/blocks"
        first = (await acme.viewer.get(url, params={"limit": 1})).json()
        second = (await acme.viewer.get(url, params={"limit": 1, "cursor": first["next_cursor"]})).json()
        shown = [(item["kind"], item["text"], item["headings"]) for item in first["items"] + second["items"]]
        assert shown == [("heading", "Returns", []), ("paragraph", "You have 14 days.", ["Returns"])]
        assert (first["version"], second["next_cursor"]) == (1, None)

    async def test_unchanged_ones_keep_their_ids(self, installation: Installation, acme: Company) -> None:
        source_id = await add(acme)
        await read(installation, acme, source_id)
        await acme.admin.put(f"{path(acme, source_id)}/content", json={"text": SECOND, "title": "Returns"})
        await read(installation, acme, source_id)
        ids = [await self._ids(acme, source_id, version) for version in (1, 2)]
        assert (ids[0][0] == ids[1][0], ids[0][1] == ids[1][1]) == (True, False)

    async def _ids(self, company: Company, source_id: str, version: int) -> list[str]:
        answer = await company.viewer.get(f"{path(company, source_id)}/blocks", params={"version": version})
        return [item["id"] for item in answer.json()["items"]]

    async def test_before_it_was_read_there_are_none(self, acme: Company) -> None:
        assert (await acme.viewer.get(f"{path(acme, await add(acme))}/blocks")).status_code == 404

    async def test_another_tenant_sees_none(self, installation: Installation, acme: Company, rival: Company) -> None:
        source_id = await add(acme)
        await read(installation, acme, source_id)
        for what in ("blocks", "versions"):
            for brand in (acme, rival):
                answer = await rival.viewer.get(f"{path(brand, source_id)}/{what}")
                assert answer.status_code == 404


class TestCancel:
    @pytest.mark.parametrize("status", ["queued", "processing"])
    async def test_a_new_source_can_be_retried(self, installation: Installation, acme: Company, status: str) -> None:
        source_id = await add(acme)
        before = await change(installation, acme, source_id, status=status)
        shown = (await acme.admin.post(f"{path(acme, source_id)}/cancel")).json()
        assert (shown["status"], shown["error"]["code"]) == ("failed", "cancelled")
        assert (await change(installation, acme, source_id)).epoch > before.epoch
        assert (await acme.admin.post(f"/v1/knowledge/{source_id}/retry")).json()["status"] == "queued"

    async def test_a_known_source_keeps_what_it_held(self, installation: Installation, acme: Company) -> None:
        source_id = await add(acme)
        await read(installation, acme, source_id)
        before = await change(installation, acme, source_id)
        await acme.admin.put(f"{path(acme, source_id)}/content", json={"text": SECOND, "title": "Returns"})
        shown = (await acme.admin.post(f"{path(acme, source_id)}/cancel")).json()
        assert (shown["status"], shown["version"], shown["error"]) == ("ready", 1, None)
        after = await change(installation, acme, source_id)
        assert (after.storage_key, after.content_hash) == (before.storage_key, before.content_hash)

    async def test_what_does_not_wait_is_not_cancelled(self, installation: Installation, acme: Company) -> None:
        source_id = await add(acme)
        await change(installation, acme, source_id, status="ready")
        assert (await acme.admin.post(f"{path(acme, source_id)}/cancel")).status_code == 409

    async def test_viewers_cancel_nothing(self, acme: Company) -> None:
        assert (await acme.viewer.post(f"{path(acme, await add(acme))}/cancel")).status_code == 403


class TestSites:
    async def test_a_site_and_its_first_page_are_two_sources(self, acme: Company) -> None:
        url = "https://example.test/help/"
        body = {"url": url, "crawl": {"sitemap": True, "limit": 50}, "refresh_hours": 12}
        site = (await acme.admin.post(path(acme), json=body)).json()["items"][0]["id"]
        page = (await acme.admin.post(path(acme), json={"url": url})).json()["items"][0]["id"]
        assert site != page
        shown = await show(acme, site)
        assert (shown["kind"], shown["crawl"]) == ("site", {"by": "sitemap", "limit": 50, "path": "/"})
        assert (shown["pages"], (await show(acme, page))["pages"]) == ({}, None)

    @pytest.mark.parametrize("crawl", [{"same_site": False}, {"limit": 0}, {"path": "help"}, {"depth": 3}])
    async def test_other_wishes_are_refused(self, acme: Company, crawl: dict[str, Any]) -> None:
        answer = await acme.admin.post(path(acme), json={"url": "https://example.test/", "crawl": crawl})
        assert answer.status_code == 422


class TestQuotas:
    @pytest.mark.parametrize(
        ("limits", "status", "quota"),
        [
            ({"max_sources": 1}, 409, "sources"),
            ({"max_bytes": 60}, 413, "bytes"),
            ({"max_chunks": 7}, 409, "chunks"),
        ],
    )
    async def test_what_does_not_fit_in_is_refused(
        self, installation: Installation, acme: Company, rival: Company, limits: dict[str, int], status: int, quota: str
    ) -> None:
        await allow(installation, acme, **limits)
        await change(installation, acme, await add(acme), chunk_count=7)
        answer = await acme.admin.post(path(acme), json={"text": "x" * 40, "title": "More"})
        assert (answer.status_code, answer.json()["error"]["code"]) == (status, "quota_exceeded")
        assert answer.json()["error"]["details"]["quota"] == quota
        assert "Delete sources" in answer.json()["error"]["message"]
        assert await add(rival)

    async def test_of_several_files_those_that_fit_are_named(self, installation: Installation, acme: Company) -> None:
        await allow(installation, acme, max_sources=1)
        files = [("files", ("a.txt", b"one")), ("files", ("b.txt", b"two"))]
        answer: httpx.Response = await acme.admin.post(path(acme), files=files)
        [kept] = (await acme.viewer.get(path(acme))).json()["items"]
        assert (answer.status_code, answer.json()["error"]["details"]["taken"]) == (409, [kept["id"]])

    async def test_what_is_there_already_needs_no_room(self, installation: Installation, acme: Company) -> None:
        source_id = await add(acme)
        await allow(installation, acme, max_sources=1)
        assert await add(acme) == source_id

    async def test_a_replacement_counts_in_the_place_of_what_it_replaces(
        self, installation: Installation, acme: Company
    ) -> None:
        source_id = await add(acme)
        await allow(installation, acme, max_sources=1, max_bytes=40)
        for text, status in ((SECOND, 202), ("x" * 50, 413)):
            body = {"text": text, "title": "Returns"}
            assert (await acme.admin.put(f"{path(acme, source_id)}/content", json=body)).status_code == status
