"""Which group a question joins."""

import numpy as np
import pytest

from packages.rag.embeddings import Vectors
from services.orchestrator.gaps.clustering import ALIKE, MOST_TERMS, NEARLY_THE_SAME, Asked, Group, nearest


def at(cosine: float) -> Vectors:
    """A vector of length 1 with this cosine to (1, 0)."""
    return np.array([cosine, np.sqrt(1 - cosine**2)], np.float32)


def asked(text: str, cosine: float = 1.0) -> Asked:
    return Asked(text, at(cosine), frozenset(text.split()))


def test_the_first_question_begins_a_group() -> None:
    assert nearest([], asked("refund late")) is None


@pytest.mark.parametrize(
    ("text", "cosine", "joins"),
    [
        ("refund when", ALIKE + 0.01, True),
        ("refund when", ALIKE - 0.01, False),
        ("money back", ALIKE + 0.01, False),
        ("money back", NEARLY_THE_SAME + 0.01, True),
        ("退款 时间", 0.99, False),
        ("", 0.99, True),
    ],
)
def test_likeness_and_shared_terms_decide(text: str, cosine: float, joins: bool) -> None:
    place = nearest([Group.of(asked("refund late"))], asked(text, cosine))
    assert (place == 0) is joins


def test_other_scripts_join_by_their_terms() -> None:
    groups = [Group.of(asked("退款 时间 多久"))]
    assert nearest(groups, asked("退款 时间", 0.9)) == 0
    assert nearest(groups, asked("配送 地址 时间", 0.9)) is None


def test_the_nearest_of_several_wins() -> None:
    groups = [Group.of(asked("refund late", cosine)) for cosine in (0.6, 0.95, 0.8)]
    assert nearest(groups, asked("refund late", 1.0)) == 1


def test_a_group_moves_to_the_mean_of_its_questions() -> None:
    group = Group.of(asked("refund late", 1.0))
    group.add(asked("refund missing", 0.0))
    assert group.count == 2
    assert group.terms == {"refund", "late", "missing"}
    np.testing.assert_allclose(group.centroid, [0.5, 0.5], atol=1e-6)


def test_terms_are_bounded() -> None:
    group = Group.of(asked("refund"))
    for number in range(60):
        group.add(asked(f"a{number} b{number}"))
    assert len(group.terms) == MOST_TERMS
