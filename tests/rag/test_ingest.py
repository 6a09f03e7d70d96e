"""Documents into a real database, and questions over them."""

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from packages.core.db.tables.brands import Brand
from packages.core.db.tables.knowledge import KnowledgeSource
from packages.core.errors import NotFound
from packages.rag.documents import Scope, UnreadableDocument
from packages.rag.embeddings.hashing import HashingEmbedder
from packages.rag.ingest import Upload, ingest_document
from packages.rag.retrieval import Knowledge, retrieve_context
from tests.factories.knowledge import document, make_source


def upload(name: str, title: str = "", media_type: str = "text/markdown") -> Upload:
    return Upload(data=document(name), media_type=media_type, title=title, filename=name)


async def test_an_ingested_article_answers_a_question_with_its_location(knowledge: Knowledge, scope: Scope) -> None:
    source_id = await make_source(knowledge.database, scope, "Issues creating an account")
    await ingest_document(knowledge, scope, source_id, upload("issues-creating-an-account.md"))
    hits = await retrieve_context(knowledge, scope, "How long must my password be?")
    assert "12 characters" in hits[0].text
    assert hits[0].source_id == source_id
    assert hits[0].title == "Issues creating an account"
    assert hits[0].location.headings == ("I’m having trouble creating a password",)


async def test_the_source_is_ready_and_the_brand_counts_a_change(knowledge: Knowledge, scope: Scope) -> None:
    source_id = await make_source(knowledge.database, scope, status="processing", stage="parse")
    done = await ingest_document(knowledge, scope, source_id, upload("why-is-my-account-locked.md"))
    async with knowledge.database.tenant(scope.tenant_id) as session:
        source = await session.get_one(KnowledgeSource, source_id)
        brand = await session.get_one(Brand, scope.brand_id)
    assert (source.status, source.stage, source.progress, source.version) == ("ready", None, 1.0, 1)
    assert source.chunk_count == done.chunk_count > 0
    assert source.language == "en"
    assert brand.knowledge_version == 1


async def test_the_same_content_again_costs_no_embedding(
    knowledge: Knowledge, scope: Scope, embedder: HashingEmbedder
) -> None:
    source_id = await make_source(knowledge.database, scope)
    first = await ingest_document(knowledge, scope, source_id, upload("forgot-your-password.md"))
    calls = embedder.calls
    again = await ingest_document(knowledge, scope, source_id, upload("forgot-your-password.md"))
    assert embedder.calls == calls
    assert again.unchanged
    assert (again.version, again.chunk_count) == (first.version, first.chunk_count)


async def test_only_changed_text_is_embedded_again(
    knowledge: Knowledge, scope: Scope, embedder: HashingEmbedder
) -> None:
    source_id = await make_source(knowledge.database, scope)
    before = b"# Shop\n\n## Hours\n\nWe open at nine.\n\n## Returns\n\nReturns take 30 days."
    await ingest_document(knowledge, scope, source_id, Upload(data=before, media_type="text/markdown", title="Shop"))
    embedder.texts_embedded = 0
    after = before.replace(b"nine", b"ten")
    done = await ingest_document(
        knowledge, scope, source_id, Upload(data=after, media_type="text/markdown", title="Shop")
    )
    assert embedder.texts_embedded == done.embedded == 1
    assert (done.version, done.chunk_count) == (2, 2)
    hits = await retrieve_context(knowledge, scope, "When do you open?")
    assert [hit.text for hit in hits if "open" in hit.text] == ["We open at ten."]
    assert {hit.source_version for hit in hits} == {2}


async def test_progress_rises_to_the_end(knowledge: Knowledge, scope: Scope) -> None:
    seen: list[tuple[str, int, int]] = []

    async def progress(stage: str, done: int, total: int) -> None:
        seen.append((stage, done, total))

    source_id = await make_source(knowledge.database, scope)
    await ingest_document(knowledge, scope, source_id, upload("accepted-id-type.md"), progress=progress)
    assert list(dict.fromkeys(stage for stage, _, _ in seen)) == ["parse", "chunk", "embed", "store"]
    assert all(0 <= done <= total for _, done, total in seen)
    assert seen[-1] == ("store", 1, 1)


async def test_a_failed_write_leaves_the_old_state_whole(knowledge: Knowledge, scope: Scope) -> None:
    source_id = await make_source(knowledge.database, scope)
    await ingest_document(knowledge, scope, source_id, Upload(data=b"Old text.", media_type="text/plain", title="T"))
    async with knowledge.database.across_tenants() as session:
        # The last statement of the transaction now overflows.
        await session.execute(text("UPDATE brand SET knowledge_version = 2147483647"))
    with pytest.raises(DBAPIError, match="out of range"):
        await ingest_document(
            knowledge, scope, source_id, Upload(data=b"New text.", media_type="text/plain", title="T")
        )
    assert [hit.text for hit in await retrieve_context(knowledge, scope, "text")] == ["Old text."]


async def test_a_deleted_source_is_not_indexed(knowledge: Knowledge, scope: Scope, other_scope: Scope) -> None:
    source_id = await make_source(knowledge.database, other_scope)
    with pytest.raises(NotFound):
        await ingest_document(knowledge, scope, source_id, upload("accepted-id-type.md"))


async def test_a_document_without_text_says_so(knowledge: Knowledge, scope: Scope) -> None:
    source_id = await make_source(knowledge.database, scope)
    with pytest.raises(UnreadableDocument, match="empty"):
        await ingest_document(knowledge, scope, source_id, Upload(data=b" \n", media_type="text/plain", title="T"))
