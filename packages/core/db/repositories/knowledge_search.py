"""What a search of a brand's knowledge reads from PostgreSQL, in as few round trips as it takes.

The statements run inside a transaction of the tenant and name the brand; row-level security adds the tenant.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from uuid import UUID

import msgspec

from packages.core.db.direct import Statement, Transaction


@dataclass(frozen=True, slots=True)
class LoadedChunk:
    """A chunk as it is read."""

    id: UUID
    source_id: UUID
    source_version: int
    position: int
    title: str
    text: str
    headings: list[str]
    page: int | None
    kind: str


@dataclass(frozen=True, kw_only=True)
class Probe:
    """A question's vector: the chunks nearest to it are wanted, at most `limit`, among those of the same embedder."""

    values: list[float]
    embedder: str
    limit: int
    source_ids: list[UUID] | None = None

    @cached_property
    def literal(self) -> str:
        """The vector as pgvector reads it."""
        return msgspec.json.encode(self.values).decode()


@dataclass(frozen=True, slots=True)
class Survey:
    """What the first look at a brand gives.

    `near` are places (source, position) with their cosine, nearest first; None if the brand is larger than an exact
    search was allowed for. The other fields are runs of postings end to end, in big-endian binary: for each run its
    source (16 bytes), its term's number from 0 and how many places it has (32 bits each); and the runs' arrays, as
    PostgreSQL's binary format has an array's elements: a 32-bit length before each number, of 32 bits in `positions`
    and 16 bits in the others.
    """

    chunks: int
    terms: int
    near: dict[tuple[UUID, int], float] | None
    run_sources: bytes
    run_terms: bytes
    run_counts: bytes
    positions: bytes
    frequencies: bytes
    lengths: bytes


