"""all-MiniLM-L6-v2 in this process: onnxruntime and the model's own tokenizer, no torch, no network."""

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnxruntime
from tokenizers import Encoding, Tokenizer

from packages.core.config import EmbeddingSettings
from packages.rag.embeddings import MissingModel, Vectors, word_pieces

BATCH = 32
MAX_TOKENS = 256
DIMENSIONS = 384


class LocalEmbedder:
    """Runs the graph that `packages.rag.embeddings.weights` builds.

    Args:
        folder: holds `model.onnx` and `tokenizer.json`.
        name: recorded with the vectors.
        threads: CPU threads of one embedding call; calls of one process queue up behind each other.
    """

    max_tokens = MAX_TOKENS
    dimensions = DIMENSIONS

    def __init__(self, folder: Path, *, name: str, threads: int = 1) -> None:
        if not (folder / "model.onnx").is_file() or not (folder / "tokenizer.json").is_file():
            raise MissingModel(
                f"There is no embedding model in {folder}. Bring it with: python -m packages.rag.embeddings.weights"
            )
        self.name = name
        self._counter: Tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._counter.no_truncation()
        self._counter.no_padding()
        self._vocabulary = self._counter.get_vocab_size()
        self._tokenizer: Tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._tokenizer.enable_truncation(MAX_TOKENS)
        self._tokenizer.no_padding()
        self._session = onnxruntime.InferenceSession(
            str(folder / "model.onnx"), _options(threads), providers=["CPUExecutionProvider"]
        )
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="embed")

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Word pieces of each text, without the two that frame it."""
        return [len(encoding.ids) for encoding in self._counter.encode_batch(list(texts), add_special_tokens=False)]

    def unfamiliarity(self, text: str) -> float:
        """See `Embedder`; all-MiniLM-L6-v2 knows English."""
        encoding = self._counter.encode(text, add_special_tokens=False)
        return word_pieces.unfamiliarity(encoding.tokens, self._vocabulary)

    def embed_sync(self, texts: Sequence[str]) -> Vectors:
        """Embed in batches of like length: padding is what costs, so the sorted order saves about a third."""
        vectors = np.zeros((len(texts), DIMENSIONS), dtype=np.float32)
        encodings = self._tokenizer.encode_batch(list(texts))
        order = sorted(range(len(texts)), key=lambda index: len(encodings[index].ids))
        for start in range(0, len(order), BATCH):
            rows = order[start : start + BATCH]
            vectors[rows] = self._run([encodings[row] for row in rows])
        return vectors

    async def embed(self, texts: Sequence[str]) -> Vectors:
        """Embed on this embedder's own thread."""
        return await asyncio.get_running_loop().run_in_executor(self._executor, self.embed_sync, texts)

    async def close(self) -> None:
        """Nothing is open; the thread ends with the process."""

    def _run(self, encodings: Sequence[Encoding]) -> Vectors:
        width = max(len(encoding.ids) for encoding in encodings)
        ids = np.zeros((len(encodings), width), dtype=np.int64)
        mask = np.zeros_like(ids)
        for row, encoding in enumerate(encodings):
            ids[row, : len(encoding.ids)] = encoding.ids
            mask[row, : len(encoding.ids)] = 1
        vectors: Vectors = self._session.run(["embedding"], {"input_ids": ids, "attention_mask": mask})[0]
        return vectors


def _options(threads: int) -> onnxruntime.SessionOptions:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    # Spinning threads burn the cores that the other processes of an embedded installation need.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return options


def create(settings: EmbeddingSettings, models_dir: Path) -> LocalEmbedder:
    """The local embedder of the settings' model."""
    return LocalEmbedder(models_dir / settings.model, name=f"local/{settings.model}", threads=settings.threads)
