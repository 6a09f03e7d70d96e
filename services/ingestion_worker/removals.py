"""What a deleted source leaves outside PostgreSQL: its files, and its vectors where they lie elsewhere."""

from uuid import UUID

from sqlalchemy import delete, select, text
from sqlmodel import col

from packages.core.db.session import Database
from packages.core.db.tables.knowledge import KnowledgeRemoval
from packages.core.jobs import KnowledgeDeleteJob
from packages.core.storage import ObjectStore
from packages.rag.documents import Scope
from packages.rag.retrieval import Knowledge

LIMIT = 200
_PATIENCE_SECONDS = 15.0


async def remove(database: Database, storage: ObjectStore, knowledge: Knowledge, gone: KnowledgeDeleteJob) -> None:
    """Remove what is left of a source; harmless to repeat.

    Raises:
        Unavailable: a store is away; it is tried again by the sweep.
    """
    scope = Scope(tenant_id=UUID(gone.tenant_id), brand_id=UUID(gone.brand_id))
    await knowledge.store.delete_source(scope, UUID(gone.source_id))
    await storage.delete_prefix(f"{gone.tenant_id}/{gone.brand_id}/{gone.source_id}")
    async with database.tenant(gone.tenant_id) as session:
        await session.execute(delete(KnowledgeRemoval).where(col(KnowledgeRemoval.source_id) == UUID(gone.source_id)))


async def overdue(database: Database) -> list[KnowledgeDeleteJob]:
    """Removals that nobody has done yet, of every tenant, the oldest first."""
    late = text("created_at < now() - make_interval(secs => :patience)").bindparams(patience=_PATIENCE_SECONDS)
    query = select(KnowledgeRemoval).where(late).order_by(col(KnowledgeRemoval.created_at)).limit(LIMIT)
    async with database.across_tenants() as session:
        found = (await session.scalars(query)).all()
    return [
        KnowledgeDeleteJob(tenant_id=str(row.tenant_id), brand_id=str(row.brand_id), source_id=str(row.source_id))
        for row in found
    ]
