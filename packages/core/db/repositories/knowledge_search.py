"""What a search of a brand's knowledge reads from PostgreSQL, in as few round trips as it takes.

The statements run inside a transaction of the tenant and name the brand; row-level security adds the tenant.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from uuid import UUID

import msgspec

from packages.core.db.direct import Statement, Transaction

EF_SEARCH = 100
INDEXED_DIMENSIONS = 384
"""Vectors of this length have an HNSW index in the schema."""
_NO_LIMIT = 2**31 - 1


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
    search was allowed for. The other fields are runs of postings: for each run its source, its term's number (from
    0), and how many places it has; and the runs' arrays end to end, as PostgreSQL's binary format has an array's
    elements: a big-endian 32-bit length before each number, of 32 bits in `positions` and 16 bits in the others.
    """

    chunks: int
    terms: int
    near: dict[tuple[UUID, int], float] | None
    run_sources: list[UUID]
    run_terms: list[int]
    run_counts: list[int]
    positions: bytes
    frequencies: bytes
    lengths: bytes


# The vector stands in a sub-select, or a cached plan would read it from its text again for every row.
_NEAREST = (
    "SELECT c.source_id, c.position, 1 - v.distance AS cosine FROM (SELECT v.id, {distance} AS distance "
    "FROM knowledge_vector v WHERE v.brand_id = :brand_id AND v.embedder = :embedder {condition} "
    "AND (CAST(:source_ids AS uuid[]) IS NULL OR v.source_id = ANY(CAST(:source_ids AS uuid[]))) "
    "ORDER BY {distance} LIMIT :nearest) v JOIN knowledge_chunk c ON c.id = v.id ORDER BY v.distance, v.id"
)
_EXACT = _NEAREST.format(
    distance="v.embedding <=> (SELECT CAST(CAST(:vector AS text) AS vector))",
    condition="AND (SELECT chunks FROM corpus) <= CAST(:exact_limit AS bigint)",
)
_INDEXED = Statement(
    _NEAREST.format(
        distance=f"(v.embedding::vector({INDEXED_DIMENSIONS})) <=> "
        f"(SELECT CAST(CAST(:vector AS text) AS vector({INDEXED_DIMENSIONS})))",
        condition=f"AND vector_dims(v.embedding) = {INDEXED_DIMENSIONS}",
    )
)
# An array in binary has a head of 20 bytes before its elements; what follows can be joined end to end.
_SURVEY = Statement(
    (
        "WITH corpus AS MATERIALIZED (SELECT set_config('hnsw.iterative_scan', 'strict_order', true), "
        "set_config('hnsw.ef_search', '{ef_search}', true), "
        "coalesce(sum(positions[1]), 0) AS chunks, coalesce(sum(positions[2]), 0) AS terms "
        "FROM knowledge_posting WHERE brand_id = :brand_id AND term = ''), "
        "near AS (SELECT array_agg(source_id) AS sources, array_agg(position) AS positions, "
        "array_agg(cosine) AS cosines FROM ({exact}) n), "
        "runs AS (SELECT array_agg(source_id) AS sources, array_agg(number) AS numbers, array_agg(count) AS counts, "
        "string_agg(positions, ''::bytea) AS positions, string_agg(frequencies, ''::bytea) AS frequencies, "
        "string_agg(lengths, ''::bytea) AS lengths FROM (SELECT source_id, "
        "array_position(CAST(:terms AS text[]), CAST(term AS text)) - 1 AS number, cardinality(positions) AS count, "
        "substring(array_send(positions) FROM 21) AS positions, "
        "substring(array_send(frequencies) FROM 21) AS frequencies, substring(array_send(lengths) FROM 21) AS lengths "
        "FROM knowledge_posting WHERE brand_id = :brand_id AND term = ANY(CAST(:terms AS text[])) ORDER BY number) r) "
        "SELECT corpus.chunks, corpus.terms, near.sources, near.positions, near.cosines, runs.sources, runs.numbers, "
        "runs.counts, runs.positions, runs.frequencies, runs.lengths FROM corpus, near, runs"
    )
    .replace("{ef_search}", str(EF_SEARCH))
    .replace("{exact}", _EXACT)
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
_MATCHING = Statement(
    "SELECT id FROM knowledge_source WHERE brand_id = :brand_id AND tags @> CAST(:tags AS text[]) "
    "AND (cardinality(CAST(:languages AS text[])) = 0 OR language = ANY(CAST(:languages AS text[])))"
)


async def survey(
    on: Transaction, brand_id: UUID, terms: Sequence[str], probe: Probe | None, *, exact_limit: int
) -> Survey:
    """The brand's size, where the terms stand, and the chunks nearest to the probe unless the brand has more chunks
    than `exact_limit`.

    The exact search reads the brand's own rows through an index on the brand. It also sets how this transaction
    searches the vector index, for `nearest_indexed`.
    """
    indexed = probe is not None and len(probe.values) == INDEXED_DIMENSIONS
    [row] = await _SURVEY.fetch(
        on,
        brand_id=brand_id,
        terms=terms,
        exact_limit=exact_limit if indexed else _NO_LIMIT,
        **_probed(probe),
    )
    chunks, total = int(row[0]), int(row[1])
    near = dict(zip(zip(row[2] or (), row[3] or (), strict=True), row[4] or (), strict=True))
    exact = not indexed or chunks <= exact_limit
    sources, numbers, counts = (column or [] for column in row[5:8])
    positions, frequencies, lengths = (column or b"" for column in row[8:])
    return Survey(chunks, total, near if exact else None, sources, numbers, counts, positions, frequencies, lengths)


async def nearest_indexed(on: Transaction, brand_id: UUID, probe: Probe) -> dict[tuple[UUID, int], float]:
    """Places of the nearest chunks with their cosine, nearest first, through HNSW.

    Its iterative scan keeps looking until the brand has given enough. Call `survey` first in the transaction.
    """
    rows = await _INDEXED.fetch(on, brand_id=brand_id, **_probed(probe))
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
    """Sources that bear all of the tags, in one of the languages (any, if none is named)."""
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
