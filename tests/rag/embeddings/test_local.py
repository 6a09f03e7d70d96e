"""The local model: its vectors, its limits, and what it says when it is not there."""

from pathlib import Path

import numpy as np
import pytest

from packages.core.config import EmbeddingSettings
from packages.rag import embeddings
from packages.rag.embeddings import Embedder, MissingModel, weights


@pytest.fixture(scope="module")
def embedder() -> Embedder:
    return embeddings.create(EmbeddingSettings(), weights.ensure().parent)


def test_like_means_near(embedder: Embedder) -> None:
    vectors = embedder.embed_sync(["How do I reset my password?", "I forgot my login secret", "Duck soup recipe"])
    assert vectors[0] @ vectors[1] > 0.5 > vectors[0] @ vectors[2] + 0.2


def test_vectors_have_length_one_and_the_order_of_their_texts(embedder: Embedder) -> None:
    texts = ["a long text " * 30, "short", "", "middle sized text " * 5] * 20
    together = embedder.embed_sync(texts)
    assert together.shape == (80, embedder.dimensions)
    assert together.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1.0, atol=1e-5)
    for row in range(4):
        np.testing.assert_allclose(together[row], embedder.embed_sync([texts[row]])[0], atol=1e-5)


def test_no_texts_give_no_rows(embedder: Embedder) -> None:
    assert embedder.embed_sync([]).shape == (0, 384)
    assert embedder.count_tokens([]) == []


async def test_async_gives_the_same(embedder: Embedder) -> None:
    np.testing.assert_array_equal(await embedder.embed(["One text."]), embedder.embed_sync(["One text."]))


def test_tokens_beyond_the_limit_do_not_matter(embedder: Embedder) -> None:
    base = "word " * embedder.max_tokens
    vectors = embedder.embed_sync([base, base + "entirely different tail about ducks"])
    np.testing.assert_allclose(vectors[0], vectors[1], atol=1e-6)


def test_a_missing_model_names_the_command(tmp_path: Path) -> None:
    with pytest.raises(MissingModel, match=r"packages\.rag\.embeddings\.weights"):
        embeddings.create(EmbeddingSettings(), tmp_path)


def test_weights_of_another_model_are_refused(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"not the model")
    with pytest.raises(MissingModel, match="sha256"):
        weights._check(tmp_path / "model.safetensors")
