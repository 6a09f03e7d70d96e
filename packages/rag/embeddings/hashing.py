"""Deterministic vectors from hashed words: for tests that need likeness by shared words and no model.

No setting chooses it; a test builds it by hand.
"""

import hashlib
import re
from collections.abc import Sequence

import numpy as np

from packages.rag.embeddings import Vectors, normalised

_WORD = re.compile(r"\w+")


class HashingEmbedder:
    """Signed feature hashing of words (Weinberger et al., 2009). Counts its calls and texts."""

    max_tokens = 256

    def __init__(self, dimensions: int = 384, name: str = "hashing") -> None:
        self.dimensions = dimensions
        self.name = f"{name}/{dimensions}"
        self.calls = 0
        self.texts_embedded = 0

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Words of each text."""
        return [len(_WORD.findall(text)) for text in texts]

    def unfamiliarity(self, text: str) -> float:
        """Words of every language are the same to it."""
        return 0.0

    def embed_sync(self, texts: Sequence[str]) -> Vectors:
        """Embed each text as the signed sum of its words."""
        self.calls += 1
        self.texts_embedded += len(texts)
        vectors = np.zeros((len(texts), self.dimensions), dtype=np.float32)
        for row, text in enumerate(texts):
            for word in _WORD.findall(text.casefold()):
                value = int.from_bytes(hashlib.blake2b(word.encode(), digest_size=8).digest())
                vectors[row, value % self.dimensions] += 1.0 if value >> 63 else -1.0
        return normalised(vectors)

    async def embed(self, texts: Sequence[str]) -> Vectors:
        """The same; it is cheap enough for the event loop."""
        return self.embed_sync(texts)

    async def close(self) -> None:
        """Nothing is open."""
