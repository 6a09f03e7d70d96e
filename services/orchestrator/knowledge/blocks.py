"""The content blocks of a source, page by page."""

from uuid import UUID

from packages.core.db.session import Database
from packages.core.errors import InvalidInput, NotFound
from packages.core.storage import ObjectStore
from packages.rag import parses
from services.orchestrator.knowledge import repository
from services.orchestrator.knowledge.schemas import BlockRead, Blocks
from services.orchestrator.paging import Paging


async def read(
    database: Database,
    storage: ObjectStore,
    tenant_id: UUID,
    source_id: UUID,
    version: int | None,
    paging: Paging,
) -> Blocks:
    """Blocks of one version of a source (the present one if none is named). The cursor is the order of the next block.

    Raises:
        NotFound: the version is not kept, or was read before blocks were. InvalidInput: no such cursor. Unavailable.
    """
    if paging.cursor is not None and not paging.cursor.isdecimal():
        raise InvalidInput("The cursor is not one of ours; start again without it.")
    async with database.tenant(tenant_id) as session:
        row = await repository.version_of(session, source_id, version)
    document = await parses.load(storage, row.parse_key) if row.parse_key else None
    if document is None:
        raise NotFound("The blocks of this version were not kept. Refresh the source to have it read again.")
    start = int(paging.cursor or 0)
    blocks = document.content_blocks()
    end = start + paging.limit
    items = [BlockRead.model_validate(block) for block in blocks[start:end]]
    return Blocks(version=row.version, items=items, next_cursor=str(end) if end < len(blocks) else None)
