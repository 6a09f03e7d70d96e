"""Any OpenAI-compatible embeddings API, through the official client; sync and async.

The client makes the request; the answer is decoded here, because the client's own models cost several times as much
CPU. Vectors are asked for in base64, which is a third of the size, and as numbers where an API knows no other way.
"""

import asyncio
import base64
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx
import msgspec
import numpy as np
import openai
import stamina
from numpy.typing import NDArray

from packages.core.config import EmbeddingSettings
from packages.core.errors import Unavailable
from packages.rag import openai_api
from packages.rag.embeddings import Vectors, normalised

BATCH = 128
MAX_TOKENS = 8191
TIMEOUT_SECONDS = 20.0
ATTEMPTS = 4
RETRY_SECONDS = 30.0
FIRST_PAUSE_SECONDS = 0.2
KNOWN_DIMENSIONS = {"text-embedding-3-large": 3072, "text-embedding-3-small": 1536, "text-embedding-ada-002": 1536}
_BYTES_PER_TOKEN = 3.5
_PASSING = (openai.APIConnectionError, openai.RateLimitError, openai.InternalServerError)
_REFUSING = (openai.BadRequestError, openai.UnprocessableEntityError)
CONNECTIONS = 64
PATH = "/embeddings"


class _Row(msgspec.Struct):
    embedding: str | list[float]
    index: int = 0


class _Answer(msgspec.Struct):
    data: list[_Row]


_decode = msgspec.json.Decoder(_Answer).decode


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
        self._encoding = "base64"
        self._sync = openai.OpenAI(api_key=api_key, base_url=base_url, timeout=TIMEOUT_SECONDS, max_retries=0)
        self._async = openai_api.connect(
            base_url=base_url, api_key=api_key, timeout=httpx.Timeout(TIMEOUT_SECONDS), connections=CONNECTIONS
        )

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """A guess from the length in UTF-8: these models' tokenizers are not part of the API."""
        return [math.ceil(len(text.encode()) / _BYTES_PER_TOKEN) for text in texts]

    def unfamiliarity(self, text: str) -> float:
        """These models know many languages."""
        return 0.0

    def embed_sync(self, texts: Sequence[str]) -> Vectors:
        """See `Embedder`."""
        parts = []
        for batch in _batches(texts):
            try:
                for attempt in stamina.retry_context(on=_PASSING, attempts=ATTEMPTS, timeout=RETRY_SECONDS):
                    with attempt:
                        parts.append(self._read(self._asked_sync(batch), batch))
            except openai.OpenAIError as error:
                raise _refusal(error) from error
        return self._joined(parts)

    async def embed(self, texts: Sequence[str]) -> Vectors:
        """See `Embedder`."""
        parts = []
        for batch in _batches(texts):
            try:
                parts.append(self._read(await self._asked_patiently(batch), batch))
            except openai.OpenAIError as error:
                raise _refusal(error) from error
        return self._joined(parts)

    async def close(self) -> None:
        """See `Embedder`."""
        self._sync.close()
        await self._async.close()

    def _asked_sync(self, batch: Sequence[str]) -> bytes:
        try:
            return openai_api.post_sync(self._sync, PATH, self._request(batch))
        except _REFUSING as error:
            if not self._gives_way(error):
                raise
            return openai_api.post_sync(self._sync, PATH, self._request(batch))

    async def _asked_patiently(self, batch: Sequence[str]) -> bytes:
        """The first attempt goes by itself: every question passes here, and a retrying loop costs half a request."""
        try:
            return await self._asked(batch)
        except _PASSING:
            await asyncio.sleep(FIRST_PAUSE_SECONDS)
        async for attempt in stamina.retry_context(on=_PASSING, attempts=ATTEMPTS - 1, timeout=RETRY_SECONDS):
            with attempt:
                return await self._asked(batch)
        raise AssertionError("the last attempt returns or raises")

    async def _asked(self, batch: Sequence[str]) -> bytes:
        try:
            return await openai_api.post(self._async, PATH, self._request(batch))
        except _REFUSING as error:
            if not self._gives_way(error):
                raise
            return await openai_api.post(self._async, PATH, self._request(batch))

    def _gives_way(self, error: openai.APIStatusError) -> bool:
        """An API that refuses the encoding is asked for numbers, once and for good."""
        refused = self._encoding == "base64" and any(word in str(error) for word in ("encoding_format", "base64"))
        if refused:
            self._encoding = "float"
        return refused

    def _request(self, batch: Sequence[str]) -> dict[str, Any]:
        request = {"model": self._model, "input": list(batch), "encoding_format": self._encoding}
        return request | ({"dimensions": self._asked_dimensions} if self._asked_dimensions else {})

    def _read(self, answer: bytes, batch: Sequence[str]) -> Vectors:
        try:
            rows = sorted(_decode(answer).data, key=lambda row: row.index)
            vectors = np.array([_values(row.embedding) for row in rows], dtype=np.float32)
        except ValueError as error:  # not JSON, not such JSON, not base64, or rows of different lengths
            raise Unavailable("The embedding API gave an answer that cannot be read.") from error
        if vectors.shape != (len(batch), self.dimensions):
            raise Unavailable(
                f"The embedding API answered with vectors of shape {vectors.shape} instead of "
                f"{(len(batch), self.dimensions)}. Check PARLEY_EMBEDDINGS__MODEL and __DIMENSIONS."
            )
        return normalised(vectors)

    def _joined(self, parts: Sequence[Vectors]) -> Vectors:
        return np.concatenate(parts) if parts else np.zeros((0, self.dimensions), dtype=np.float32)


def _values(embedding: str | list[float]) -> list[float] | NDArray[np.float32]:
    """The numbers of one vector; in base64 they are little-endian floats of 32 bits."""
    if isinstance(embedding, list):
        return embedding
    return np.frombuffer(base64.b64decode(embedding, validate=True), dtype="<f4")


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
