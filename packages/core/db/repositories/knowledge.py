"""Chunks, postings and vectors in PostgreSQL: what indexing reads and writes, inside a tenant's session.

Every statement names the brand; row-level security adds the tenant. A posting row with the empty term stands for the
source itself: its `positions` are the number of its chunks and of its terms, so that a brand's totals are one sum.
What a search reads is in `knowledge_search`.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import ARRAY, REAL, Integer, SmallInteger, Text, TextClause, Uuid, bindparam, text
from sqlalchemy.ext.asyncio import AsyncSession

from packages.core.db.base import new_id
from packages.core.errors import NotFound

TOTALS = ""
_MOST = 32_767


@dataclass(frozen=True, slots=True, kw_only=True)
class ChunkRow:
    """A chunk to write. `terms` are its search terms, repeated as often as they stand there."""

    text: str
    headings: tuple[str, ...]
    page: int | None
    kind: str
    token_count: int
    content_hash: str
    terms: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """Whose rows are written."""

    tenant_id: UUID
    brand_id: UUID
    source_id: UUID


def _sql(statement: str, **types: Any) -> TextClause:
    return text(statement).bindparams(*(bindparam(name, type_=kind) for name, kind in types.items()))


_LOCK_SOURCE = text("SELECT 1 FROM knowledge_source WHERE id = :source_id AND brand_id = :brand_id FOR UPDATE")
_DELETE_SOURCE = text(
    "WITH vectors AS (DELETE FROM knowledge_vector WHERE source_id = :source_id AND brand_id = :brand_id), "
    "postings AS (DELETE FROM knowledge_posting WHERE source_id = :source_id AND brand_id = :brand_id) "
    "DELETE FROM knowledge_chunk WHERE source_id = :source_id AND brand_id = :brand_id"
)
_DELETE_BRAND = text(
    "WITH vectors AS (DELETE FROM knowledge_vector WHERE brand_id = :brand_id), "
    "postings AS (DELETE FROM knowledge_posting WHERE brand_id = :brand_id) "
    "DELETE FROM knowledge_chunk WHERE brand_id = :brand_id"
)
_INSERT_CHUNKS = _sql(
    "INSERT INTO knowledge_chunk (id, created_at, tenant_id, brand_id, source_id, source_version, position, text, "
    "headings, page, kind, token_count, content_hash, extra) "
    "SELECT c.id, now(), :tenant_id, :brand_id, :source_id, :version, c.ordinal - 1, c.text, "
    "ARRAY(SELECT jsonb_array_elements_text(c.headings::jsonb)), c.page, c.kind, c.token_count, c.content_hash, '{}' "
    "FROM unnest(:ids, :texts, :headings, :pages, :kinds, :token_counts, :hashes) "
    "WITH ORDINALITY AS c(id, text, headings, page, kind, token_count, content_hash, ordinal)",
    tenant_id=Uuid(),
    brand_id=Uuid(),
    source_id=Uuid(),
    version=Integer(),
    ids=ARRAY(Uuid()),
    texts=ARRAY(Text()),
    headings=ARRAY(Text()),
    pages=ARRAY(Integer()),
    kinds=ARRAY(Text()),
    token_counts=ARRAY(Integer()),
    hashes=ARRAY(Text()),
)
# The arrays of all terms come end to end; each term's run begins at `start` (counted from 1) and is `count` long.
_INSERT_POSTINGS = _sql(
    "INSERT INTO knowledge_posting (id, created_at, tenant_id, brand_id, source_id, term, positions, frequencies, "
    "lengths) SELECT p.id, now(), :tenant_id, :brand_id, :source_id, p.term, "
    "(CAST(:positions AS integer[]))[p.start : p.start + p.count - 1], "
    "(CAST(:frequencies AS smallint[]))[p.start : p.start + p.count - 1], "
    "(CAST(:lengths AS smallint[]))[p.start : p.start + p.count - 1] "
    "FROM unnest(:ids, :terms, :starts, :counts) AS p(id, term, start, count)",
    tenant_id=Uuid(),
    brand_id=Uuid(),
    source_id=Uuid(),
    ids=ARRAY(Uuid()),
    terms=ARRAY(Text()),
    starts=ARRAY(Integer()),
    counts=ARRAY(Integer()),
    positions=ARRAY(Integer()),
    frequencies=ARRAY(SmallInteger()),
    lengths=ARRAY(SmallInteger()),
)
_INSERT_VECTORS = _sql(
    "INSERT INTO knowledge_vector (id, created_at, tenant_id, brand_id, source_id, embedder, embedding) "
    "SELECT v.id, now(), :tenant_id, :brand_id, :source_id, :embedder, "
    "(CAST(:values AS real[]))[(v.ordinal - 1) * :dimensions + 1 : v.ordinal * :dimensions]::vector "
    "FROM unnest(:ids) WITH ORDINALITY AS v(id, ordinal)",
    tenant_id=Uuid(),
    brand_id=Uuid(),
    source_id=Uuid(),
    embedder=Text(),
    ids=ARRAY(Uuid()),
    values=ARRAY(REAL()),
    dimensions=Integer(),
)
_HASHES = text("SELECT id, content_hash FROM knowledge_chunk WHERE source_id = :source_id AND brand_id = :brand_id")
_HAS_CHUNKS = text("SELECT EXISTS (SELECT 1 FROM knowledge_chunk WHERE brand_id = :brand_id)")
_VECTORS = text(
    "SELECT c.content_hash, v.embedding::text FROM knowledge_vector v JOIN knowledge_chunk c ON c.id = v.id "
    "WHERE v.source_id = :source_id AND v.brand_id = :brand_id AND v.embedder = :embedder"
)

_STATE = text(
    "SELECT b.knowledge_version, count(s.id), coalesce(sum(s.chunk_count), 0)::int FROM brand b "
    "LEFT JOIN knowledge_source s ON s.brand_id = b.id WHERE b.id = :brand_id GROUP BY b.id"
)
_STALE = text(
    "SELECT id FROM knowledge_source WHERE brand_id = :brand_id AND indexed_hash IS NOT NULL "
    "AND indexed_hash NOT LIKE :suffix ORDER BY id"
)
_SOURCE_CHUNKS = text(
    "SELECT c.id, c.position, c.text, c.headings, c.page, c.kind, c.content_hash, s.title, s.language "
    "FROM knowledge_chunk c JOIN knowledge_source s ON s.id = c.source_id "
    "WHERE c.source_id = :source_id AND c.brand_id = :brand_id ORDER BY c.position"
)
_RE_EMBEDDED = _sql(
    "UPDATE knowledge_source SET version = version + 1, updated_at = now(), "
    "indexed_hash = split_part(indexed_hash, '|', 1) || '|' || :embedder WHERE id = :source_id RETURNING version",
    source_id=Uuid(),
    embedder=Text(),
)
_BUMP = text(
    "UPDATE brand SET knowledge_version = knowledge_version + 1 WHERE id = :brand_id RETURNING knowledge_version"
)


async def lock_source(session: AsyncSession, brand_id: UUID, source_id: UUID) -> None:
    """Hold the source until the transaction ends, so that two writers of it queue up.

    Raises:
        NotFound: the brand has no such source.
    """
    if (await session.execute(_LOCK_SOURCE, {"source_id": source_id, "brand_id": brand_id})).first() is None:
        raise NotFound("There is no knowledge source with this id.")


async def delete_source_chunks(session: AsyncSession, brand_id: UUID, source_id: UUID) -> None:
    """Remove a source's chunks, postings and vectors; the source itself stays."""
    await session.execute(_DELETE_SOURCE, {"source_id": source_id, "brand_id": brand_id})


