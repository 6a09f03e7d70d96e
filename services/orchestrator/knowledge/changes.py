"""What is done to a source that is there already: changed, replaced, called off, taken back to an earlier version."""

import asyncio
import hashlib
from datetime import timedelta
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from packages.core.config import KnowledgeSettings
from packages.core.db.base import now
from packages.core.db.repositories.knowledge import bump_version
from packages.core.db.session import Database
from packages.core.db.tables.knowledge import KnowledgeSource, KnowledgeVersion
from packages.core.domain.knowledge import SourceStatus, file_key
from packages.core.errors import Conflict, InvalidInput
from packages.core.storage import ObjectStore
from services.orchestrator.knowledge import quotas, repository
from services.orchestrator.knowledge.schemas import SourceUpdate
from services.orchestrator.knowledge.service import WORKING, NewSource, set_waiting

_WEB = frozenset({"url", "site"})


async def update(session: AsyncSession, brand_id: UUID, source_id: UUID, changes: SourceUpdate) -> KnowledgeSource:
    """Change what is said of a source; it waits for a worker afterwards if it has to be indexed anew.

    Raises:
        NotFound: no such source. InvalidInput: it would be valid for no time at all, or be refreshed by the hour though
            it is not from the web.
    """
    source = await repository.locked_source(session, brand_id, source_id)
    given = changes.model_fields_set
    if "refresh_hours" in given:
        _schedule(source, changes.refresh_hours)
    if "tags" in given and changes.tags is not None:
        source.tags = list(changes.tags)
    _limit_validity(source, changes)
    if given & {"tags", "valid_from", "valid_until"}:
        await bump_version(session, brand_id)
    again = False
    if changes.title is not None and changes.title != source.title:
        source.title, again = changes.title, True
    if "language" in given and changes.language != source.declared_language:
        source.declared_language, again = changes.language, True
    if again and source.kind != "site":
        source.pinned = source.pinned or (source.url is not None and source.storage_key is not None)
        set_waiting(source)
    await session.flush()
    return source


def _limit_validity(source: KnowledgeSource, changes: SourceUpdate) -> None:
    given = changes.model_fields_set
    if "valid_from" in given:
        source.valid_from = changes.valid_from
    if "valid_until" in given:
        source.valid_until = changes.valid_until
    if source.valid_from and source.valid_until and source.valid_from >= source.valid_until:
        raise InvalidInput("A source is valid from a time before the one until which it is valid.")


def _schedule(source: KnowledgeSource, hours: float | None) -> None:
    if hours is not None and (source.kind not in _WEB or source.parent_id is not None):
        raise InvalidInput("Only pages and sites from the web are refreshed by the hour; a site refreshes its pages.")
    source.refresh_hours = hours
    source.refresh_at = now() + timedelta(hours=hours) if hours is not None else None


async def replace(
    database: Database,
    storage: ObjectStore,
    brand_id: UUID,
    source: KnowledgeSource,
    new: NewSource,
    limits: KnowledgeSettings,
) -> tuple[KnowledgeSource, bool]:
    """Put new content in the place of a source's; until it is read, what it held before answers.

    Returns:
        The source, and whether it changes (then call `wake_worker`).

    Raises:
        NotFound: the source is gone. Conflict: it comes from the web. QuotaExceeded. Unavailable: the store is away.
    """
    if source.url is not None or new.data is None:
        raise Conflict("What comes from the web is read from there; refresh it, or upload the content as a new source.")
    digest = await asyncio.to_thread(_digest, new.data)
    key = file_key(str(source.tenant_id), str(brand_id), str(source.id), digest)
    await storage.put(key, new.data)
    async with database.tenant(source.tenant_id) as session:
        await repository.one_upload_at_a_time(session, source.tenant_id)
        current = await repository.locked_source(session, brand_id, source.id)
        if current.content_hash == digest and current.status != SourceStatus.FAILED:
            return current, False
        await quotas.check(session, source.tenant_id, limits, size=len(new.data), instead_of=source.id)
        current.storage_key, current.content_hash, current.size_bytes = key, digest, len(new.data)
        current.media_type, current.filename, current.kind = new.media_type, new.filename, new.kind
        if new.language is not None:
            current.declared_language = new.language
        if new.tags:
            current.tags = list(new.tags)
        set_waiting(current)
    return current, True


async def cancel(session: AsyncSession, brand_id: UUID, source_id: UUID) -> KnowledgeSource:
    """Call off the reading of a source. It keeps what it held before; one that held nothing can be retried.

    Raises:
        NotFound: no such source. Conflict: it is neither queued nor being read.
    """
    source = await repository.locked_source(session, brand_id, source_id)
    if source.status not in WORKING:
        raise Conflict(f"Only queued and processing sources are cancelled; this one is {source.status}.")
    set_waiting(source)
    kept = await repository.versions_of(session, source_id)
    if source.version:
        source.status, source.progress = str(SourceStatus.READY), 1.0
        if kept and source.url is None:
            _take_back(source, kept[0])
    else:
        source.status = str(SourceStatus.FAILED)
        source.error = {"code": "cancelled", "message": "This was cancelled before it was read. Retry or delete it."}
    await session.flush()
    return source


async def roll_back(session: AsyncSession, brand_id: UUID, source_id: UUID, version: int) -> KnowledgeSource:
    """Have an earlier version read again, as a new one; a page from the web is then not refreshed by itself any more.

    Raises:
        NotFound: no such source, or the version is not kept. Conflict: it is the present one, or its file was not kept.
    """
    source = await repository.locked_source(session, brand_id, source_id)
    wanted = await repository.version_of(session, source_id, version)
    if wanted.version == source.version and source.status == SourceStatus.READY:
        raise Conflict("This is the present version of the source.")
    if wanted.storage_key is None:
        raise Conflict("The file of this version was not kept; upload it again.")
    _take_back(source, wanted)
    source.pinned = source.url is not None
    source.refresh_at = None
    set_waiting(source)
    await session.flush()
    return source


def _take_back(source: KnowledgeSource, version: KnowledgeVersion) -> None:
    if version.storage_key is None:
        return
    source.storage_key, source.content_hash = version.storage_key, version.content_hash
    source.media_type, source.filename = version.media_type, version.filename
    source.size_bytes, source.title = version.size_bytes, version.title


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
