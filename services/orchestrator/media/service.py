"""An agent's upload: what it is, whether the conversation's channel carries it, and where it is kept."""

import asyncio
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from packages.core.config import MediaSettings
from packages.core.db.base import new_id
from packages.core.db.repositories import media
from packages.core.db.repository import get
from packages.core.db.session import Database
from packages.core.db.tables.channels import ChannelConfig
from packages.core.db.tables.conversations import Conversation
from packages.core.db.tables.media import Media
from packages.core.domain import files
from packages.core.domain.conversations import ConversationStatus
from packages.core.errors import Conflict, InvalidInput, TooLarge, UnsupportedFormat
from packages.core.storage import ObjectStore
from services.orchestrator.channels.catalogue import Catalogue, Entry

_MB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Upload:
    """A file as an agent sent it. Name and type are claims."""

    data: bytes
    filename: str | None
    media_type: str | None


@dataclass(frozen=True, slots=True)
class Place:
    """Where an upload belongs."""

    tenant_id: UUID
    conversation_id: UUID
    channel_config_id: UUID
    entry: Entry


async def place(database: Database, catalogue: Catalogue, tenant_id: UUID, conversation_id: UUID) -> Place:
    """The conversation, and what its channel can carry.

    Raises:
        NotFound: no such conversation. Conflict: it is resolved. Unavailable: the gateway does not answer.
    """
    async with database.tenant(tenant_id) as session:
        conversation = await get(session, Conversation, conversation_id)
        config = await get(session, ChannelConfig, conversation.channel_config_id)
    if conversation.status != ConversationStatus.OPEN:
        raise Conflict("This conversation is resolved; the customer's next message begins a new one.")
    return Place(tenant_id, conversation.id, config.id, await catalogue.entry(config.channel))


async def keep(database: Database, store: ObjectStore, where: Place, upload: Upload, settings: MediaSettings) -> Media:
    """Check an upload and keep it, until it is sent or a day has passed.

    Raises:
        InvalidInput: it is empty. TooLarge, UnsupportedFormat: the channel does not carry it, or nobody should.
        Unavailable: the object store is away.
    """
    head = upload.data[: files.HEAD]
    if not head:
        raise InvalidInput("The file is empty.")
    if files.is_program(head):
        raise UnsupportedFormat("This is a program. Programs cannot be sent to customers.")
    kind = files.media_type(head, upload.media_type)
    carried = carried_as(files.kind_of(kind), len(upload.data), where.entry, settings.max_bytes)
    row = Media(
        tenant_id=where.tenant_id,
        conversation_id=where.conversation_id,
        channel_config_id=where.channel_config_id,
        id=new_id(),
        direction="outbound",
        kind=carried,
        media_type=kind,
        filename=files.safe_name(upload.filename, kind),
        size=len(upload.data),
        sha256=(await asyncio.to_thread(hashlib.sha256, upload.data)).hexdigest(),
        state="ready",
    )
    row.storage_key = media.storage_key(row.tenant_id, row.conversation_id, row.id)
    await store.put(row.storage_key, upload.data)
    async with database.tenant(where.tenant_id) as session:
        session.add(row)
    return row


def carried_as(kind: str, size: int, entry: Entry, largest: int) -> str:
    """The kind as which a channel carries a file: its own, or document.

    Raises:
        TooLarge: over the channel's limit. UnsupportedFormat: the channel carries no such files.
    """
    limits: Mapping[str, int] = entry.capabilities.get("media") or {}
    label = entry.label or entry.channel
    fitting = [name for name in dict.fromkeys((kind, "document")) if name in limits]
    if not fitting:
        known = ", ".join(sorted(limits)) or "none"
        raise UnsupportedFormat(f"{label} does not carry files of the kind {kind}; it carries: {known}.")
    for name in fitting:
        if size <= min(limits[name], largest):
            return name
    limit = min(max(limits[name] for name in fitting), largest)
    raise TooLarge(f"The file is too large: on {label} it may have at most {_size(limit)}.", details={"limit": limit})


def _size(limit: int) -> str:
    return f"{limit / _MB:.0f} MB" if limit >= _MB else f"{limit // 1024} KB"
