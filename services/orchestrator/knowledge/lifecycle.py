"""The life of a source after its upload: changed, replaced, cancelled, its versions and its blocks."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request

from packages.core.db.repository import Page
from packages.core.db.tables.knowledge import KnowledgeSource, KnowledgeVersion
from services.orchestrator.knowledge import blocks, changes, repository, service, uploads
from services.orchestrator.knowledge.endpoints import Reader, TheQueue, TheSettings, TheStorage, Writer
from services.orchestrator.knowledge.schemas import Blocks, Rollback, SourceRead, SourceUpdate, VersionRead
from services.orchestrator.paging import Listed, ThePaging, whole
from services.orchestrator.parts import TheDatabase

router = APIRouter(prefix="/v1/brands/{brand_id}/knowledge/{source_id}", tags=["knowledge"])


@router.patch("", response_model=SourceRead)
async def update_source(
    brand_id: UUID, source_id: UUID, body: SourceUpdate, principal: Writer, database: TheDatabase, queue: TheQueue
) -> KnowledgeSource:
    """Change a source's title, tags, language or hours; a new title or language has it indexed anew."""
    async with database.tenant(principal.tenant_id) as session:
        source = await changes.update(session, brand_id, source_id, body)
    if source.status == "queued":
        await service.wake_worker(queue, source)
    return source


@router.put("/content", status_code=202, response_model=SourceRead, openapi_extra=uploads.OPENAPI)
async def replace_content(
    brand_id: UUID,
    source_id: UUID,
    request: Request,
    principal: Writer,
    database: TheDatabase,
    storage: TheStorage,
    queue: TheQueue,
    settings: TheSettings,
) -> KnowledgeSource:
    """Put a new file (or {text, title}, {faq}) in the place of a source's content, as its next version.

    Until it is read, what the source held before answers; then all of it changes at once.
    """
    async with database.tenant(principal.tenant_id) as session:
        source = await repository.source_of(session, brand_id, source_id)
    new = await uploads.one_source(request, settings)
    source, is_changed = await changes.replace(database, storage, brand_id, source, new, settings.knowledge)
    if is_changed:
        await service.wake_worker(queue, source)
    return source


@router.post("/cancel", response_model=SourceRead)
async def cancel_source(brand_id: UUID, source_id: UUID, principal: Writer, database: TheDatabase) -> KnowledgeSource:
    """Call off the reading of a source. What it held before still answers."""
    async with database.tenant(principal.tenant_id) as session:
        return await changes.cancel(session, brand_id, source_id)


@router.get("/versions", response_model=Listed[VersionRead])
async def list_versions(
    brand_id: UUID, source_id: UUID, principal: Reader, database: TheDatabase
) -> Page[KnowledgeVersion]:
    """The versions that can be gone back to, newest first."""
    async with database.tenant(principal.tenant_id) as session:
        await repository.source_of(session, brand_id, source_id)
        return whole(await repository.versions_of(session, source_id))


@router.post("/rollback", status_code=202, response_model=SourceRead)
async def roll_back(
    brand_id: UUID, source_id: UUID, body: Rollback, principal: Writer, database: TheDatabase, queue: TheQueue
) -> KnowledgeSource:
    """Go back to an earlier version: it becomes the next one. A page from the web is then refreshed only on demand."""
    async with database.tenant(principal.tenant_id) as session:
        source = await changes.roll_back(session, brand_id, source_id, body.version)
    await service.wake_worker(queue, source)
    return source


@router.get("/blocks")
async def read_blocks(
    brand_id: UUID,
    source_id: UUID,
    paging: ThePaging,
    principal: Reader,
    database: TheDatabase,
    storage: TheStorage,
    version: Annotated[int | None, Query(ge=1, description="default: the present one")] = None,
) -> Blocks:
    """What was read from a source, block by block, in order; ids stay as long as the block does."""
    async with database.tenant(principal.tenant_id) as session:
        await repository.source_of(session, brand_id, source_id)
    return await blocks.read(database, storage, principal.tenant_id, source_id, version, paging)
