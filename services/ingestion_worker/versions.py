"""Earlier versions of a source: as many as the settings say, and nothing of those before them."""

from uuid import UUID

import structlog
from sqlalchemy import text

from packages.core.db.repositories import knowledge as rows
from packages.core.db.session import Database
from packages.core.domain.knowledge import KnowledgeAsset
from packages.core.errors import AppError
from packages.core.storage import ObjectStore

log = structlog.get_logger(__name__)

_PRUNE = text("""
DELETE FROM knowledge_version WHERE source_id = :source_id AND brand_id = :brand_id AND version <= (
    SELECT version FROM knowledge_version WHERE source_id = :source_id ORDER BY version DESC OFFSET :kept LIMIT 1
) RETURNING storage_key, parse_key
""")
_IN_USE = text("""
SELECT storage_key FROM knowledge_source WHERE id = :source_id
UNION SELECT storage_key FROM knowledge_version WHERE source_id = :source_id
UNION SELECT parse_key FROM knowledge_version WHERE source_id = :source_id
""")


async def prune(database: Database, storage: ObjectStore, asset: KnowledgeAsset, *, kept: int) -> int:
    """Forget all but the last `kept` versions of a source, with their files; returns how many went.

    What cannot be removed from the store now goes when the source is deleted.
    """
    source = {"source_id": UUID(asset.source_id), "brand_id": UUID(asset.brand_id)}
    async with database.tenant(asset.tenant_id) as session:
        gone = (await session.execute(_PRUNE, {**source, "kept": kept})).all()
        if not gone:
            return 0
        await rows.lock_source(session, source["brand_id"], source["source_id"])
        in_use = set((await session.scalars(_IN_USE, source)).all())
    try:
        for key in {key for row in gone for key in row if key} - in_use:
            await storage.delete(key)
    except AppError as error:
        log.warning("version_files_left", source_id=asset.source_id, error=str(error))
    return len(gone)
