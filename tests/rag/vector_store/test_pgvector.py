"""pgvector keeps the contract, exactly and through sketches; and readers see whole versions only."""

import asyncio
from unittest.mock import Mock

import numpy as np
import pytest

from packages.core.db.session import Database
from packages.rag.documents import Scope
from packages.rag.embeddings import Vectors, normalised
from packages.rag.sketches import Sketches
from packages.rag.vector_store import VectorStore
from packages.rag.vector_store.pgvector import PgVectorStore
from tests.contracts.vector_store import VectorStoreContract
from tests.factories.knowledge import make_chunk, make_source

EMBEDDER = "test/384"


class TestPgVectorStore(VectorStoreContract):
    @pytest.fixture
    def store(self, database: Database) -> VectorStore:
        return PgVectorStore(database)


class TestPgVectorStoreWithSketches(VectorStoreContract):
    @pytest.fixture
    def store(self, database: Database) -> VectorStore:
        return PgVectorStore(database, exact_limit=0)


def random_vectors(count: int, seed: int) -> Vectors:
    """Vectors in clusters, as texts are."""
    random = np.random.default_rng(seed)
    centres = random.normal(size=(8, 384))
    return normalised(centres[random.integers(0, 8, count)] + 0.6 * random.normal(size=(count, 384)))


async def test_sketches_find_what_an_exact_search_finds(database: Database, scope: Scope, other_scope: Scope) -> None:
    for owner, seed in ((scope, 1), (other_scope, 2)):
        source_id = await make_source(database, owner)
        chunks = [make_chunk(f"text {number}", number) for number in range(1200)]
        await PgVectorStore(database).replace_source(
            owner, source_id, 1, chunks, random_vectors(1200, seed), embedder=EMBEDDER
        )
    sketched, exact = PgVectorStore(database, exact_limit=0), PgVectorStore(database)
    found = 0
    for query in random_vectors(20, 1):
        wanted = {m.chunk.id for m in await exact.search_dense(scope, query, 10, embedder=EMBEDDER)}
        found += len(wanted & {m.chunk.id for m in await sketched.search_dense(scope, query, 10, embedder=EMBEDDER)})
    assert found / 200 >= 0.95


@pytest.mark.parametrize("exact_limit", [0, 1000])
async def test_what_words_alone_found_has_its_cosine_too(database: Database, scope: Scope, exact_limit: int) -> None:
    store = PgVectorStore(database, exact_limit=exact_limit)
    source_id = await make_source(database, scope)
    vectors = random_vectors(60, 4)
    chunks = [make_chunk("zeppelin" if position == 59 else "text", position) for position in range(60)]
    await store.replace_source(scope, source_id, 1, chunks, vectors, embedder=EMBEDDER)
    farthest = vectors[int(np.argmin(vectors @ vectors[59]))]
    found = await store.search(scope, farthest, ["zeppelin"], 2, depth=1, embedder=EMBEDDER)
    assert {item.chunk.text for item in found} == {"zeppelin", "text"}
    for item in found:
        assert item.dense == pytest.approx(float(vectors[item.chunk.position] @ farthest), abs=1e-5)


async def test_a_reader_never_sees_half_a_version(database: Database, scope: Scope) -> None:
    store = PgVectorStore(database)
    source_id = await make_source(database, scope)
    vectors = random_vectors(12, 5)

    async def write() -> None:
        for version in range(1, 16):
            chunks = [make_chunk(f"shared words v{version}", position) for position in range(12)]
            await store.replace_source(scope, source_id, version, chunks, vectors, embedder=EMBEDDER)

    await write()
    writing = asyncio.create_task(write())
    seen = set()
    while not writing.done():
        found = await store.search(scope, vectors[0], ["share", "word"], 12, embedder=EMBEDDER)
        versions = {item.chunk.source_version for item in found}
        assert len(found) == 12
        assert len(versions) == 1
        assert {item.chunk.text for item in found} == {f"shared words v{next(iter(versions))}"}
        seen |= versions
    await writing
    assert len(seen) > 1


@pytest.mark.parametrize("change", ["replaced", "added"])
async def test_kept_sketches_follow_every_change(database: Database, scope: Scope, change: str) -> None:
    store = PgVectorStore(database, exact_limit=0)
    first = await make_source(database, scope)
    vectors = random_vectors(2, 6)
    await store.replace_source(scope, first, 1, [make_chunk("old", 0)], vectors[:1], embedder=EMBEDDER)
    assert [m.chunk.text for m in await store.search_dense(scope, vectors[1], 5, embedder=EMBEDDER)] == ["old"]
    second = first if change == "replaced" else await make_source(database, scope)
    await store.replace_source(scope, second, 2, [make_chunk("new", 0)], vectors[1:], embedder=EMBEDDER)
    found = [m.chunk.text for m in await store.search_dense(scope, vectors[1], 5, embedder=EMBEDDER)]
    assert found == (["new"] if change == "replaced" else ["new", "old"])


async def test_many_questions_at_once_read_the_sketches_once(
    database: Database, scope: Scope, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = PgVectorStore(database, exact_limit=0)
    vectors = random_vectors(30, 7)
    chunks = [make_chunk(f"text {number}", number) for number in range(30)]
    await store.replace_source(scope, await make_source(database, scope), 1, chunks, vectors, embedder=EMBEDDER)
    read = Mock(wraps=Sketches.read)
    monkeypatch.setattr(Sketches, "read", read)
    await asyncio.gather(*(store.search_dense(scope, vector, 5, embedder=EMBEDDER) for vector in vectors[:4]))
    assert read.call_count == 1


async def test_two_writers_of_one_source_take_turns(database: Database, scope: Scope) -> None:
    store = PgVectorStore(database)
    source_id = await make_source(database, scope)
    chunks = [make_chunk("text", position) for position in range(5)]
    await asyncio.gather(
        *(
            store.replace_source(scope, source_id, version, chunks, random_vectors(5, version), embedder=EMBEDDER)
            for version in range(6)
        )
    )
    found = await store.search(scope, random_vectors(1, 0)[0], ["text"], 50, embedder=EMBEDDER)
    assert len(found) == 5
    assert len({item.chunk.source_version for item in found}) == 1
