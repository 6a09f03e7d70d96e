"""What a brand knows: sources in, searches and answers out."""

from typing import Annotated
from uuid import UUID

from arq.connections import ArqRedis
from fastapi import APIRouter, Depends, Query, Request

from packages.core.db.repository import Page, get
from packages.core.db.tables.brands import Brand
from packages.core.db.tables.knowledge import KnowledgeSource
from packages.core.domain.knowledge import SourceStatus
from packages.core.domain.tenants import Role
from packages.core.storage import ObjectStore
from packages.rag import retrieval
from packages.rag.documents import Scope as KnowledgeScope
from packages.rag.retrieval import Knowledge
from services.orchestrator.auth.permissions import Principal, Scope, require
from services.orchestrator.brands import service as brands
from services.orchestrator.engine.turn import Engine, HistoryMessage
from services.orchestrator.knowledge import repository, service, uploads
from services.orchestrator.knowledge.quotas import QuotaExceeded
from services.orchestrator.knowledge.schemas import (
    Accepted,
    AnswerRead,
    AnswerRequest,
    CitationRead,
    HitRead,
    Hits,
    Search,
    SourceAccepted,
    SourceDetail,
    SourceRead,
)
from services.orchestrator.paging import Listed, ThePaging
from services.orchestrator.parts import TheDatabase, part
from services.orchestrator.settings import OrchestratorSettings

router = APIRouter(prefix="/v1", tags=["knowledge"])
Reader = Annotated[Principal, require(Role.VIEWER, Scope.KNOWLEDGE_READ)]
Writer = Annotated[Principal, require(Role.TENANT_ADMIN, Scope.KNOWLEDGE_WRITE)]
Asker = Annotated[Principal, require(Role.VIEWER, Scope.ANSWERS)]
TheQueue = Annotated[ArqRedis, Depends(part(ArqRedis))]
TheStorage = Annotated[ObjectStore, Depends(part(ObjectStore))]
TheSettings = Annotated[OrchestratorSettings, Depends(part(OrchestratorSettings))]


@router.post("/brands/{brand_id}/knowledge", status_code=202, response_model=Accepted, openapi_extra=uploads.OPENAPI)
async def add_knowledge(
    brand_id: UUID,
    request: Request,
    principal: Writer,
    database: TheDatabase,
    storage: TheStorage,
    queue: TheQueue,
    settings: TheSettings,
) -> Accepted:
    """Take in files (multipart `files`), or one of {url}, {text, title}, {faq: [{question, answer}]} as JSON.

    The sources are read in the background; their status tells how far they are. Content that the brand has already is
    not taken twice: the answer names the source that it was.
    """
    async with database.tenant(principal.tenant_id) as session:
        await get(session, Brand, brand_id)
    taken: list[SourceAccepted] = []
    async for new in uploads.sources(request, settings):
        try:
            source, is_new = await service.take(
                database, storage, principal.tenant_id, brand_id, new, limits=settings.knowledge
            )
        except QuotaExceeded as error:
            error.details = {**(error.details or {}), "taken": [str(item.id) for item in taken]}
            raise
        if is_new:
            await service.wake_worker(queue, source)
        taken.append(SourceAccepted.model_validate(source))
    return Accepted(items=taken)


@router.get("/brands/{brand_id}/knowledge", response_model=Listed[SourceRead])
async def list_knowledge(
    brand_id: UUID,
    paging: ThePaging,
    principal: Reader,
    database: TheDatabase,
    status: Annotated[SourceStatus | None, Query()] = None,
    kind: Annotated[str | None, Query(pattern="^(file|url|text|faq|site)$")] = None,
    tag: Annotated[str | None, Query(max_length=100)] = None,
    parent_id: Annotated[UUID | None, Query(description="pages of this web site")] = None,
    q: Annotated[str | None, Query(max_length=200, description="part of a title, file name or address")] = None,
) -> Page[KnowledgeSource]:
    """The brand's sources, newest first; those that match all that is asked for."""
    wanted = repository.SourceQuery(status=status, kind=kind, tag=tag, parent_id=parent_id, q=q)
    async with database.tenant(principal.tenant_id) as session:
        await get(session, Brand, brand_id)
        return await repository.sources_page(session, paging, wanted, brand_id=brand_id)