async def delete_brand_chunks(session: AsyncSession, brand_id: UUID) -> None:
    """Remove all chunks, postings and vectors of a brand."""
    await session.execute(_DELETE_BRAND, {"brand_id": brand_id})


async def insert_chunks(session: AsyncSession, owner: Owner, version: int, rows: Sequence[ChunkRow]) -> list[UUID]:
    """Write a source's chunks and postings; returns the chunks' ids in order."""
    ids = [new_id() for _ in rows]
    await session.execute(
        _INSERT_CHUNKS,
        {
            **_owner(owner),
            "version": version,
            "ids": ids,
            "texts": [row.text for row in rows],
            "headings": [_json_list(row.headings) for row in rows],
            "pages": [row.page for row in rows],
            "kinds": [row.kind for row in rows],
            "token_counts": [row.token_count for row in rows],
            "hashes": [row.content_hash for row in rows],
        },
    )
    await session.execute(_INSERT_POSTINGS, {**_owner(owner), **_postings(rows)})
    return ids


async def insert_vectors(
    session: AsyncSession, owner: Owner, ids: Sequence[UUID], values: Sequence[float], dimensions: int, embedder: str
) -> None:
    """Write the vectors of chunks; `values` are all vectors end to end."""
    await session.execute(
        _INSERT_VECTORS,
        {**_owner(owner), "ids": list(ids), "values": values, "dimensions": dimensions, "embedder": embedder},
    )


