"""BM25 by hand."""

from itertools import chain
from math import log
from uuid import UUID

import numpy as np
import pytest

from packages.rag.bm25 import (
    NO_SCORE,
    CorpusStatistics,
    LexicalScore,
    LexicalScores,
    Place,
    Postings,
    inverse_document_frequency,
    score,
    source_keys,
)

FIRST, SECOND = UUID(int=1 << 127), UUID(int=(1 << 127) + 2)  # the first ends in zeros, which bytes may lose


def postings(*runs: tuple[UUID, int, list[int], list[int], list[int]]) -> Postings:
    """Of runs: source, number of the term, positions, frequencies, lengths."""
    arrays = [
        np.array(list(chain.from_iterable(values)), dtype=np.int32)
        for values in ([run[2] for run in runs], [run[3] for run in runs], [run[4] for run in runs])
    ]
    numbers = np.array([run[1] for run in runs], dtype=np.int64)
    counts = np.array([len(run[2]) for run in runs], dtype=np.int64)
    return Postings(source_keys([run[0] for run in runs]), numbers, counts, *arrays)


def scored(values: dict[Place, int]) -> LexicalScores:
    """Of chunks that hold one term so many times: more is better."""
    runs = [(place[0], 0, [place[1]], [value], [5]) for place, value in values.items()]
    return score(postings(*runs), 1, CorpusStatistics(100, 500))


def of(scores: LexicalScores, place: Place) -> LexicalScore:
    return scores.of([place])[place]


def test_the_score_is_the_formula() -> None:
    found = score(postings((FIRST, 0, [3], [2], [10])), 1, CorpusStatistics(4, 80))
    idf = log(1 + (4 - 1 + 0.5) / 1.5)
    expected = idf * 2 * 2.2 / (2 + 1.2 * (0.25 + 0.75 * 10 / 20))
    assert of(found, (FIRST, 3)).bm25 == pytest.approx(expected)
    assert of(found, (FIRST, 3)).coverage == pytest.approx(1.0)
    assert found.ideal == pytest.approx(idf * 2.2)


def test_terms_add_up_over_sources() -> None:
    found = score(
        postings(
            (FIRST, 0, [0, 1], [1, 1], [5, 5]),
            (SECOND, 0, [0], [1], [5]),
            (FIRST, 1, [1], [1], [5]),
        ),
        2,
        CorpusStatistics(10, 50),
    )
    assert len(found) == 3
    assert of(found, (FIRST, 0)).bm25 == pytest.approx(of(found, (SECOND, 0)).bm25)
    assert of(found, (FIRST, 1)).bm25 > of(found, (FIRST, 0)).bm25
    assert of(found, (FIRST, 1)).coverage == pytest.approx(1.0)


def test_a_term_that_stands_nowhere_lowers_the_coverage() -> None:
    found = score(postings((FIRST, 0, [0], [1], [5])), 2, CorpusStatistics(10, 50))
    assert of(found, (FIRST, 0)).coverage < 0.5


@pytest.mark.parametrize("place", [(FIRST, 1), (FIRST, 9), (SECOND, 0)])
def test_a_chunk_without_a_term_has_no_score(place: Place) -> None:
    found = score(postings((FIRST, 0, [0, 4], [1, 1], [5, 5])), 1, CorpusStatistics(10, 50))
    assert of(found, place) == NO_SCORE


def test_terms_that_stand_nowhere_give_nothing() -> None:
    found = score(postings(), 2, CorpusStatistics(10, 50))
    assert len(found) == 0
    assert found.best(5) == []
    assert found.best(5, frozenset({FIRST})) == []
    assert of(found, (FIRST, 0)) == NO_SCORE


def test_the_best_of_many() -> None:
    count = 5000
    found = score(
        postings((FIRST, 0, list(range(count)), [1] * count, [3] * count), (FIRST, 1, [9], [1], [3])),
        2,
        CorpusStatistics(count, 3 * count),
    )
    assert len(found) == count
    assert found.best(3) == [(FIRST, 9), (FIRST, 0), (FIRST, 1)]


@pytest.mark.parametrize("containing", [0, 1, 50, 100])
def test_idf_is_never_negative(containing: int) -> None:
    assert inverse_document_frequency(100, containing) > 0


def test_best_keeps_to_the_named_sources() -> None:
    scores = scored({(FIRST, 0): 2, (SECOND, 0): 1})
    assert scores.best(5) == [(FIRST, 0), (SECOND, 0)]
    assert scores.best(5, frozenset({SECOND})) == [(SECOND, 0)]
    assert scores.best(5, frozenset()) == []


def test_equal_scores_go_by_the_later_source_and_the_earlier_position() -> None:
    scores = scored({(FIRST, 7): 1, (SECOND, 3): 1, (SECOND, 1): 1, (FIRST, 2): 1})
    assert scores.best(3) == [(SECOND, 1), (SECOND, 3), (FIRST, 2)]


def test_a_term_that_stands_nowhere_raises_what_could_be_reached() -> None:
    one = score(postings((FIRST, 0, [0], [1], [5])), 1, CorpusStatistics(10, 50))
    two = score(postings((FIRST, 0, [0], [1], [5])), 2, CorpusStatistics(10, 50))
    assert two.ideal > one.ideal


@pytest.mark.parametrize(("source", "expected"), [(FIRST, 7), (SECOND, 3), (UUID(int=1 << 126), -1)])
def test_the_last_position_of_a_source(source: UUID, expected: int) -> None:
    scores = scored({(FIRST, 7): 1, (SECOND, 3): 1, (FIRST, 2): 1})
    assert scores.last_positions([source]) == {source: expected}
