"""What stands around a hit."""

from uuid import UUID

import pytest

from packages.rag.documents import Hit, Scope
from packages.rag.neighbours import Surroundings, surroundings
from packages.rag.retrieval import Knowledge, retrieve_context
from tests.factories.knowledge import make_chunk, make_source

TEXTS = ["Opening hours.", "Refunds begin.", "The zeppelin middle.", "Refunds end.", "Delivery."]


async def index(knowledge: Knowledge, scope: Scope) -> UUID:
    """Five chunks, of which the middle three are one section."""
    source_id = await make_source(knowledge.database, scope)
    chunks = [
        make_chunk(text, position, headings=("Refunds",) if 0 < position < 4 else ("Other",))
        for position, text in enumerate(TEXTS)
    ]
    vectors = await knowledge.embedder.embed(TEXTS)
    await knowledge.store.replace_source(scope, source_id, 1, chunks, vectors, embedder=knowledge.embedder.name)
    return source_id


async def found(knowledge: Knowledge, scope: Scope, question: str, limit: int = 1) -> list[Hit]:
    return await retrieve_context(knowledge, scope, question, limit=limit)


@pytest.mark.parametrize(
    ("question", "room", "expected"),
    [
        ("zeppelin middle", 1000, Surroundings("Refunds begin.", "Refunds end.")),
        ("zeppelin middle", 13, Surroundings(None, "Refunds end.")),
        ("zeppelin middle", 0, Surroundings()),
        ("opening hours", 1000, Surroundings()),
        ("refunds end", 1000, Surroundings("The zeppelin middle.", None)),
    ],
    ids=["both", "room for one", "no room", "first of its section", "last of its section"],
)
async def test_neighbours_of_the_section(
    knowledge: Knowledge, scope: Scope, question: str, room: int, expected: Surroundings
) -> None:
    await index(knowledge, scope)
    [hit] = await found(knowledge, scope, question)
    assert await surroundings(knowledge, scope, [hit], room=room) == {hit.chunk_id: expected}


async def test_a_hit_is_nobodys_neighbour(knowledge: Knowledge, scope: Scope) -> None:
    await index(knowledge, scope)
    hits = await found(knowledge, scope, "zeppelin middle", limit=5)
    around = await surroundings(knowledge, scope, hits, room=1000)
    assert set(around.values()) == {Surroundings()}


async def test_another_tenant_sees_nothing(knowledge: Knowledge, scope: Scope, other_scope: Scope) -> None:
    await index(knowledge, scope)
    [hit] = await found(knowledge, scope, "zeppelin middle")
    assert await surroundings(knowledge, other_scope, [hit], room=1000) == {hit.chunk_id: Surroundings()}
