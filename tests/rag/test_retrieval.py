"""Questions over stored chunks: fusion, filters, caches, tenants, change of embedder."""

from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest
from redis.asyncio import Redis

from packages.core.config import Settings
from packages.core.db.base import now
from packages.core.db.session import Database
from packages.core.errors import NotFound
from packages.rag.caches import SharedMemory
from packages.rag.documents import Scope
from packages.rag.embeddings.hashing import HashingEmbedder
from packages.rag.ingest import Upload, ingest_document
from packages.rag.retrieval import (
    Caches,
    Knowledge,
    SearchFilters,
    initialize_brand_knowledge,
    open_knowledge,
    refresh_brand_knowledge,
    retrieve_context,
)
from packages.rag.vector_store.pgvector import PgVectorStore
from tests.factories.knowledge import document, make_source


async def ingest(knowledge: Knowledge, scope: Scope, text: str, **values: object) -> UUID:
    source_id = await make_source(knowledge.database, scope, **values)  # type: ignore[arg-type]
    upload = Upload(data=text.encode(), media_type="text/markdown", title=str(values.get("title", "Article")))
    await ingest_document(knowledge, scope, source_id, upload)
    return source_id


class TestRetrieveContext:
    async def test_a_hit_tells_why_it_is_there(self, knowledge: Knowledge, scope: Scope) -> None:
        await ingest(knowledge, scope, "Refunds take five days.")
        await ingest(knowledge, scope, "We open at nine.")
        hits = await retrieve_context(knowledge, scope, "How long do refunds take?")
        assert hits[0].text == "Refunds take five days."
        assert 0.3 < hits[0].score < 1
        assert 0 < hits[0].coverage < 2 / 3
        assert hits[0].dense is not None
        assert hits[0].bm25 > 0
        assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)

    async def test_words_that_stand_nowhere_lower_the_coverage(self, knowledge: Knowledge, scope: Scope) -> None:
        await ingest(knowledge, scope, "Refunds take five days.")
        full = await retrieve_context(knowledge, scope, "refunds days")
        half = await retrieve_context(knowledge, scope, "refunds zeppelin")
        assert full[0].coverage == pytest.approx(1.0)
        assert half[0].coverage < 0.5

    async def test_another_tenant_gets_nothing(self, knowledge: Knowledge, scope: Scope, other_scope: Scope) -> None:
        await ingest(knowledge, scope, "Refunds take five days.")
        assert await retrieve_context(knowledge, other_scope, "How long do refunds take?") == []

    @pytest.mark.parametrize("question", ["", "  \n", "?!"])
    async def test_a_question_without_words_finds_nothing(
        self, knowledge: Knowledge, scope: Scope, question: str
    ) -> None:
        await ingest(knowledge, scope, "Refunds take five days.")
        assert await retrieve_context(knowledge, scope, question) == []

    async def test_tags_and_languages_narrow(self, knowledge: Knowledge, scope: Scope) -> None:
        await ingest(knowledge, scope, "Refunds take five days with the card.", tags=["shop"])
        german = await ingest(knowledge, scope, "Die Erstattung auf die Karte ist nach fünf Tagen da.", tags=["shop"])
        tagged = await retrieve_context(
            knowledge, scope, "refunds", filters=SearchFilters(tags=("shop",), languages=("de",))
        )
        assert {hit.source_id for hit in tagged} == {german}
        assert await retrieve_context(knowledge, scope, "refunds", filters=SearchFilters(tags=("other",))) == []

    async def test_source_ids_narrow(self, knowledge: Knowledge, scope: Scope) -> None:
        await ingest(knowledge, scope, "Refunds take five days.")
        second = await ingest(knowledge, scope, "Refunds need a receipt.")
        hits = await retrieve_context(
            knowledge, scope, "refunds", filters=SearchFilters(source_ids=frozenset({second}))
        )
        assert [hit.source_id for hit in hits] == [second]

    async def test_the_same_question_is_embedded_once_per_tenant(
        self, knowledge: Knowledge, scope: Scope, other_scope: Scope, embedder: HashingEmbedder
    ) -> None:
        await ingest(knowledge, scope, "Refunds take five days.")
        embedder.calls = 0
        for asked in (scope, scope, other_scope):
            await retrieve_context(knowledge, asked, "How long do  refunds take?")
        assert embedder.calls == 2

    async def test_a_search_is_remembered_until_the_knowledge_changes(
        self, knowledge: Knowledge, scope: Scope, redis: Redis
    ) -> None:
        await ingest(knowledge, scope, "Refunds take five days.")
        processes = [replace(knowledge, caches=Caches(SharedMemory(redis))) for _ in range(2)]
        for process in (*processes, *processes):
            assert len(await retrieve_context(process, scope, "How long do refunds take?")) == 1
        assert len(await redis.keys(f"parley:search:{scope.tenant_id}:{scope.brand_id}:1:*")) == 1
        await ingest(knowledge, scope, "Refunds by card take nine days.")
        for process in processes:
            assert len(await retrieve_context(process, scope, "How long do refunds take?")) == 2

    async def test_hits_come_back_whole_from_redis(self, knowledge: Knowledge, scope: Scope, redis: Redis) -> None:
        await ingest(knowledge, scope, "# Shop\n\n## Refunds\n\nRefunds take five days.")
        processes = [replace(knowledge, caches=Caches(SharedMemory(redis))) for _ in range(2)]
        first, second = [await retrieve_context(process, scope, "refunds") for process in processes]
        assert first == second
        assert second[0].location.headings == ("Shop", "Refunds")

    @pytest.mark.parametrize(
        ("dates", "answers"),
        [
            ({"valid_from": now() + timedelta(days=1)}, False),
            ({"valid_until": now() - timedelta(days=1)}, False),
            ({"valid_from": now() - timedelta(days=1), "valid_until": now() + timedelta(days=1)}, True),
        ],
        ids=["not yet", "no more", "now"],
    )
    @pytest.mark.parametrize("narrowed", ["", "by source", "by tag"])
    async def test_a_source_answers_while_it_is_valid(
        self, knowledge: Knowledge, scope: Scope, dates: dict[str, object], answers: bool, narrowed: str
    ) -> None:
        lasting = await ingest(knowledge, scope, "Refunds need a receipt.", tags=["shop"])
        dated = await ingest(knowledge, scope, "Refunds take five days.", tags=["shop"], **dates)
        filters = {
            "": None,
            "by source": SearchFilters(source_ids=frozenset({lasting, dated})),
            "by tag": SearchFilters(tags=("shop",)),
        }[narrowed]
        hits = await retrieve_context(knowledge, scope, "refunds", filters=filters)
        assert {hit.source_id for hit in hits} == ({lasting, dated} if answers else {lasting})

    async def test_what_two_sources_say_comes_once(self, knowledge: Knowledge, scope: Scope) -> None:
        sources = {await ingest(knowledge, scope, "Refunds take five days.") for _ in range(2)}
        [hit] = await retrieve_context(knowledge, scope, "refunds")
        assert {hit.source_id, *hit.also_in} == sources

    async def test_a_question_that_leans_is_understood_from_the_conversation(
        self, knowledge: Knowledge, scope: Scope
    ) -> None:
        await ingest(knowledge, scope, "Refunds to business accounts take nine days.")
        await ingest(knowledge, scope, "To open business accounts takes an hour.")
        hits = await retrieve_context(
            knowledge, scope, "And for business accounts?", history=["How many days do refunds take?"]
        )
        assert hits[0].text == "Refunds to business accounts take nine days."

    async def test_the_limit_holds(self, knowledge: Knowledge, scope: Scope) -> None:
        await ingest(knowledge, scope, "\n\n".join(f"## Part {number}\n\nRefund text {number}." for number in range(9)))
        assert len(await retrieve_context(knowledge, scope, "refund", limit=3)) == 3
        assert await retrieve_context(knowledge, scope, "refund", limit=0) == []


