"""Sketches of vectors."""

from uuid import UUID

import numpy as np
import pytest

from packages.rag.embeddings import Vectors, normalised
from packages.rag.sketches import Sketches

FIRST, SECOND = UUID(int=1), UUID(int=2)


def sketches(vectors: Vectors, sources: list[UUID]) -> Sketches:
    """As PostgreSQL would send them; the chunks' ids count from 1000."""
    length = vectors.shape[1].to_bytes(4, "big")
    return Sketches.read(
        b"".join(UUID(int=1000 + row).bytes for row in range(len(vectors))),
        b"".join(source.bytes for source in sources),
        b"".join(length + np.packbits(vector > 0).tobytes() for vector in vectors),
    )


def vectors(count: int, dimensions: int) -> Vectors:
    return normalised(np.random.default_rng(1).normal(size=(count, dimensions)))


@pytest.mark.parametrize("dimensions", [8, 60, 64, 384])
def test_a_vector_is_nearest_to_itself(dimensions: int) -> None:
    stored = vectors(200, dimensions)
    kept = sketches(stored, [FIRST] * 200)
    ids = kept.nearest(stored[17], 20)
    assert UUID(int=1017) in ids
    assert len(ids) == 20
    assert (len(kept), kept.bits.shape) == (200, (200, -(-dimensions // 64)))


def test_only_named_sources_are_searched() -> None:
    stored = vectors(20, 64)
    kept = sketches(stored, [FIRST, SECOND] * 10)
    found = kept.nearest(stored[0], 5, {SECOND})
    assert len(found) == 5
    assert all(chunk.int % 2 == 1 for chunk in found)
    assert kept.nearest(stored[0], 5, frozenset()) == []


def test_few_chunks_are_all_near() -> None:
    stored = vectors(3, 64)
    assert sorted(sketches(stored, [FIRST] * 3).nearest(stored[0], 9)) == [UUID(int=1000 + row) for row in range(3)]


def test_a_brand_without_vectors_has_none() -> None:
    empty = Sketches.read(b"", b"", b"")
    assert (len(empty), empty.nearest(vectors(1, 64)[0], 5)) == (0, [])


def test_the_nearest_vectors_are_among_the_nearest_sketches() -> None:
    random = np.random.default_rng(5)
    centres = random.normal(size=(40, 384))
    stored = normalised(centres[random.integers(0, 40, 4000)] + 0.8 * random.normal(size=(4000, 384)))
    kept, found = sketches(stored, [FIRST] * 4000), 0
    for query in normalised(stored[:20] + 0.02 * random.normal(size=(20, 384))):
        wanted = {UUID(int=1000 + int(row)) for row in np.argsort(-(stored @ query))[:10]}
        found += len(wanted & set(kept.nearest(query, 160)))
    assert found / 200 >= 0.97
