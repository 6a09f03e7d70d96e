"""Files as intake leaves them, and as the downloader does."""

import hashlib
from pathlib import Path
from typing import Any
from uuid import UUID

from sqlalchemy import text

from packages.core.config import TurnSettings
from packages.core.db.repositories import media
from packages.core.db.session import Database
from packages.core.db.tables.media import Media
from packages.core.domain.messages import Attachment
from packages.core.storage import ObjectStore
from services.orchestrator.intake import Intake, Taken
from tests.factories.accounts import TenantWithBrand
from tests.factories.pipeline import message_event

PNG = (
    b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x01\x00\x00\x00\x01\x08\x06\x00\x00\x00\x1f\x15\xc4\x89"
    b"\x00\x00\x00\rIDATx\x9cc\xf8\xcf\xc0\xf0\x1f\x00\x05\x00\x01\xff\x89\x99=\x1d\x00\x00\x00\x00IEND\xaeB`\x82"
)
KNOWLEDGE = Path(__file__).parents[1] / "data" / "knowledge"


async def hear_file(
    database: Database, redis: Any, owner: TenantWithBrand, channel: UUID | str, attachment: Attachment, **more: Any
) -> Taken:
    """A customer's message with a file, as intake stores it."""
    intake = Intake(database, redis, TurnSettings(), lambda _seconds: None)
    event = message_event(
        owner, UUID(str(channel)), "See here", kind=attachment.kind, attachments=(attachment,), **more
    )
    (taken,) = await intake.take([event])
    return taken


async def file_of(database: Database, message_id: UUID | None) -> Media:
    """The one file of a message."""
    async with database.across_tenants() as session:
        (row,) = (await session.execute(text("SELECT id FROM media WHERE message_id = :id"), {"id": message_id})).all()
        return await session.get_one(Media, row.id)


async def change_file(database: Database, media_id: UUID, **values: Any) -> None:
    """Write columns of a file."""
    async with database.across_tenants() as session:
        (await session.get_one(Media, media_id)).sqlmodel_update(values)


async def make_ready(database: Database, store: ObjectStore, row: Media, data: bytes = PNG, **values: Any) -> Media:
    """Keep a file, as the downloader does."""
    key = media.storage_key(row.tenant_id, row.conversation_id, row.id)
    await store.put(key, data)
    given = {
        "state": "ready",
        "storage_key": key,
        "size": len(data),
        "sha256": hashlib.sha256(data).hexdigest(),
        "media_type": "image/png",
        "filename": "photo.png",
    }
    await change_file(database, row.id, **(given | values))
    async with database.across_tenants() as session:
        return await session.get_one(Media, row.id)
