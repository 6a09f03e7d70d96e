"""How little a model knows a language."""

import pytest

from packages.core.config import EmbeddingSettings
from packages.rag import embeddings
from packages.rag.embeddings.word_pieces import unfamiliarity


@pytest.mark.parametrize(
    ("pieces", "expected"),
    [
        ([], 0.0),
        (["how", "do", "i", "sign", "in"], 0.0),
        (["el", "##im", "##ina", "##r"], 1.0),
        (["a", "b", "c", "d", "e", "##f", "##g", "##h"], (3 / 8 - 0.15) / 0.45),
        (["如", "何"], 1.0),
        (["[UNK]", "a"], (0.5 - 0.15) / 0.45),
    ],
)
def test_broken_words_tell(pieces: list[str], expected: float) -> None:
    assert unfamiliarity(pieces, 30_522) == pytest.approx(expected)


def test_a_large_vocabulary_knows_every_language() -> None:
    assert unfamiliarity(["如", "何"], 119_547) == 0.0


@pytest.mark.parametrize(
    ("question", "low", "high"),
    [
        ("How do I change the phone number of my account?", 0.0, 0.1),
        ("¿Cómo puedo cambiar el número de teléfono de mi cuenta?", 0.2, 1.0),
        ("如何更改我的电话号码?", 0.9, 1.0),
    ],
)
def test_the_built_in_model_knows_english(question: str, low: float, high: float) -> None:
    assert low <= embeddings.create(EmbeddingSettings()).unfamiliarity(question) <= high
