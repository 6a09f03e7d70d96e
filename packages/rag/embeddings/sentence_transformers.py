"""Models through sentence-transformers and torch: the optional group `torch`, and never imported unless chosen."""

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from sentence_transformers import SentenceTransformer

from packages.core.config import EmbeddingSettings
from packages.rag.embeddings import Vectors, word_pieces

BATCH = 32


class SentenceTransformersEmbedder:
    """Runs a model from a folder or a name that sentence-transformers knows."""

    def __init__(self, model: str) -> None:
        self._model = SentenceTransformer(model)
        self.name = f"sentence-transformers/{Path(model).name}"
        self.dimensions = int(self._model.get_sentence_embedding_dimension() or 0)
        self.max_tokens = int(self._model.max_seq_length or 256)
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="embed")

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Tokens by the model's own tokenizer."""
        if not texts:
            return []
        encoded = self._model.tokenizer(list(texts), add_special_tokens=False, truncation=False)
        return [len(ids) for ids in encoded["input_ids"]]

    def unfamiliarity(self, text: str) -> float:
        """See `Embedder`."""
        tokenizer = self._model.tokenizer
        return word_pieces.unfamiliarity(tokenizer.tokenize(text), len(tokenizer))

    def embed_sync(self, texts: Sequence[str]) -> Vectors:
        """See `Embedder`."""
        if not texts:
            return np.zeros((0, self.dimensions), dtype=np.float32)
        vectors = self._model.encode(
            list(texts), batch_size=BATCH, normalize_embeddings=True, convert_to_numpy=True, show_progress_bar=False
        )
        return np.asarray(vectors, dtype=np.float32)

    async def embed(self, texts: Sequence[str]) -> Vectors:
        """See `Embedder`; on this embedder's own thread."""
        return await asyncio.get_running_loop().run_in_executor(self._executor, self.embed_sync, texts)

    async def close(self) -> None:
        """Nothing is open; the thread ends with the process."""


def create(settings: EmbeddingSettings, models_dir: Path) -> SentenceTransformersEmbedder:
    """The model of that name in the models folder, else by its name."""
    folder = models_dir / settings.model
    return SentenceTransformersEmbedder(str(folder) if (folder / "modules.json").is_file() else settings.model)
