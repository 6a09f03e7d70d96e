"""Search: how long a question to the knowledge takes, embedding included, and whether other tenants' knowledge costs.

The chunks are filled in as rows: their words are as frequent as words are, and their vectors lie around those of real
sentences.
"""

import time
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from uuid import UUID, uuid4

import asyncpg
import numpy as np

from bench.database import postgres
from bench.report import Section
from packages.core.config import EmbeddingSettings
from packages.core.db.session import Database
from packages.rag import embeddings
from packages.rag.documents import Scope
from packages.rag.embeddings import Embedder, Vectors, normalised
from packages.rag.retrieval import Knowledge, retrieve_context
from packages.rag.vector_store.pgvector import PgVectorStore

SIZES = (10_000, 100_000)
GOALS = {10_000: 25.0, 100_000: 40.0}
OTHERS, CHUNKS_OF_OTHERS = 100, 500
CHUNKS_OF_SOURCE = 10
WORDS_OF_CHUNK, VOCABULARY = 60, 20_000
_WEIGHTS = 1 / (np.arange(VOCABULARY) + 40.0) ** 1.05
_COMMON = _WEIGHTS / _WEIGHTS.sum()
QUESTIONS = 200
TOPICS = (
    "How can I change the delivery address of my order?",
    "The refund is paid to the card within five working days.",
    "Our shops are open from nine in the morning until six.",
    "You can reset your password on the sign-in page.",
    "Business accounts need the tax number of the company.",
    "Breakfast is served on the terrace between seven and ten.",
    "Coffee beans keep their flavour for about six weeks.",
    "The warranty covers defects of material for two years.",
)

INSERT_BRAND = """
INSERT INTO brand (id, created_at, tenant_id, slug, name, locale, timezone, knowledge_version, settings)
VALUES ($1, now(), $2, 'bench', 'Bench', 'en', 'UTC', 1, '{}')
"""
INSERT_CHUNKS = """
INSERT INTO knowledge_chunk (id, created_at, tenant_id, brand_id, source_id, source_version, position, text, headings,
  kind, token_count, content_hash, extra)
SELECT id, now(), $1, $2, source, 1, position, text, '{}', 'text', 80, md5(text), '{}'
FROM unnest($3::uuid[], $4::uuid[], $5::int[], $6::text[]) AS made(id, source, position, text)
"""
INSERT_VECTORS = """
INSERT INTO knowledge_vector (id, created_at, tenant_id, brand_id, source_id, embedder, embedding)
SELECT id, now(), $1, $2, source, $3, embedding::vector
FROM unnest($4::uuid[], $5::uuid[], $6::text[]) AS made(id, source, embedding)
"""
INSERT_POSTINGS = """
INSERT INTO knowledge_posting (id, created_at, tenant_id, brand_id, source_id, term, positions, frequencies, lengths)
SELECT gen_random_uuid(), now(), $1, $2, source, term, positions::int[], frequencies::smallint[], lengths::smallint[]
FROM unnest($3::uuid[], $4::text[], $5::text[], $6::text[], $7::text[])
  AS made(source, term, positions, frequencies, lengths)
"""
INSERT_SOURCES = """
INSERT INTO knowledge_source (id, created_at, tenant_id, brand_id, title, kind, media_type, status, progress,
  chunk_count, version, attempts, tags, updated_at)
SELECT source, now(), $1, $2, 'Article', 'file', 'text/markdown', 'ready', 1, $4, 1, 1, '{}', now()
FROM unnest($3::uuid[]) AS source
"""


async def measure(rounds: int, seconds: float) -> AsyncIterator[Section]:
    """Two brands of different sizes; each alone first, and then among the tenants."""
    embedder = embeddings.create(EmbeddingSettings())
    async with postgres() as engine:
        database = Database(engine.url)
        knowledge = Knowledge(database=database, store=PgVectorStore(database), embedder=embedder)
        owner = await asyncpg.connect(engine.admin_url)
        await owner.execute("SET session_replication_role = replica; SET synchronous_commit = off")  # rows fit together
        section = Section(f"search: a brand's knowledge, alone and among {OTHERS} other tenants")
        scopes = {size: await _fill(owner, embedder, size) for size in SIZES}
        await owner.execute("VACUUM ANALYZE")
        alone = {size: [await _ask(knowledge, scope, seconds) for _ in range(rounds)] for size, scope in scopes.items()}
        for _ in range(OTHERS):
            await _fill(owner, embedder, CHUNKS_OF_OTHERS)
        await owner.execute("VACUUM ANALYZE")
        await owner.close()
        for size, scope in scopes.items():
            among = [await _ask(knowledge, scope, seconds) for _ in range(rounds)]
            name = f"{size:,} chunks"
            section.add(f"{name}: search p95", [p95 for _, p95 in among], "ms", floor=GOALS[size], aim=GOALS[size] / 2)
            section.add(f"{name}: search p50", [p50 for p50, _ in among], "ms")
            ratios = [after / before for (after, _), (before, _) in zip(among, alone[size], strict=True)]
            section.add(f"{name}: p50 among others / alone", ratios, "×", floor=1.25, aim=1.1)
        await knowledge.close()
        await database.close()
    yield section