# The vector stands in a sub-select, or a cached plan would read it from its text again for every row.
_NEAREST = (
    "SELECT c.source_id, c.position, 1 - v.distance AS cosine FROM (SELECT v.id, v.embedding <=> "
    "(SELECT CAST(CAST(:vector AS text) AS vector)) AS distance FROM knowledge_vector v WHERE {condition} "
    "ORDER BY distance LIMIT :nearest) v JOIN knowledge_chunk c ON c.id = v.id ORDER BY v.distance, v.id"
)
_EXACT = _NEAREST.replace(
    "{condition}",
    "v.brand_id = :brand_id AND v.embedder = :embedder "
    "AND (SELECT chunks FROM corpus) <= CAST(:exact_limit AS bigint) "
    "AND (CAST(:source_ids AS uuid[]) IS NULL OR v.source_id = ANY(CAST(:source_ids AS uuid[])))",
)
_NEAREST_OF = Statement(
    _NEAREST.replace(
        "{condition}",
        "v.id = ANY(CAST(:ids AS uuid[])) AND (v.brand_id = :brand_id) IS TRUE AND (v.embedder = :embedder) IS TRUE",
    )
)
_STATE = Statement(
    "SELECT b.knowledge_version, (SELECT v.id FROM knowledge_vector v WHERE v.brand_id = :brand_id "
    "AND v.embedder = :embedder ORDER BY v.id DESC LIMIT 1) FROM brand b WHERE b.id = :brand_id"
)
_SKETCHES = Statement(
    "SELECT string_agg(uuid_send(id), ''::bytea), string_agg(uuid_send(source_id), ''::bytea), "
    "string_agg(varbit_send(sketch), ''::bytea) FROM knowledge_vector "
    "WHERE brand_id = :brand_id AND embedder = :embedder"
)
# An array in binary has a head of 20 bytes before its elements; what follows can be joined end to end.
_SURVEY = Statement(
    (
        "WITH corpus AS MATERIALIZED (SELECT "
        "coalesce(sum(positions[1]), 0) AS chunks, coalesce(sum(positions[2]), 0) AS terms "
        "FROM knowledge_posting WHERE brand_id = :brand_id AND term = ''), "
        "near AS (SELECT array_agg(source_id) AS sources, array_agg(position) AS positions, "
        "array_agg(cosine) AS cosines FROM ({exact}) n), "
        "runs AS (SELECT string_agg(uuid_send(source_id), ''::bytea) AS sources, "
        "string_agg(int4send(number), ''::bytea) AS numbers, string_agg(int4send(count), ''::bytea) AS counts, "
        "string_agg(positions, ''::bytea) AS positions, string_agg(frequencies, ''::bytea) AS frequencies, "
        "string_agg(lengths, ''::bytea) AS lengths FROM (SELECT source_id, "
        "array_position(CAST(:terms AS text[]), CAST(term AS text)) - 1 AS number, cardinality(positions) AS count, "
        "substring(array_send(positions) FROM 21) AS positions, "
        "substring(array_send(frequencies) FROM 21) AS frequencies, substring(array_send(lengths) FROM 21) AS lengths "
        "FROM knowledge_posting WHERE brand_id = :brand_id AND term = ANY(CAST(:terms AS text[]))) r) "
        "SELECT corpus.chunks, corpus.terms, near.sources, near.positions, near.cosines, runs.sources, runs.numbers, "
        "runs.counts, runs.positions, runs.frequencies, runs.lengths FROM corpus, near, runs"
    ).replace("{exact}", _EXACT)
)
# `IS TRUE` keeps the planner from reading the whole brand through the index on it: the places are found one by one.
_AT_PLACES = (
    "unnest(CAST(:sources AS uuid[]), CAST(:positions AS integer[])) AS wanted(source_id, position) "
    "JOIN knowledge_chunk c ON c.source_id = wanted.source_id AND c.position = wanted.position"
)
_LOAD = Statement(
    (
        "SELECT c.id, c.source_id, c.source_version, c.position, s.title, c.text, c.headings, c.page, c.kind "
        "FROM {places} JOIN knowledge_source s ON s.id = c.source_id WHERE (c.brand_id = :brand_id) IS TRUE"
    ).replace("{places}", _AT_PLACES)
)
_COSINES = Statement(
    (
        "SELECT c.source_id, c.position, 1 - (v.embedding <=> (SELECT CAST(CAST(:vector AS text) AS vector))) "
        "FROM {places} JOIN knowledge_vector v ON v.id = c.id AND v.embedder = :embedder "
        "WHERE (c.brand_id = :brand_id) IS TRUE"
    ).replace("{places}", _AT_PLACES)
)
_IDS_AT = Statement(
    "SELECT c.id, c.source_id, c.position FROM {places} WHERE (c.brand_id = :brand_id) IS TRUE".replace(
        "{places}", _AT_PLACES
    )
)
_PLACES = Statement(
    "SELECT id, source_id, position FROM knowledge_chunk "
    "WHERE id = ANY(CAST(:ids AS uuid[])) AND brand_id = :brand_id"
)
_INVALID = (
    "(s.valid_from IS NOT NULL OR s.valid_until IS NOT NULL) "
    "AND (s.valid_from > now() OR s.valid_until <= now()) IS TRUE"
)
_BRAND_NOW = Statement(
    (
        "SELECT b.knowledge_version, ARRAY(SELECT s.id FROM knowledge_source s WHERE s.brand_id = :brand_id "
        "AND s.tenant_id = :tenant_id AND {invalid} ORDER BY s.id) "
        "FROM brand b WHERE b.id = :brand_id AND b.tenant_id = :tenant_id"
    ).replace("{invalid}", _INVALID)
)
_MATCHING = Statement(
    (
        "SELECT id FROM knowledge_source s WHERE brand_id = :brand_id AND tags @> CAST(:tags AS text[]) "
        "AND (cardinality(CAST(:languages AS text[])) = 0 OR language = ANY(CAST(:languages AS text[]))) "
        "AND NOT ({invalid})"
    ).replace("{invalid}", _INVALID)
)


async def brand_now(on: Transaction, tenant_id: UUID, brand_id: UUID) -> tuple[int, list[UUID]] | None:
    """The knowledge version of a tenant's brand, and which of its sources are not valid now; None without such a brand.

    Names the tenant itself, so that it can run as one round trip of the role that sees all.
    """
    rows = await _BRAND_NOW.fetch(on, tenant_id=tenant_id, brand_id=brand_id)
    return (rows[0][0], rows[0][1]) if rows else None


