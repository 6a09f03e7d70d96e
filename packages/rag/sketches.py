"""A bit per number instead of a float: a brand's vectors in a thirtieth of the space, to find those worth comparing.

Binary quantisation keeps each number's sign. The distance of two sketches is how many bits differ; the nearest by it
are then compared by their vectors. Of the 50 nearest among 100,000 vectors of texts, 98% are among the 800 nearest
sketches, and of the 10 nearest 99.5%.
"""

from collections.abc import Collection
from dataclasses import dataclass
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from packages.rag.embeddings import Vectors

_LENGTH_BYTES = 4
_WORD_BYTES = 8


@dataclass(frozen=True, slots=True)
class Sketches:
    """Of one brand's vectors.

    Args:
        ids: of the chunks, 16 bytes each, shape (chunks, 16).
        sources: the sources' ids.
        source_numbers: where in `sources` each chunk's source is.
        bits: 64 in a number, shape (chunks, numbers of a sketch).
    """

    ids: NDArray[np.uint8]
    sources: tuple[UUID, ...]
    source_numbers: NDArray[np.int32]
    bits: NDArray[np.uint64]

    @classmethod
    def read(cls, ids: bytes, sources: bytes, sketches: bytes) -> "Sketches":
        """From PostgreSQL's binary format, end to end: of a uuid its 16 bytes, of a bit string its length before it."""
        count = len(ids) // 16
        rows = np.frombuffer(sketches, np.uint8).reshape(count, -1)[:, _LENGTH_BYTES:] if count else np.empty((0, 8))
        distinct, numbers = np.unique(np.frombuffer(sources, "V16"), return_inverse=True)
        return cls(
            np.frombuffer(ids, np.uint8).reshape(count, 16),
            tuple(UUID(bytes=bytes(source)) for source in distinct),
            numbers.astype(np.int32),
            _words(rows.astype(np.uint8, copy=False)),
        )

    def __len__(self) -> int:
        """How many chunks."""
        return len(self.ids)

    @property
    def size(self) -> int:
        """Bytes in memory, about."""
        return self.ids.nbytes + self.source_numbers.nbytes + self.bits.nbytes + 120 * len(self.sources)

    def nearest(self, vector: Vectors, limit: int, source_ids: Collection[UUID] | None = None) -> list[UUID]:
        """The chunks with the sketches nearest to the vector's, in no order; of the named sources, if any are."""
        rows = np.arange(len(self))
        if source_ids is not None:
            allowed = np.array([source in source_ids for source in self.sources], dtype=np.bool_)
            rows = rows[allowed[self.source_numbers]] if len(rows) else rows
        if len(rows) > limit:
            [wanted] = _words(np.packbits(vector > 0)[np.newaxis])
            bits = self.bits if source_ids is None else self.bits[rows]
            distances = np.bitwise_count(bits ^ wanted).sum(axis=1, dtype=np.uint16)
            rows = rows[np.argpartition(distances, limit)[:limit]]
        return [UUID(bytes=self.ids[row].tobytes()) for row in rows]


def _words(rows: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """Bytes to numbers of 64 bits, filled up with zeros."""
    missing = -rows.shape[1] % _WORD_BYTES
    padded = np.pad(rows, ((0, 0), (0, missing))) if missing else rows
    return np.ascontiguousarray(padded).view(np.uint64)
