"""Both local providers give the same vectors, so an index made by one can be searched by the other."""

import numpy as np
import pytest

from packages.core.config import EmbeddingSettings
from packages.rag import embeddings
from packages.rag.embeddings import weights
from packages.rag.embeddings.sentence_transformers import SentenceTransformersEmbedder
from tests.factories.knowledge import DOCUMENTS


@pytest.fixture(scope="session")
def original() -> SentenceTransformersEmbedder:
    """The published model, from the very weights that the graph was built from."""
    return SentenceTransformersEmbedder(str(weights.model_source()))


def test_vectors_equal_those_of_the_onnx_graph(original: SentenceTransformersEmbedder) -> None:
    texts = [path.read_text()[:1500] for path in sorted(DOCUMENTS.glob("*.md"))]
    texts += ["How do I reset my password?", "a", "", "¿Cómo cambio mi número?", "密码 重置"]
    ours = embeddings.create(EmbeddingSettings(), weights.ensure().parent).embed_sync(texts)
    theirs = original.embed_sync(texts)
    assert np.min(np.sum(ours * theirs, axis=1)) >= 0.9999


def test_tokens_are_counted_alike(original: SentenceTransformersEmbedder) -> None:
    ours = embeddings.create(EmbeddingSettings(), weights.ensure().parent)
    texts = ["How do I reset my password?", "", "unbelievable " * 400]
    assert ours.count_tokens(texts) == original.count_tokens(texts)
