"""Files that agents send: uploaded first, then named in a message."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Request
from starlette.datastructures import UploadFile

from packages.core.domain.tenants import Role
from packages.core.errors import InvalidInput, TooLarge
from packages.core.storage import ObjectStore
from services.orchestrator.auth.permissions import Principal, Scope, require
from services.orchestrator.channels.catalogue import Catalogue
from services.orchestrator.media import service
from services.orchestrator.media.schemas import UploadRead
from services.orchestrator.parts import TheDatabase, part
from services.orchestrator.settings import OrchestratorSettings

router = APIRouter(prefix="/v1/conversations", tags=["conversations"])
Agent = Annotated[Principal, require(Role.AGENT, Scope.CONVERSATIONS_WRITE)]


_FORM: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "properties": {"file": {"type": "string", "format": "binary"}},
                }
            }
        },
    }
}


@router.post("/{conversation_id}/attachments", status_code=201, openapi_extra=_FORM)
async def upload_attachment(
    conversation_id: UUID,
    request: Request,
    principal: Agent,
    database: TheDatabase,
    catalogue: Annotated[Catalogue, Depends(part(Catalogue))],
    store: Annotated[ObjectStore, Depends(part(ObjectStore))],
    settings: Annotated[OrchestratorSettings, Depends(part(OrchestratorSettings))],
) -> UploadRead:
    """Upload one file (`file`) for a message in this conversation; its bytes decide what it is.

    What is not sent within a day is deleted.
    """
    where = await service.place(database, catalogue, principal.tenant_id, conversation_id)
    upload = await _upload(request, settings.media.max_bytes)
    row = await service.keep(database, store, where, upload, settings.media)
    return UploadRead.model_validate({**row.model_dump(), "media_id": row.id})


async def _upload(request: Request, largest: int) -> service.Upload:
    """The form's file; read by hand, so that nobody's upload is taken in who may not upload."""
    async with request.form(max_files=1, max_fields=10) as form:
        file = form.get("file")
        if not isinstance(file, UploadFile):
            raise InvalidInput("Send one file under the name `file`, as multipart/form-data.")
        if (file.size or 0) > largest:
            raise TooLarge(f"A file may have at most {largest // (1024 * 1024)} MB.")
        return service.Upload(await file.read(), file.filename, file.content_type)
