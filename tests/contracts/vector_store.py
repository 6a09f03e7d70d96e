"""What every vector store must do. Inherit `VectorStoreContract` and give a `store` fixture."""

from collections.abc import Sequence
from uuid import UUID

import numpy as np
import pytest

from packages.core.db.session import Database
from packages.rag.documents import Candidate, Chunk, Filters, Scope
from packages.rag.embeddings import Vectors, normalised
from packages.rag.lexical import query_terms
from packages.rag.vector_store import VectorStore
from packages.rag.vector_store.memory import MemoryVectorStore
from tests.factories.knowledge import make_chunk, make_source

EMBEDDER = "test/8"
DIMENSIONS = 8


def vectors_for(count: int, seed: int = 7) -> Vectors:
    """Random directions."""
    return normalised(np.random.default_rng(seed).normal(size=(count, DIMENSIONS)))


def _described(item: Candidate) -> tuple[UUID, int, float, float]:
    assert item.dense is not None
    return item.chunk.source_id, item.chunk.position, round(item.dense, 4), round(item.bm25, 6)


class VectorStoreContract:
    """Inherited once per backend."""

    @pytest.fixture(autouse=True)
    async def _initialized(self, store: VectorStore) -> None:
        await store.initialize(DIMENSIONS, EMBEDDER)
        await store.initialize(DIMENSIONS, EMBEDDER)

    async def fill(
        self, store: VectorStore, scope: Scope, source_id: UUID, texts: Sequence[str], version: int = 1, seed: int = 7
    ) -> tuple[list[UUID], Vectors]:
        chunks: list[Chunk] = [make_chunk(text, position) for position, text in enumerate(texts)]
        vectors = vectors_for(len(texts), seed)
        ids = await store.replace_source(scope, source_id, version, chunks, vectors, embedder=EMBEDDER)
        await store.settle(scope, source_id)
        return ids, vectors

    async def test_a_chunk_comes_back_with_all_that_a_citation_needs(
        self, store: VectorStore, database: Database, scope: Scope
    ) -> None:
        source_id = await make_source(database, scope, "Guide")
        chunk = make_chunk("Reset it twice.", 0, headings=("Phone", "Reset"), page=4, title="Guide", kind="faq")
        [chunk_id] = await store.replace_source(scope, source_id, 3, [chunk], vectors_for(1), embedder=EMBEDDER)
        [match] = await store.search_dense(scope, vectors_for(1)[0], 5, embedder=EMBEDDER)
        assert match.score == pytest.approx(1.0, abs=1e-5)
        stored = match.chunk
        assert (stored.id, stored.source_id, stored.source_version, stored.position) == (chunk_id, source_id, 3, 0)
        assert (stored.title, stored.text, stored.headings, stored.page, stored.kind) == (
            "Guide",
            "Reset it twice.",
            ("Phone", "Reset"),
            4,
            "faq",
        )

    async def test_dense_search_equals_the_exact_order(
        self, store: VectorStore, database: Database, scope: Scope
    ) -> None:
        source_id = await make_source(database, scope)
        ids, vectors = await self.fill(store, scope, source_id, [f"text {number}" for number in range(60)])
        for query in vectors_for(10, seed=1):
            expected = [ids[row] for row in np.argsort(-(vectors @ query))[:10]]
            found = await store.search_dense(scope, query, 10, embedder=EMBEDDER)
            assert [match.chunk.id for match in found] == expected
            assert [match.score for match in found] == sorted((match.score for match in found), reverse=True)

    async def test_lexical_search_ranks_rare_and_repeated_words_first(
        self, store: VectorStore, database: Database, scope: Scope
    ) -> None:
        texts = ["invoice paid", "invoice refund refund paid", "refund invoice paid later on", "invoice"]
        await self.fill(store, scope, await make_source(database, scope), texts)
        found = await store.search_lexical(scope, query_terms("refund of an invoice"), 10)
        assert [match.chunk.text for match in found][:2] == [texts[1], texts[2]]
        assert len(found) == 4
        assert all(match.score > 0 for match in found)

    async def test_lexical_search_finds_nothing_without_a_shared_word(
        self, store: VectorStore, database: Database, scope: Scope
    ) -> None:
        await self.fill(store, scope, await make_source(database, scope), ["invoice paid"])
        assert await store.search_lexical(scope, query_terms("duck"), 10) == []
        assert await store.search_lexical(scope, [], 10) == []

    async def test_an_empty_brand_finds_nothing(self, store: VectorStore, scope: Scope) -> None:
        assert await store.search(scope, vectors_for(1)[0], ["word"], 5, embedder=EMBEDDER) == []

    async def test_search_knows_both_scores_of_each_candidate(
        self, store: VectorStore, database: Database, scope: Scope
    ) -> None:
        texts = ["alpha beta", "alpha", "gamma", "delta"]
        ids, vectors = await self.fill(store, scope, await make_source(database, scope), texts)
        found = await store.search(scope, vectors[3], ["alpha", "beta"], 4, depth=4, embedder=EMBEDDER)
        assert [item.score for item in found] == sorted((item.score for item in found), reverse=True)
        by_id = {item.chunk.id: item for item in found}
        assert {ids[0], ids[1], ids[3]} <= set(by_id)
        for row in (0, 1, 3):
            assert by_id[ids[row]].dense == pytest.approx(float(vectors[row] @ vectors[3]), abs=1e-4)
        assert by_id[ids[0]].coverage == pytest.approx(1.0)
        assert 0 < by_id[ids[1]].coverage < 1
        assert (by_id[ids[3]].coverage, by_id[ids[3]].bm25) == (0.0, 0.0)

    @pytest.mark.parametrize(("unfamiliarity", "depth"), [(0.0, 50), (1.0, 50), (0.3, 3)])
    async def test_search_ranks_as_the_fusion_does(
        self, store: VectorStore, database: Database, scope: Scope, unfamiliarity: float, depth: int
    ) -> None:
        reference = MemoryVectorStore()
        for seed in range(3):
            source_id = await make_source(database, scope)
            texts = [f"{'alpha ' * (number % 3)}{'beta ' * (number % 2)}text of {number}" for number in range(4 + seed)]
            for each in (store, reference):
                await self.fill(each, scope, source_id, texts, seed=seed)
        for query in vectors_for(3, seed=11):
            found, expected = [
                await each.search(
                    scope,
                    query,
                    ["alpha", "beta", "zeppelin"],
                    6,
                    depth=depth,
                    embedder=EMBEDDER,
                    unfamiliarity=unfamiliarity,
                )
                for each in (store, reference)
            ]
            assert [_described(item) for item in found] == [_described(item) for item in expected]
            assert [item.score for item in found] == pytest.approx([item.score for item in expected], abs=2e-6)

    async def test_another_tenant_sees_nothing(
        self, store: VectorStore, database: Database, scope: Scope, other_scope: Scope
    ) -> None:
        _, vectors = await self.fill(store, scope, await make_source(database, scope), ["secret invoice"])
        stolen = Scope(tenant_id=other_scope.tenant_id, brand_id=scope.brand_id)
        crossed = Scope(tenant_id=scope.tenant_id, brand_id=other_scope.brand_id)
        for foreign in (other_scope, stolen, crossed):
            assert await store.search_dense(foreign, vectors[0], 5, embedder=EMBEDDER) == []
            assert await store.search_lexical(foreign, ["secret", "invoic"], 5) == []
            assert await store.search(foreign, vectors[0], ["invoic"], 5, embedder=EMBEDDER) == []

    async def test_another_tenant_deletes_nothing(
        self, store: VectorStore, database: Database, scope: Scope, other_scope: Scope
    ) -> None:
        source_id = await make_source(database, scope)
        _, vectors = await self.fill(store, scope, source_id, ["kept"])
        stolen = Scope(tenant_id=other_scope.tenant_id, brand_id=scope.brand_id)
        await store.delete_source(stolen, source_id)
        await store.delete_brand(stolen)
        assert len(await store.search_dense(scope, vectors[0], 5, embedder=EMBEDDER)) == 1

    async def test_vectors_of_another_embedder_are_not_compared(
        self, store: VectorStore, database: Database, scope: Scope
    ) -> None:
        await store.initialize(DIMENSIONS, "test/other")
        await self.fill(store, scope, await make_source(database, scope), ["text"])
        assert await store.search_dense(scope, vectors_for(1)[0], 5, embedder="test/other") == []

    async def test_replacing_leaves_only_the_new_chunks(
        self, store: VectorStore, database: Database, scope: Scope
    ) -> None:
        source_id = await make_source(database, scope)
        old_ids, _ = await self.fill(store, scope, source_id, ["old one", "old two", "old three"])
        new_ids, vectors = await self.fill(store, scope, source_id, ["new one"], version=2, seed=3)
        assert not set(old_ids) & set(new_ids)
        found = await store.search(scope, vectors[0], query_terms("old new one"), 10, embedder=EMBEDDER)
        assert [(item.chunk.text, item.chunk.source_version) for item in found] == [("new one", 2)]

    async def test_replacing_with_nothing_empties_the_source(
        self, store: VectorStore, database: Database, scope: Scope
    ) -> None:
        source_id = await make_source(database, scope)
        _, vectors = await self.fill(store, scope, source_id, ["text"])
        await self.fill(store, scope, source_id, [], version=2)
        assert await store.search_dense(scope, vectors[0], 5, embedder=EMBEDDER) == []

    async def test_a_deleted_source_is_gone_and_its_neighbour_stays(
        self, store: VectorStore, database: Database, scope: Scope
    ) -> None:
        first, second = await make_source(database, scope), await make_source(database, scope)
        _, vectors = await self.fill(store, scope, first, ["first text"])
        await self.fill(store, scope, second, ["second text"], seed=9)
        await store.delete_source(scope, first)
        await store.delete_source(scope, first)
        found = await store.search(scope, vectors[0], ["text", "first"], 5, embedder=EMBEDDER)
        assert [item.chunk.text for item in found] == ["second text"]

    async def test_a_deleted_brand_is_empty(self, store: VectorStore, database: Database, scope: Scope) -> None:
        _, vectors = await self.fill(store, scope, await make_source(database, scope), ["first text"])
        await store.delete_brand(scope)
        assert await store.search(scope, vectors[0], ["text"], 5, embedder=EMBEDDER) == []

    async def test_filters_narrow_both_searches(self, store: VectorStore, database: Database, scope: Scope) -> None:
        first, second = await make_source(database, scope), await make_source(database, scope)
        _, vectors = await self.fill(store, scope, first, ["first text"])
        await self.fill(store, scope, second, ["second text"], seed=9)
        only = Filters(source_ids=frozenset({second}))
        nothing = Filters(source_ids=frozenset())
        dense = await store.search_dense(scope, vectors[0], 5, embedder=EMBEDDER, filters=only)
        lexical = await store.search_lexical(scope, ["text"], 5, filters=only)
        assert [match.chunk.text for match in dense] == [match.chunk.text for match in lexical] == ["second text"]
        assert await store.search(scope, vectors[0], ["text"], 5, embedder=EMBEDDER, filters=nothing) == []

    async def test_the_limit_holds(self, store: VectorStore, database: Database, scope: Scope) -> None:
        _, vectors = await self.fill(store, scope, await make_source(database, scope), ["same text"] * 20)
        assert len(await store.search_dense(scope, vectors[0], 4, embedder=EMBEDDER)) == 4
        assert len(await store.search_lexical(scope, ["text"], 4)) == 4

    async def test_vectors_come_back_by_content(self, store: VectorStore, database: Database, scope: Scope) -> None:
        source_id = await make_source(database, scope)
        _, vectors = await self.fill(store, scope, source_id, ["one", "two"])
        known = await store.vectors_of(scope, source_id, embedder=EMBEDDER)
        for row, text in enumerate(["one", "two"]):
            np.testing.assert_allclose(known[make_chunk(text, row).content_hash], vectors[row], atol=1e-5)
