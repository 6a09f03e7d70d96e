"""What was read from a document, kept in the object store: for showing its blocks, and for not reading it twice."""

import asyncio
import gzip

import msgspec

from packages.core.errors import NotFound
from packages.core.storage import ObjectStore
from packages.rag.documents import Document

_FAST = 3


async def keep(storage: ObjectStore, key: str, document: Document) -> None:
    """Store a document's blocks.

    Raises:
        Unavailable: the store is away.
    """
    await storage.put(key, await asyncio.to_thread(_packed, document))


async def load(storage: ObjectStore, key: str) -> Document | None:
    """The document kept under a key; None if there is none, or none that can be read.

    Raises:
        Unavailable: the store is away.
    """
    try:
        data = await storage.get(key)
    except NotFound:
        return None
    return await asyncio.to_thread(_unpacked, data)


def _packed(document: Document) -> bytes:
    return gzip.compress(msgspec.json.encode(document.to_dict()), _FAST)


def _unpacked(data: bytes) -> Document | None:
    try:
        return Document.from_dict(msgspec.json.decode(gzip.decompress(data)))
    except (OSError, EOFError, ValueError, KeyError, TypeError):  # of an earlier shape, or damaged: read it anew
        return None