@router.get("/brands/{brand_id}/knowledge/{source_id}")
async def read_source(brand_id: UUID, source_id: UUID, principal: Reader, database: TheDatabase) -> SourceDetail:
    """One source, and how far it is."""
    async with database.tenant(principal.tenant_id) as session:
        source = await repository.source_of(session, brand_id, source_id)
        shown = SourceDetail.model_validate(source)
        if source.kind == "site":
            shown.pages = await repository.page_counts(session, source_id)
    return shown


@router.delete("/brands/{brand_id}/knowledge/{source_id}", status_code=204)
async def delete_source(
    brand_id: UUID, source_id: UUID, principal: Writer, database: TheDatabase, queue: TheQueue
) -> None:
    """Forget a source, its versions and pages. No later answer rests on it; files are removed in the background."""
    async with database.tenant(principal.tenant_id) as session:
        gone = await service.delete(session, brand_id, source_id)
    await service.clean_up(queue, gone)


@router.post("/brands/{brand_id}/knowledge/{source_id}/refresh", status_code=202, response_model=SourceRead)
async def refresh_source(
    brand_id: UUID, source_id: UUID, principal: Writer, database: TheDatabase, queue: TheQueue
) -> KnowledgeSource:
    """Read a source anew: a page from the web as it is now. Until that is done, what it held before answers."""
    async with database.tenant(principal.tenant_id) as session:
        source = await repository.source_of(session, brand_id, source_id)
        await service.queue_again(session, source)
    await service.wake_worker(queue, source)
    return source


@router.get("/knowledge/failed", response_model=Listed[SourceRead])
async def list_failed(paging: ThePaging, principal: Reader, database: TheDatabase) -> Page[KnowledgeSource]:
    """The poison queue: sources of all brands that could not be read, with the reason and what to do."""
    async with database.tenant(principal.tenant_id) as session:
        wanted = repository.SourceQuery(status=SourceStatus.FAILED)
        return await repository.sources_page(session, paging, wanted)


@router.post("/knowledge/{source_id}/retry", status_code=202, response_model=SourceRead)
async def retry_source(source_id: UUID, principal: Writer, database: TheDatabase, queue: TheQueue) -> KnowledgeSource:
    """Try a failed source again, with as many attempts as a new one has."""
    async with database.tenant(principal.tenant_id) as session:
        source = await service.retry(session, source_id)
    await service.wake_worker(queue, source)
    return source


@router.post("/brands/{brand_id}/knowledge/search")
async def search_knowledge(
    brand_id: UUID,
    body: Search,
    principal: Reader,
    database: TheDatabase,
    knowledge: Annotated[Knowledge, Depends(part(Knowledge))],
) -> Hits:
    """The chunks that most likely hold the answer, best first: what the engine would work with."""
    async with database.tenant(principal.tenant_id) as session:
        await get(session, Brand, brand_id)
    filters = None
    if body.filters is not None:
        wanted = body.filters
        filters = retrieval.SearchFilters(
            source_ids=None if wanted.source_ids is None else frozenset(wanted.source_ids),
            tags=tuple(wanted.tags),
            languages=tuple(wanted.languages),
        )
    scope = KnowledgeScope(tenant_id=principal.tenant_id, brand_id=brand_id)
    hits = await retrieval.retrieve_context(knowledge, scope, body.query, limit=body.limit, filters=filters)
    return Hits(items=[HitRead.model_validate(hit) for hit in hits])


@router.post("/brands/{brand_id}/answers")
async def answer(
    brand_id: UUID,
    body: AnswerRequest,
    principal: Asker,
    database: TheDatabase,
    engine: Annotated[Engine, Depends(part(Engine))],
) -> AnswerRead:
    """Answer a question as a conversation would: the very same code, without a conversation."""
    async with database.tenant(principal.tenant_id) as session:
        profile = await brands.profile(session, brand_id)
    history = [HistoryMessage(author=said.author, text=said.text) for said in body.history]
    given = await engine.answer(profile, body.question, history)
    return AnswerRead(
        answer=given.text,
        citations=[CitationRead.model_validate(citation) for citation in given.citations],
        abstained=given.abstained,
        confidence=given.confidence,
        offer_person=given.offer_person,
        trace_id=given.trace_id,
    )
