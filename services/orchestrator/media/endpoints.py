"""Files that agents send: uploaded first, then named in a message."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, File, UploadFile

from packages.core.domain.tenants import Role
from packages.core.errors import TooLarge
from packages.core.storage import ObjectStore
from services.orchestrator.auth.permissions import Principal, Scope, require
from services.orchestrator.channels.catalogue import Catalogue
from services.orchestrator.media import service
from services.orchestrator.media.schemas import UploadRead
from services.orchestrator.parts import TheDatabase, part
from services.orchestrator.settings import OrchestratorSettings

router = APIRouter(prefix="/v1/conversations", tags=["conversations"])
Agent = Annotated[Principal, require(Role.AGENT, Scope.CONVERSATIONS_WRITE)]


@router.post("/{conversation_id}/attachments", status_code=201)
async def upload_attachment(
    conversation_id: UUID,
    file: Annotated[UploadFile, File(description="one file; its bytes decide what it is")],
    principal: Agent,
    database: TheDatabase,
    catalogue: Annotated[Catalogue, Depends(part(Catalogue))],
    store: Annotated[ObjectStore, Depends(part(ObjectStore))],
    settings: Annotated[OrchestratorSettings, Depends(part(OrchestratorSettings))],
) -> UploadRead:
    """Upload a file for a message in this conversation. What is not sent within a day is deleted."""
    where = await service.place(database, catalogue, principal.tenant_id, conversation_id)
    if (file.size or 0) > settings.media.max_bytes:
        raise TooLarge(f"A file may have at most {settings.media.max_bytes // (1024 * 1024)} MB.")
    upload = service.Upload(await file.read(), file.filename, file.content_type)
    row = await service.keep(database, store, where, upload, settings.media)
    return UploadRead.model_validate({**row.model_dump(), "media_id": row.id})
