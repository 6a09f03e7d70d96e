"""An OpenAI-compatible API over real HTTP: batches, order, retries, refusals."""

import asyncio
import base64
import struct
import threading
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import msgspec
import numpy as np
import pytest
import pytest_asyncio
import stamina

from packages.core.config import EmbeddingSettings
from packages.core.errors import Unavailable
from packages.rag import embeddings
from packages.rag.embeddings import Embedder


@dataclass
class FakeAPI:
    """Answers with vectors made of the text's length, in reverse order; the first `statuses` are refusals.

    `base64` is what it makes of that encoding: it is honoured, ignored or refused. `answers` come before any vectors.
    """

    url: str = ""
    requests: list[dict[str, Any]] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    answers: list[object] = field(default_factory=list)
    dimensions: int = 4
    base64: str = "honoured"

    def answer(self, body: bytes) -> tuple[int, object]:
        request = msgspec.json.decode(body)
        self.requests.append(request)
        if self.statuses:
            return self.statuses.pop(0), {"error": {"message": "no"}}
        if self.answers:
            return 200, self.answers.pop(0)
        encoding = request["encoding_format"]
        if encoding == "base64" and self.base64.startswith("4"):
            return int(self.base64), {"error": {"message": "encoding_format: 'base64' is not supported"}}
        rows = [
            {
                "object": "embedding",
                "index": index,
                "embedding": self._vector(text, encoding),
            }
            for index, text in enumerate(request["input"])
        ]
        usage = {"prompt_tokens": 1, "total_tokens": 1}
        return 200, {"object": "list", "model": request["model"], "data": rows[::-1], "usage": usage}

    def _vector(self, text: str, encoding: str) -> str | list[float]:
        numbers = [float(len(text)), 1.0, *[0.0] * (self.dimensions - 2)]
        if encoding == "base64" and self.base64 == "honoured":
            return base64.b64encode(struct.pack(f"<{len(numbers)}f", *numbers)).decode()
        return numbers


@pytest.fixture
def api() -> Iterator[FakeAPI]:
    fake = FakeAPI()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            status, answer = fake.answer(self.rfile.read(int(self.headers["Content-Length"])))
            payload = msgspec.json.encode(answer)
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(payload)))
            self.end_headers()
            self.wfile.write(payload)

        def log_message(self, format: str, *args: Any) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    fake.url = f"http://127.0.0.1:{server.server_port}/v1"
    yield fake
    server.shutdown()
    server.server_close()


@pytest_asyncio.fixture
async def embedder(api: FakeAPI) -> AsyncIterator[Embedder]:
    made = embeddings.create(
        EmbeddingSettings(provider="openai", model="custom", base_url=api.url, dimensions=api.dimensions)
    )
    yield made
    await made.close()


@pytest.fixture(autouse=True)
def _quick_retries() -> Iterator[None]:
    with stamina.set_testing(True, attempts=4, cap=True):
        yield


async def _embed(embedder: Embedder, texts: list[str], is_async: bool) -> embeddings.Vectors:
    return await embedder.embed(texts) if is_async else await asyncio.to_thread(embedder.embed_sync, texts)


@pytest.mark.parametrize("is_async", [True, False])
async def test_many_texts_go_in_batches_and_come_back_in_order(
    api: FakeAPI, embedder: Embedder, is_async: bool
) -> None:
    texts = ["x" * (number % 7 + 1) for number in range(300)]
    vectors = await _embed(embedder, texts, is_async)
    assert [len(request["input"]) for request in api.requests] == [128, 128, 44]
    np.testing.assert_allclose(vectors[:, 0] / vectors[:, 1], [len(text) for text in texts], rtol=1e-4)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-5)


@pytest.mark.parametrize("is_async", [True, False])
@pytest.mark.parametrize("status", [429, 500, 503])
async def test_what_passes_is_tried_again(api: FakeAPI, embedder: Embedder, is_async: bool, status: int) -> None:
    api.statuses = [status, status]
    assert (await _embed(embedder, ["text"], is_async)).shape == (1, 4)
    assert len(api.requests) == 3


@pytest.mark.parametrize("is_async", [True, False])
@pytest.mark.parametrize(("statuses", "requests"), [([500] * 9, 4), ([401], 1)])
async def test_what_does_not_pass_is_unavailable(
    api: FakeAPI, embedder: Embedder, is_async: bool, statuses: list[int], requests: int
) -> None:
    api.statuses = list(statuses)
    with pytest.raises(Unavailable, match="embedding API"):
        await _embed(embedder, ["text"], is_async)
    assert len(api.requests) == requests


@pytest.mark.parametrize("is_async", [True, False])
@pytest.mark.parametrize(
    ("base64", "encodings"),
    [
        ("honoured", ["base64", "base64"]),
        ("ignored", ["base64", "base64"]),
        ("400", ["base64", "float", "float"]),
        ("422", ["base64", "float", "float"]),
    ],
)
async def test_either_encoding_is_read_and_a_refused_one_is_not_asked_for_again(
    api: FakeAPI, embedder: Embedder, is_async: bool, base64: str, encodings: list[str]
) -> None:
    api.base64 = base64
    for _ in range(2):
        vectors = await _embed(embedder, ["abc", "a"], is_async)
        np.testing.assert_allclose(vectors[:, 0] / vectors[:, 1], [3, 1], rtol=1e-5)
    assert [request["encoding_format"] for request in api.requests] == encodings


@pytest.mark.parametrize(
    "answer",
    [
        "text",
        {"error": {"message": "at capacity"}},
        {"data": [{"index": 0, "embedding": "no base64!"}]},
        {"data": [{"index": 0, "embedding": "AAAAAAA="}]},
        {"data": [{"index": 0, "embedding": [1, 2]}, {"index": 1, "embedding": [1]}]},
    ],
)
async def test_an_answer_that_cannot_be_read_is_unavailable(api: FakeAPI, embedder: Embedder, answer: object) -> None:
    api.answers = [answer]
    with pytest.raises(Unavailable, match="cannot be read"):
        await embedder.embed(["text"])


async def test_vectors_of_another_length_are_refused(api: FakeAPI, embedder: Embedder) -> None:
    api.dimensions = 8
    with pytest.raises(Unavailable, match="DIMENSIONS"):
        await embedder.embed(["text"])


async def test_shortened_vectors_are_asked_for_and_named(api: FakeAPI, embedder: Embedder) -> None:
    await embedder.embed(["", "text"])
    assert api.requests[0]["dimensions"] == 4
    assert api.requests[0]["input"] == [" ", "text"]
    assert embedder.name == "openai/custom@4"


def test_the_large_model_is_known() -> None:
    settings = EmbeddingSettings(provider="openai", model="text-embedding-3-large")
    assert embeddings.create(settings).dimensions == 3072


def test_an_unknown_length_must_be_said() -> None:
    with pytest.raises(ValueError, match="PARLEY_EMBEDDINGS__DIMENSIONS"):
        embeddings.create(EmbeddingSettings(provider="openai", model="unheard-of"))