async def survey(
    on: Transaction, brand_id: UUID, terms: Sequence[str], probe: Probe | None, *, exact_limit: int
) -> Survey:
    """The brand's size, where the terms stand, and the chunks nearest to the probe unless the brand has more chunks
    than `exact_limit`. The exact search reads the brand's own rows, through an index on the brand.
    """
    [row] = await _SURVEY.fetch(on, brand_id=brand_id, terms=terms, exact_limit=exact_limit, **_probed(probe))
    chunks, total = int(row[0]), int(row[1])
    near = dict(zip(zip(row[2] or (), row[3] or (), strict=True), row[4] or (), strict=True))
    sources, numbers, counts, positions, frequencies, lengths = (column or b"" for column in row[5:])
    exact = chunks <= exact_limit
    return Survey(chunks, total, near if exact else None, sources, numbers, counts, positions, frequencies, lengths)


async def vectors_state(on: Transaction, brand_id: UUID, embedder: str) -> tuple[int, UUID | None]:
    """What changes whenever the brand's vectors do, beside their number: its knowledge version and its newest chunk."""
    rows = await _STATE.fetch(on, brand_id=brand_id, embedder=embedder)
    return (rows[0][0], rows[0][1]) if rows else (0, None)


async def sketches(on: Transaction, brand_id: UUID, embedder: str) -> tuple[bytes, bytes, bytes]:
    """Ids, sources and sketches of the brand's vectors, end to end in PostgreSQL's binary format."""
    [row] = await _SKETCHES.fetch(on, brand_id=brand_id, embedder=embedder)
    return row[0] or b"", row[1] or b"", row[2] or b""


async def nearest_of(
    on: Transaction, brand_id: UUID, probe: Probe, ids: Sequence[UUID]
) -> dict[tuple[UUID, int], float]:
    """Places of those of the chunks that are nearest to the probe, with their cosine, nearest first."""
    rows = await _NEAREST_OF.fetch(on, brand_id=brand_id, ids=ids, **_probed(probe))
    return {(row[0], row[1]): row[2] for row in rows}


async def load(on: Transaction, brand_id: UUID, places: Sequence[tuple[UUID, int]]) -> list[LoadedChunk]:
    """The chunks at these places with their source's title, in no order."""
    return [LoadedChunk(*row) for row in await _LOAD.fetch(on, brand_id=brand_id, **_listed(places))]


async def cosines(
    on: Transaction, brand_id: UUID, probe: Probe, places: Sequence[tuple[UUID, int]]
) -> dict[tuple[UUID, int], float]:
    """The cosines to the probe of the chunks at these places; those without a vector of its embedder are left out."""
    rows = await _COSINES.fetch(on, brand_id=brand_id, vector=probe.literal, embedder=probe.embedder, **_listed(places))
    return {(row[0], row[1]): row[2] for row in rows}


async def ids_at(on: Transaction, brand_id: UUID, places: Sequence[tuple[UUID, int]]) -> dict[UUID, tuple[UUID, int]]:
    """The ids of the chunks at these places, with the place of each."""
    return {row[0]: (row[1], row[2]) for row in await _IDS_AT.fetch(on, brand_id=brand_id, **_listed(places))}


async def places(on: Transaction, brand_id: UUID, ids: Sequence[UUID]) -> dict[UUID, tuple[UUID, int]]:
    """Where the chunks with these ids stand; ids that are gone are left out."""
    return {row[0]: (row[1], row[2]) for row in await _PLACES.fetch(on, ids=ids, brand_id=brand_id)}


async def matching_sources(
    on: Transaction, brand_id: UUID, tags: Sequence[str], languages: Sequence[str]
) -> list[UUID]:
    """Sources that are valid now and bear all of the tags, in one of the languages (any, if none is named)."""
    return [row[0] for row in await _MATCHING.fetch(on, brand_id=brand_id, tags=tags, languages=languages)]


def _listed(places: Sequence[tuple[UUID, int]]) -> dict[str, object]:
    return {"sources": [source for source, _ in places], "positions": [position for _, position in places]}


def _probed(probe: Probe | None) -> dict[str, object]:
    if probe is None:
        return {"vector": None, "embedder": "", "nearest": 0, "source_ids": None}
    return {
        "vector": probe.literal,
        "embedder": probe.embedder,
        "nearest": probe.limit,
        "source_ids": probe.source_ids,
    }
