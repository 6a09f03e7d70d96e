"""An OpenAI-compatible API over real HTTP: batches, order, retries, refusals."""

import asyncio
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import msgspec
import numpy as np
import pytest
import stamina

from packages.core.config import EmbeddingSettings
from packages.core.errors import Unavailable
from packages.rag import embeddings
from packages.rag.embeddings import Embedder


@dataclass
class FakeAPI:
    """Answers with vectors made of the text's length, in reverse order; the first `statuses` are refusals."""

    url: str = ""
    requests: list[dict[str, Any]] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    dimensions: int = 4

    def answer(self, body: bytes) -> tuple[int, dict[str, Any]]:
        request = msgspec.json.decode(body)
        self.requests.append(request)
        if self.statuses:
            return self.statuses.pop(0), {"error": {"message": "no"}}
        rows = [
            {
                "object": "embedding",
                "index": index,
                "embedding": [float(len(text)), 1.0, *[0.0] * (self.dimensions - 2)],
            }
            for index, text in enumerate(request["input"])
        ]
        usage = {"prompt_tokens": 1, "total_tokens": 1}
        return 200, {"object": "list", "model": request["model"], "data": rows[::-1], "usage": usage}


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


@pytest.fixture
def embedder(api: FakeAPI) -> Embedder:
    return embeddings.create(
        EmbeddingSettings(provider="openai", model="custom", base_url=api.url, dimensions=api.dimensions)
    )


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