async def _ask(knowledge: Knowledge, scope: Scope, seconds: float) -> tuple[float, float]:
    """Median and 95th percentile in milliseconds over questions that nobody asked before; the first ones warm up."""
    random = np.random.default_rng(time.time_ns())
    taken: list[float] = []
    until = time.monotonic() + seconds
    for number in range(QUESTIONS + 10):
        words = " ".join(_words(random, 4))
        question = f"{TOPICS[number % len(TOPICS)]} {words}"
        began = time.perf_counter()
        await retrieve_context(knowledge, scope, question, limit=6)
        taken.append((time.perf_counter() - began) * 1000)
        if time.monotonic() > until and number > 40:
            break
    p50, p95 = np.percentile(taken[10:], [50, 95])
    return float(p50), float(p95)


async def _fill(owner: asyncpg.Connection, embedder: Embedder, chunks: int) -> Scope:
    """A new tenant with one brand of so many chunks."""
    tenant, brand = uuid4(), uuid4()
    await owner.execute(
        "INSERT INTO tenant (id, created_at, slug, name, status, settings) "
        "VALUES ($1, now(), $2, 'Bench', 'active', '{}')",
        tenant,
        str(tenant),
    )
    await owner.execute(INSERT_BRAND, brand, tenant)
    random = np.random.default_rng(chunks)
    around = await embedder.embed(TOPICS)
    for start in range(0, chunks, 1000):
        await _fill_part(owner, (tenant, brand), embedder.name, random, around, min(1000, chunks - start))
    return Scope(tenant_id=tenant, brand_id=brand)


async def _fill_part(
    owner: asyncpg.Connection,
    whose: tuple[UUID, UUID],
    embedder: str,
    random: np.random.Generator,
    around: Vectors,
    chunks: int,
) -> None:
    sources = [uuid4() for _ in range(-(-chunks // CHUNKS_OF_SOURCE))]
    source_of = [sources[row // CHUNKS_OF_SOURCE] for row in range(chunks)]
    ids, positions = [uuid4() for _ in range(chunks)], [row % CHUNKS_OF_SOURCE for row in range(chunks)]
    texts = [_words(random, WORDS_OF_CHUNK) for _ in range(chunks)]
    await owner.execute(INSERT_SOURCES, *whose, sources, CHUNKS_OF_SOURCE)
    await owner.execute(INSERT_CHUNKS, *whose, ids, source_of, positions, [" ".join(words) for words in texts])
    noise = random.normal(size=(chunks, around.shape[1])) * 0.04
    vectors = normalised(around[random.integers(0, len(around), chunks)] + noise)
    literals = [str(vector) for vector in vectors.round(5).tolist()]
    await owner.execute(INSERT_VECTORS, *whose, embedder, ids, source_of, literals)
    rows = list(_postings(sources, source_of, positions, texts))
    await owner.execute(INSERT_POSTINGS, *whose, *(list(column) for column in zip(*rows, strict=True)))


def _postings(
    sources: Sequence[UUID], source_of: Sequence[UUID], positions: Sequence[int], texts: Sequence[Sequence[str]]
) -> Iterator[tuple[UUID, str, str, str, str]]:
    """Rows of source, term, positions, frequencies, lengths (as array literals); the empty term has the totals."""
    found: dict[tuple[UUID, str], dict[int, int]] = {}
    for source, position, words in zip(source_of, positions, texts, strict=True):
        for word in words:
            counts = found.setdefault((source, word), {})
            counts[position] = counts.get(position, 0) + 1
    for source in sources:
        count = source_of.count(source) if source == sources[-1] else CHUNKS_OF_SOURCE
        yield source, "", _array([count, count * WORDS_OF_CHUNK]), "{}", "{}"
    for (source, term), counts in found.items():
        yield source, term, _array(counts), _array(counts.values()), _array([WORDS_OF_CHUNK] * len(counts))


def _array(numbers: Iterable[int]) -> str:
    return "{" + ",".join(str(number) for number in numbers) + "}"


def _words(random: np.random.Generator, count: int) -> list[str]:
    """Words as texts have them beside stop words, by the law of Zipf and Mandelbrot: the first in one of six chunks."""
    return [f"word{rank}" for rank in random.choice(VOCABULARY, count, p=_COMMON).tolist()]
