"""How good a ranking is."""

from math import log2

import pytest

from evaluation.measures import ndcg, recall, reciprocal_rank_fusion


@pytest.mark.parametrize(
    ("ranked", "relevant", "expected"),
    [
        (["a", "b"], {"a": 1}, 1.0),
        (["b", "a"], {"a": 1}, 1 / log2(3)),
        (["b"], {"a": 1}, 0.0),
        (["a", "b"], {"a": 1, "b": 2}, (1 + 3 / log2(3)) / (3 + 1 / log2(3))),
        ([], {"a": 1}, 0.0),
        (["a"], {}, 0.0),
    ],
)
def test_ndcg(ranked: list[str], relevant: dict[str, int], expected: float) -> None:
    assert ndcg(ranked, relevant) == pytest.approx(expected)


def test_ndcg_looks_at_the_first_ten() -> None:
    assert ndcg([*"bcdefghijk", "a"], {"a": 1}) == 0.0


def test_recall_is_of_as_many_as_there_can_be() -> None:
    assert recall(["a", "x", "b"], {"a": 1, "b": 1, "c": 1}, 2) == 0.5


def test_two_good_ranks_beat_one_first() -> None:
    assert reciprocal_rank_fusion([["a", "b"], ["c", "b"]])[0] == "b"