class TestInitializeBrandKnowledge:
    async def test_it_tells_what_a_brand_has(self, knowledge: Knowledge, scope: Scope) -> None:
        empty = await initialize_brand_knowledge(knowledge, scope)
        await ingest(knowledge, scope, "Refunds take five days.")
        filled = await initialize_brand_knowledge(knowledge, scope)
        assert (empty.version, empty.sources, empty.chunks) == (0, 0, 0)
        assert (filled.version, filled.sources, filled.chunks, filled.stale_sources) == (1, 1, 1, ())

    async def test_another_tenants_brand_is_not_found(
        self, knowledge: Knowledge, scope: Scope, other_scope: Scope
    ) -> None:
        with pytest.raises(NotFound):
            await initialize_brand_knowledge(knowledge, replace(scope, brand_id=other_scope.brand_id))


class TestRefreshBrandKnowledge:
    async def test_a_new_embedder_takes_over(self, knowledge: Knowledge, scope: Scope) -> None:
        source_id = await ingest(knowledge, scope, "# Shop\n\n## Refunds\n\nRefunds take five days.")
        changed = replace(knowledge, embedder=HashingEmbedder(384, "newer"))
        assert (await retrieve_context(changed, scope, "refunds"))[0].dense is None
        assert (await initialize_brand_knowledge(changed, scope)).stale_sources == (source_id,)
        done = await refresh_brand_knowledge(changed, scope)
        hit = (await retrieve_context(changed, scope, "refunds"))[0]
        assert (done.version, done.stale_sources) == (2, ())
        assert hit.dense is not None
        assert (hit.text, hit.headings, hit.source_version) == ("Refunds take five days.", ("Shop", "Refunds"), 2)

    async def test_nothing_stale_costs_nothing(
        self, knowledge: Knowledge, scope: Scope, embedder: HashingEmbedder
    ) -> None:
        await ingest(knowledge, scope, "Refunds take five days.")
        calls = embedder.calls
        assert (await refresh_brand_knowledge(knowledge, scope)).version == 1
        assert embedder.calls == calls


async def test_the_settings_choose_the_local_model_and_postgresql(database: Database, scope: Scope) -> None:
    knowledge = open_knowledge(Settings(), database)
    assert isinstance(knowledge.store, PgVectorStore)
    source_id = await make_source(database, scope)
    await ingest_document(
        knowledge,
        scope,
        source_id,
        Upload(
            data=document("five_pages_headings.pdf"),
            media_type="application/pdf",
            title="Word processors",
            filename="five_pages_headings.pdf",
        ),
    )
    hits = await retrieve_context(knowledge, scope, "Who patented the typewriter?")
    assert "Christopher Latham Sholes" in hits[0].text
    assert hits[0].location.page == 1
    assert hits[0].location.headings[-1] == "Pre-Digital Era (19th - Early 20th Century)"