async def chunk_hashes(session: AsyncSession, brand_id: UUID, source_id: UUID) -> dict[UUID, str]:
    """Id and content hash of each chunk of a source."""
    found = await session.execute(_HASHES, {"source_id": source_id, "brand_id": brand_id})
    return {row[0]: row[1] for row in found}


async def has_chunks(session: AsyncSession, brand_id: UUID) -> bool:
    """Whether the brand has any chunk."""
    return bool((await session.execute(_HAS_CHUNKS, {"brand_id": brand_id})).scalar_one())


async def vectors_of_source(
    session: AsyncSession, brand_id: UUID, source_id: UUID, embedder: str
) -> list[tuple[str, str]]:
    """Content hash and vector (as text) of each chunk of a source."""
    found = await session.execute(_VECTORS, {"source_id": source_id, "brand_id": brand_id, "embedder": embedder})
    return [(row[0], row[1]) for row in found.all()]


def _owner(owner: Owner) -> dict[str, object]:
    return {"tenant_id": owner.tenant_id, "brand_id": owner.brand_id, "source_id": owner.source_id}


def _json_list(values: Sequence[str]) -> str:
    return msgspec.json.encode(values).decode()


def _postings(rows: Sequence[ChunkRow]) -> dict[str, object]:
    """The arrays of `_INSERT_POSTINGS`: the source's own row first, then one run per term."""
    places: dict[str, list[tuple[int, int, int]]] = {}
    for position, row in enumerate(rows):
        for term, frequency in Counter(row.terms).items():
            places.setdefault(term, []).append((position, min(frequency, _MOST), min(len(row.terms), _MOST)))
    positions = [len(rows), sum(len(row.terms) for row in rows)]
    frequencies, lengths = [0, 0], [0, 0]
    starts, counts = [1], [2]
    for found in places.values():
        starts.append(len(positions) + 1)
        counts.append(len(found))
        positions += [place for place, _, _ in found]
        frequencies += [frequency for _, frequency, _ in found]
        lengths += [length for _, _, length in found]
    return {
        "ids": [new_id() for _ in starts],
        "terms": [TOTALS, *places],
        "starts": starts,
        "counts": counts,
        "positions": positions,
        "frequencies": frequencies,
        "lengths": lengths,
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class BrandState:
    """What a brand's knowledge amounts to. `stale_sources` hold chunks that another embedder indexed."""

    version: int
    sources: int
    chunks: int
    stale_sources: tuple[UUID, ...]


async def brand_state(session: AsyncSession, brand_id: UUID, embedder: str) -> BrandState:
    """The brand's knowledge version and what it holds.

    Raises:
        NotFound: the tenant has no such brand.
    """
    row = (await session.execute(_STATE, {"brand_id": brand_id})).first()
    if row is None:
        raise NotFound("There is no brand with this id.")
    stale = await session.execute(_STALE, {"brand_id": brand_id, "suffix": f"%|{embedder}"})
    return BrandState(version=row[0], sources=row[1], chunks=row[2], stale_sources=tuple(item[0] for item in stale))


@dataclass(frozen=True, slots=True)
class SourceChunk:
    """A chunk with all that indexing it again needs."""

    id: UUID
    position: int
    text: str
    headings: list[str]
    page: int | None
    kind: str
    content_hash: str
    title: str
    language: str | None


async def source_chunks(session: AsyncSession, brand_id: UUID, source_id: UUID) -> list[SourceChunk]:
    """A source's chunks in order."""
    found = await session.execute(_SOURCE_CHUNKS, {"source_id": source_id, "brand_id": brand_id})
    return [SourceChunk(*row) for row in found]


async def mark_re_embedded(session: AsyncSession, source_id: UUID, embedder: str) -> int:
    """Write down which embedder indexed the source now; returns its new version."""
    found = await session.execute(_RE_EMBEDDED, {"source_id": source_id, "embedder": embedder})
    return int(found.scalar_one())


async def bump_version(session: AsyncSession, brand_id: UUID) -> int:
    """Count a change of the brand's knowledge; every cache of it goes by this number."""
    return int((await session.execute(_BUMP, {"brand_id": brand_id})).scalar_one())
