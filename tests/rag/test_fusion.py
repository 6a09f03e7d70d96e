"""Cosine and BM25 to one score."""

from uuid import UUID

import numpy as np
import pytest

from packages.rag.bm25 import CorpusStatistics, LexicalScores, Place, Postings, score, source_keys
from packages.rag.fusion import LEXICAL, OF_SOURCE, fuse

FIRST, SECOND, THIRD = UUID(int=1), UUID(int=2), UUID(int=3)


def lexical(frequencies: dict[Place, int]) -> LexicalScores:
    """Of a question with one term, which stands so often in these chunks of 5 terms."""
    places = list(frequencies)
    postings = Postings(
        source_keys([source for source, _ in places]),
        np.zeros(len(places), dtype=np.int64),
        np.ones(len(places), dtype=np.int64),
        np.array([position for _, position in places], dtype=np.int32),
        np.array(list(frequencies.values()), dtype=np.int32),
        np.full(len(places), 5, dtype=np.int32),
    )
    return score(postings, 1, CorpusStatistics(100, 500))


NO_TERM = lexical({})


def test_a_lone_chunk_scores_its_cosine_and_its_share_of_the_best_bm25() -> None:
    scores = lexical({(FIRST, 0): 1})
    [fused] = fuse({(FIRST, 0): 0.6}, scores, 0.0, 5)
    share = scores.of([(FIRST, 0)])[(FIRST, 0)].bm25 / scores.ideal
    assert fused.score == pytest.approx((0.6 + LEXICAL * share) / (1 + LEXICAL), abs=1e-6)
    assert fused.dense == 0.6
    assert fused.lexical.coverage == pytest.approx(1.0)


def test_the_best_there_can_be_is_one() -> None:
    [fused] = fuse({(FIRST, 0): 1.0}, lexical({(FIRST, 0): 30_000}), 0.5, 5)
    assert fused.score == pytest.approx(1.0, abs=1e-3)


@pytest.mark.parametrize(("unfamiliarity", "first"), [(0.0, FIRST), (1.0, SECOND)])
def test_words_decide_where_the_embedder_does_not_know_the_language(unfamiliarity: float, first: UUID) -> None:
    fused = fuse({(FIRST, 0): 0.9, (SECOND, 0): 0.2}, lexical({(SECOND, 0): 1}), unfamiliarity, 5)
    assert fused[0].place[0] == first


def test_a_source_that_speaks_of_it_throughout_beats_one_that_mentions_it() -> None:
    throughout = {(FIRST, 0): 0.7, (FIRST, 1): 0.68, (FIRST, 2): 0.66}
    mention = {(SECOND, 0): 0.71, (SECOND, 1): 0.1, (SECOND, 2): 0.1}
    assert [item.place for item in fuse(throughout | mention, NO_TERM, 0.0, 2)] == [(FIRST, 0), (FIRST, 1)]


def test_a_short_source_is_not_punished_for_being_short() -> None:
    long = {(FIRST, position): 0.6 for position in range(3)}
    fused = fuse(long | {(SECOND, 0): 0.6}, NO_TERM, 0.0, 5)
    assert len({item.score for item in fused}) == 1


@pytest.mark.parametrize(
    "seen_elsewhere",
    [{}, {(SECOND, 2): 1}],
    ids=["by the position of a candidate", "by a posting"],
)
def test_chunks_that_are_no_candidates_count_like_the_worst(seen_elsewhere: dict[Place, int]) -> None:
    position = 0 if seen_elsewhere else 2
    fused = fuse({(SECOND, position): 0.6, (THIRD, 0): 0.3}, lexical(seen_elsewhere), 0.0, 5)
    mean = (0.6 + 0.3 + 0.3) / 3
    assert fused[0].score == pytest.approx((0.6 + OF_SOURCE * mean) / (1 + LEXICAL) / (1 + OF_SOURCE), abs=1e-6)


def test_a_chunk_without_a_vector_counts_like_the_farthest() -> None:
    fused = fuse({(FIRST, 0): None, (SECOND, 0): 0.4, (THIRD, 0): 0.2}, NO_TERM, 0.0, 5)
    by_source = {item.place[0]: item for item in fused}
    assert by_source[FIRST].score == by_source[THIRD].score
    assert by_source[FIRST].dense is None


def test_equal_scores_go_by_the_later_source_and_the_earlier_position() -> None:
    cosines: dict[Place, float | None] = {(FIRST, 0): 0.5, (SECOND, 1): 0.5000000001, (SECOND, 0): 0.5}
    assert [item.place for item in fuse(cosines, NO_TERM, 0.0, 2)] == [(SECOND, 0), (SECOND, 1)]


def test_nothing_gives_nothing() -> None:
    assert fuse({}, NO_TERM, 0.0, 5) == []
