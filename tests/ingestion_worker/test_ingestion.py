from packages.rag.documents import Scope
from services.ingestion_worker.ingestion import Worker
from tests.ingestion_worker.uploads import chunks_of, knowledge_version, run_jobs, source_of, upload


async def test_a_pdf_becomes_chunks_with_pages(worker: Worker, scope: Scope) -> None:
    job = await upload(worker, scope, "five_pages_headings.pdf", media_type="application/pdf")
    await run_jobs(worker, job)
    source = await source_of(worker, job)
    assert (source.status, source.progress, source.version, source.error) == ("ready", 1.0, 1, None)
    chunks = await chunks_of(worker, job)
    assert len(chunks) == source.chunk_count > 1
    assert {chunk.page for chunk in chunks} >= {1, 2}
    assert await knowledge_version(worker, scope) == 1
