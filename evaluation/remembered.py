"""Vectors of earlier runs, kept on disk: an evaluation embeds the same texts each time."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from hashlib import blake2b
from pathlib import Path

import numpy as np

from packages.rag.embeddings import Embedder, Vectors

FOLDER = Path(__file__).parent / ".vectors"


class RememberingEmbedder:
    """An embedder that asks another only for texts it does not know yet."""

    def __init__(self, inner: Embedder) -> None:
        self._inner = inner
        self._known: dict[bytes, Vectors] = {}
        self.name, self.dimensions, self.max_tokens = inner.name, inner.dimensions, inner.max_tokens
        self.count_tokens, self.unfamiliarity, self.close = inner.count_tokens, inner.unfamiliarity, inner.close

    @classmethod
    @contextmanager
    def opened(cls, inner: Embedder, folder: Path = FOLDER) -> Iterator["RememberingEmbedder"]:
        """One that begins with what the folder keeps, and leaves there what it learnt."""
        embedder = cls(inner)
        file = folder / f"{inner.name.replace('/', '_')}.npz"
        if file.is_file():
            with np.load(file) as kept:
                embedder._known = dict(zip((bytes(key) for key in kept["keys"]), kept["vectors"], strict=True))
        before = len(embedder._known)
        try:
            yield embedder
        finally:
            if len(embedder._known) > before:
                folder.mkdir(parents=True, exist_ok=True)
                keys = np.array([list(key) for key in embedder._known], dtype=np.uint8)
                np.savez(file, keys=keys, vectors=np.stack(list(embedder._known.values())))

    def embed_sync(self, texts: Sequence[str]) -> Vectors:
        """See `Embedder`."""
        keys, missing = self._split(texts)
        self._learn(missing, self._inner.embed_sync(list(missing.values())))
        return self._stacked(keys)

    async def embed(self, texts: Sequence[str]) -> Vectors:
        """See `Embedder`."""
        keys, missing = self._split(texts)
        if missing:
            self._learn(missing, await self._inner.embed(list(missing.values())))
        return self._stacked(keys)

    def _split(self, texts: Sequence[str]) -> tuple[list[bytes], dict[bytes, str]]:
        keys = [blake2b(text.encode(), digest_size=16).digest() for text in texts]
        return keys, {key: text for key, text in zip(keys, texts, strict=True) if key not in self._known}

    def _learn(self, missing: dict[bytes, str], vectors: Vectors) -> None:
        self._known.update(zip(missing, vectors, strict=True))

    def _stacked(self, keys: Sequence[bytes]) -> Vectors:
        if not keys:
            return np.zeros((0, self.dimensions), dtype=np.float32)
        return np.stack([self._known[key] for key in keys])
