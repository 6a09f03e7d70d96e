"""What an embedder is. One file per provider; each exports `create(settings, models_dir)`."""

import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol, TypeAlias, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from packages.core.config import EmbeddingSettings

Vectors: TypeAlias = NDArray[np.float32]
"""Shape (texts, dimensions), float32, each row of length 1 (a row of zeros only for a text without content)."""

MODELS_DIR = Path(__file__).parents[3] / ".models"
"""Where local models lie unless told otherwise; outside the data directory, because a download outlives it."""


class MissingModel(Exception):
    """The local model is not there; the message names the command that brings it."""


@runtime_checkable
class Embedder(Protocol):
    """Turns texts into vectors whose dot product is their likeness. Safe to share between tasks and threads."""

    @property
    def name(self) -> str:
        """Names the model and all that changes its vectors; stored with them, because two models never compare."""
        ...

    @property
    def dimensions(self) -> int:
        """Length of each vector."""
        ...

    @property
    def max_tokens(self) -> int:
        """Tokens beyond this number do not reach the vector."""
        ...

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """The tokens of each text by this model's tokenizer, or a close upper guess where it is not public."""
        ...

    def unfamiliarity(self, text: str) -> float:
        """How little this model knows the text's language: 0 if it does, or if it knows many, up to 1."""
        ...

    def embed_sync(self, texts: Sequence[str]) -> Vectors:
        """Embed on the calling thread. An empty list gives shape (0, dimensions)."""
        ...

    async def embed(self, texts: Sequence[str]) -> Vectors:
        """Embed without holding up the event loop.

        Raises:
            Unavailable: a remote provider did not answer in time, after retries.
        """
        ...

    async def close(self) -> None:
        """Close connections, if there are any."""
        ...


class _Provider(Protocol):
    def create(self, settings: EmbeddingSettings, models_dir: Path) -> Embedder: ...


def create(settings: EmbeddingSettings, models_dir: Path = MODELS_DIR) -> Embedder:
    """The embedder that the settings name. Imports that provider's module only: torch or openai cost start-up time.

    Raises:
        MissingModel: the local model was not brought yet.
    """
    provider: _Provider = importlib.import_module(f"{__name__}.{settings.provider.replace('-', '_')}")
    return provider.create(settings, models_dir)


def normalised(vectors: NDArray[np.floating]) -> Vectors:
    """Rows scaled to length 1; rows of zeros stay."""
    floats = np.asarray(vectors, dtype=np.float32)
    lengths = np.linalg.norm(floats, axis=1, keepdims=True)
    scaled: Vectors = np.divide(floats, lengths, out=np.zeros_like(floats), where=lengths > 0)
    return scaled
