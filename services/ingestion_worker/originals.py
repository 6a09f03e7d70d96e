"""The bytes of a source: as uploaded, or from the web as they are now. Kept by their hash beside earlier versions."""

import hashlib

from packages.core.db.session import Database
from packages.core.domain.knowledge import KnowledgeAsset, file_key
from packages.core.errors import NotFound
from packages.core.storage import ObjectStore
from packages.rag.ingest import Upload
from services.ingestion_worker import sources
from services.ingestion_worker.failures import MissingFile
from services.ingestion_worker.fetch import Fetched, fetch
from services.ingestion_worker.robots import check_robots
from services.ingestion_worker.settings import FetchSettings
from services.ingestion_worker.sources import Claim


async def obtain(database: Database, storage: ObjectStore, http: FetchSettings, held: Claim) -> Upload:
    """What is to be indexed.

    Raises:
        MissingFile: the stored bytes are gone. FetchFailed: the address cannot be read. LostClaim. Unavailable.
    """
    asset = held.asset
    if asset.url is None or asset.pinned:
        return await _stored(storage, asset)
    return await _downloaded(database, storage, http, held)


async def _stored(storage: ObjectStore, asset: KnowledgeAsset) -> Upload:
    if asset.storage_key is None:
        raise MissingFile
    try:
        data = await storage.get(asset.storage_key)
    except NotFound:
        raise MissingFile from None
    return _upload(asset, data, asset.media_type, asset.filename, asset.storage_key)


async def _downloaded(database: Database, storage: ObjectStore, http: FetchSettings, held: Claim) -> Upload:
    """The page as it is now; its server is asked for changes only if the last version is at hand."""
    asset = held.asset
    assert asset.url is not None
    await check_robots(asset.url, http)
    known = asset.page_state or {}
    at_hand = bool(asset.version and asset.storage_key and known and await storage.exists(asset.storage_key))
    etag, last_modified = (known.get("etag"), known.get("last_modified")) if at_hand else (None, None)
    page = await fetch(asset.url, http, etag=etag, last_modified=last_modified)
    if page.not_modified:
        return await _stored(storage, asset)
    digest = hashlib.sha256(page.data).hexdigest()
    key = file_key(asset.tenant_id, asset.brand_id, asset.source_id, digest)
    await storage.put(key, page.data)
    await _record(database, held, page, key, digest)
    return _upload(asset, page.data, page.media_type, page.filename, key)


async def _record(database: Database, held: Claim, page: Fetched, key: str, digest: str) -> None:
    values = {
        "storage_key": key,
        "media_type": page.media_type[:200],
        "filename": page.filename,
        "content_hash": digest,
        "size_bytes": len(page.data),
        "page_state": {"etag": page.etag, "last_modified": page.last_modified, "content_hash": digest},
    }
    async with database.tenant(held.asset.tenant_id) as session:
        await sources.record_download(session, held, values)


def _upload(asset: KnowledgeAsset, data: bytes, media_type: str, filename: str | None, key: str) -> Upload:
    return Upload(
        data=data,
        media_type=media_type,
        title=asset.title if asset.is_titled else "",
        filename=filename,
        language=asset.language,
        storage_key=key,
    )
