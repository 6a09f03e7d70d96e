"""Vectors that outlive a run."""

from pathlib import Path

import numpy as np

from evaluation.remembered import RememberingEmbedder
from packages.rag.embeddings.hashing import HashingEmbedder


async def test_a_text_is_embedded_once_over_all_runs(tmp_path: Path) -> None:
    inner = HashingEmbedder(16)
    with RememberingEmbedder.opened(inner, tmp_path) as first:
        vectors = await first.embed(["one", "two", "one"])
        assert inner.texts_embedded == 2
    with RememberingEmbedder.opened(inner, tmp_path) as second:
        np.testing.assert_array_equal(await second.embed(["two", "one"]), vectors[[1, 0]])
        assert second.embed_sync([]).shape == (0, 16)
    assert inner.texts_embedded == 2
