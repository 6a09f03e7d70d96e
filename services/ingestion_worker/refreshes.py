"""Sources that are read again by themselves: pages at their hour, and all that another embedder has indexed."""

from uuid import UUID

import structlog
from sqlalchemy import text

from packages.core.db.session import Database
from packages.core.jobs import KnowledgeIngestJob
from packages.rag.documents import Scope
from packages.rag.retrieval import Knowledge, refresh_brand_knowledge

LIMIT = 500
log = structlog.get_logger(__name__)

# A tenth of the pause is left to chance, so that what was added at once does not come back at once for ever.
_DUE = text("""
UPDATE knowledge_source k SET status = 'queued', stage = NULL, progress = 0, attempts = 0, epoch = k.epoch + 1,
       error = NULL, not_before = NULL, pinned = false, updated_at = now(),
       refresh_at = now() + make_interval(secs => k.refresh_hours * 3600 * (0.95 + 0.1 * random()))
FROM (SELECT id FROM knowledge_source WHERE refresh_at <= now() AND status IN ('ready', 'failed')
      ORDER BY refresh_at LIMIT :limit FOR UPDATE SKIP LOCKED) due
WHERE k.id = due.id RETURNING k.id, k.tenant_id
""")

_OTHER_EMBEDDER = text("""
SELECT DISTINCT tenant_id, brand_id FROM knowledge_source
WHERE indexed_hash IS NOT NULL AND split_part(indexed_hash, '|', 2) <> :embedder
""")


async def queue_due(database: Database) -> list[KnowledgeIngestJob]:
    """Queue every source whose hour has come; the caller wakes workers for them. What it held before answers still."""
    async with database.across_tenants() as session:
        due = (await session.execute(_DUE, {"limit": LIMIT})).all()
    return [KnowledgeIngestJob(tenant_id=str(row.tenant_id), source_id=str(row.id)) for row in due]


async def re_embed(knowledge: Knowledge) -> int:
    """Bring every brand over to the present embedder, source by source; returns the number of brands.

    Embeds stored chunks: no file is read again.

    Raises:
        Unavailable: the embedding provider is away; what was done until then stays done.
    """
    async with knowledge.database.across_tenants() as session:
        stale = (await session.execute(_OTHER_EMBEDDER, {"embedder": knowledge.embedder.name})).all()
    for tenant_id, brand_id in stale:
        log.info("brand_re_embedding", tenant_id=str(tenant_id), brand_id=str(brand_id))
        state = await refresh_brand_knowledge(knowledge, Scope(tenant_id=UUID(str(tenant_id)), brand_id=brand_id))
        log.info("brand_re_embedded", brand_id=str(brand_id), chunks=state.chunks, version=state.version)
    return len(stale)
