"""Bodies of uploads."""

from uuid import UUID

from services.orchestrator.auth.schemas import Output


class UploadRead(Output):
    """A file that waits to be sent: name its `media_id` among the attachments of a message. Size in bytes."""

    media_id: UUID
    kind: str
    media_type: str
    filename: str
    size: int
