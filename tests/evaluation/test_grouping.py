"""Groups of questions against labels given by people."""

import pytest

from evaluation.grouping import b_cubed, grouped, labelled
from packages.rag.embeddings.hashing import HashingEmbedder


@pytest.mark.parametrize(
    ("groups", "labels", "precision", "recall"),
    [
        ([0, 0, 1], ["a", "a", "b"], 1.0, 1.0),
        ([0, 1, 2], ["a", "a", "b"], 1.0, 2 / 3),
        ([0, 0, 0], ["a", "a", "b"], 5 / 9, 1.0),
    ],
)
def test_b_cubed(groups: list[int], labels: list[str], precision: float, recall: float) -> None:
    assert b_cubed(groups, labels) == pytest.approx((precision, recall))


def test_the_same_words_come_together() -> None:
    texts = ["Where is my parcel?", "Which card do you take?", "Where is my parcel now?"]
    assert grouped(HashingEmbedder(), texts) == [0, 1, 0]


def test_the_questions_are_there() -> None:
    assert {name: len(questions) for name, questions in labelled().items()} == {"banking77": 600, "clinc150": 600}
