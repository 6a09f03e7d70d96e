"""Knowledge sources, and the documents of tests/data/knowledge."""

import hashlib
from pathlib import Path
from uuid import UUID

from packages.core.db.session import Database
from packages.core.db.tables.knowledge import KnowledgeSource
from packages.rag.documents import Chunk, Scope

DOCUMENTS = Path(__file__).parent.parent / "data" / "knowledge"
WILD_DOCUMENTS = Path(__file__).parent.parent / "data" / "documents"


async def make_source(database: Database, scope: Scope, title: str = "Article", **values: object) -> UUID:
    """A queued source of the scope's brand."""
    source = KnowledgeSource.model_validate(
        {
            "tenant_id": scope.tenant_id,
            "brand_id": scope.brand_id,
            "title": title,
            "kind": "file",
            "media_type": "text/markdown",
            **values,
        }
    )
    async with database.tenant(scope.tenant_id) as session:
        session.add(source)
    return source.id


def document(name: str) -> bytes:
    """The bytes of a test document."""
    return (DOCUMENTS / name).read_bytes()


def make_chunk(
    text: str,
    position: int,
    *,
    headings: tuple[str, ...] = (),
    page: int | None = None,
    title: str = "",
    kind: str = "text",
) -> Chunk:
    """A chunk as chunking would make it."""
    return Chunk(
        position=position,
        text=text,
        headings=headings,
        page=page,
        kind=kind,
        token_count=len(text.split()),
        content_hash=hashlib.sha256(text.encode()).hexdigest(),
        title=title,
    )
