"""BM25 by hand, and ranks from several lists."""

from math import log
from uuid import UUID

import pytest

from packages.rag.bm25 import CorpusStatistics, LexicalScore, Posting, best, inverse_document_frequency, score
from packages.rag.fusion import fuse

FIRST, SECOND = UUID(int=1), UUID(int=2)


def test_the_score_is_the_formula() -> None:
    found = score([Posting(FIRST, "refund", [3], [2], [10])], ["refund"], CorpusStatistics(4, 80))
    idf = log(1 + (4 - 1 + 0.5) / 1.5)
    expected = idf * 2 * 2.2 / (2 + 1.2 * (0.25 + 0.75 * 10 / 20))
    assert found[(FIRST, 3)].bm25 == pytest.approx(expected)
    assert found[(FIRST, 3)].coverage == pytest.approx(1.0)


def test_terms_add_up_over_sources() -> None:
    postings = [
        Posting(FIRST, "refund", [0, 1], [1, 1], [5, 5]),
        Posting(SECOND, "refund", [0], [1], [5]),
        Posting(FIRST, "card", [1], [1], [5]),
    ]
    found = score(postings, ["refund", "card"], CorpusStatistics(10, 50))
    assert set(found) == {(FIRST, 0), (FIRST, 1), (SECOND, 0)}
    assert found[(FIRST, 0)].bm25 == pytest.approx(found[(SECOND, 0)].bm25)
    assert found[(FIRST, 1)].bm25 > found[(FIRST, 0)].bm25
    assert found[(FIRST, 1)].coverage == pytest.approx(1.0)


def test_more_chunks_than_the_first_array_holds() -> None:
    count = 5000
    postings = [Posting(FIRST, "a", list(range(count)), [1] * count, [3] * count), Posting(FIRST, "b", [9], [1], [3])]
    found = score(postings, ["a", "b"], CorpusStatistics(count, 3 * count))
    assert len(found) == count
    assert best(found, 1) == [(FIRST, 9)]


@pytest.mark.parametrize("containing", [0, 1, 50, 100])
def test_idf_is_never_negative(containing: int) -> None:
    assert inverse_document_frequency(100, containing) > 0


def test_best_keeps_to_the_named_sources() -> None:
    scores = {(FIRST, 0): LexicalScore(2.0, 1.0), (SECOND, 0): LexicalScore(1.0, 1.0)}
    assert best(scores, 5) == [(FIRST, 0), (SECOND, 0)]
    assert best(scores, 5, frozenset({SECOND})) == [(SECOND, 0)]
    assert best(scores, 5, frozenset()) == []


class TestFuse:
    def test_first_everywhere_has_one_and_second_less(self) -> None:
        fused = fuse([[(FIRST, 0), (SECOND, 0)], [(FIRST, 0)]], 5)
        assert [place for place, _ in fused] == [(FIRST, 0), (SECOND, 0)]
        assert [score for _, score in fused] == pytest.approx([1.0, 61 / 62 / 2])

    def test_two_good_ranks_beat_one_first(self) -> None:
        fused = fuse([[(FIRST, 0), (SECOND, 0)], [(FIRST, 1), (SECOND, 0)]], 1)
        assert fused[0][0] == (SECOND, 0)

    def test_nothing_gives_nothing(self) -> None:
        assert fuse([[], []], 5) == []
