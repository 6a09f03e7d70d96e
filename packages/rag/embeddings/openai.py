"""Any OpenAI-compatible embeddings API, through the official client; sync and async."""

import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import openai
import stamina
from openai.types import CreateEmbeddingResponse, EmbeddingCreateParams

from packages.core.config import EmbeddingSettings
from packages.core.errors import Unavailable
from packages.rag.embeddings import Vectors, normalised

BATCH = 128
MAX_TOKENS = 8191
TIMEOUT_SECONDS = 20.0
ATTEMPTS = 4
RETRY_SECONDS = 30.0
KNOWN_DIMENSIONS = {"text-embedding-3-large": 3072, "text-embedding-3-small": 1536, "text-embedding-ada-002": 1536}
_BYTES_PER_TOKEN = 3.5
_PASSING = (openai.APIConnectionError, openai.RateLimitError, openai.InternalServerError)


class OpenAIEmbedder:
    """Sends batches, retries what may pass, and answers `Unavailable` when it does not.

    Args:
        model: its name at the API.
        base_url: of a compatible API; None for the official one.
        api_key: its key.
        dimensions: asks for shortened vectors; required for a model whose length is not known here.

    Raises:
        ValueError: the length of the model's vectors is not known.
    """

    max_tokens = MAX_TOKENS

    def __init__(self, *, model: str, base_url: str | None, api_key: str, dimensions: int | None = None) -> None:
        known = dimensions or KNOWN_DIMENSIONS.get(model)
        if known is None:
            raise ValueError(f"Say how long the vectors of {model} are: PARLEY_EMBEDDINGS__DIMENSIONS.")
        self.dimensions = known
        self.name = f"openai/{model}" + (f"@{dimensions}" if dimensions else "")
        self._model = model
        self._asked_dimensions = dimensions
        self._sync = openai.OpenAI(api_key=api_key, base_url=base_url, timeout=TIMEOUT_SECONDS, max_retries=0)
        self._async = openai.AsyncOpenAI(api_key=api_key, base_url=base_url, timeout=TIMEOUT_SECONDS, max_retries=0)

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """A guess from the length in UTF-8: these models' tokenizers are not part of the API."""
        return [math.ceil(len(text.encode()) / _BYTES_PER_TOKEN) for text in texts]

    def embed_sync(self, texts: Sequence[str]) -> Vectors:
        """See `Embedder`."""
        parts = []
        for batch in _batches(texts):
            try:
                for attempt in stamina.retry_context(on=_PASSING, attempts=ATTEMPTS, timeout=RETRY_SECONDS):
                    with attempt:
                        parts.append(self._read(self._sync.embeddings.create(**self._request(batch)), batch))
            except openai.OpenAIError as error:
                raise _refusal(error) from error
        return self._joined(parts)

    async def embed(self, texts: Sequence[str]) -> Vectors:
        """See `Embedder`."""
        parts = []
        for batch in _batches(texts):
            try:
                async for attempt in stamina.retry_context(on=_PASSING, attempts=ATTEMPTS, timeout=RETRY_SECONDS):
                    with attempt:
                        parts.append(self._read(await self._async.embeddings.create(**self._request(batch)), batch))
            except openai.OpenAIError as error:
                raise _refusal(error) from error
        return self._joined(parts)

    def _request(self, batch: Sequence[str]) -> EmbeddingCreateParams:
        request: EmbeddingCreateParams = {"model": self._model, "input": list(batch), "encoding_format": "float"}
        if self._asked_dimensions:
            request["dimensions"] = self._asked_dimensions
        return request

    def _read(self, response: CreateEmbeddingResponse, batch: Sequence[str]) -> Vectors:
        rows = sorted(response.data, key=lambda item: item.index)
        vectors = np.array([row.embedding for row in rows], dtype=np.float32)
        if vectors.shape != (len(batch), self.dimensions):
            raise Unavailable(
                f"The embedding API answered with vectors of shape {vectors.shape} instead of "
                f"{(len(batch), self.dimensions)}. Check PARLEY_EMBEDDINGS__MODEL and __DIMENSIONS."
            )
        return normalised(vectors)

    def _joined(self, parts: Sequence[Vectors]) -> Vectors:
        return np.concatenate(parts) if parts else np.zeros((0, self.dimensions), dtype=np.float32)


def _batches(texts: Sequence[str]) -> Iterator[Sequence[str]]:
    # The API refuses an empty input, so an empty text is sent as a space.
    filled = [text or " " for text in texts]
    return (filled[start : start + BATCH] for start in range(0, len(filled), BATCH))


def _refusal(error: openai.OpenAIError) -> Unavailable:
    return Unavailable(f"The embedding API did not answer ({type(error).__name__}).")


def create(settings: EmbeddingSettings, models_dir: Path) -> OpenAIEmbedder:
    """The API that the settings name."""
    return OpenAIEmbedder(
        model=settings.model,
        base_url=settings.base_url,
        api_key=settings.api_key.get_secret_value(),
        dimensions=settings.dimensions,
    )
