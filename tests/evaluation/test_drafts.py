"""Drafts that are wrong in one known way."""

from collections import Counter

import pytest

from evaluation.drafts import TRUE, VERBATIM, WRONG_CITATION, Draft, drafts


@pytest.fixture(scope="module")
def made() -> list[Draft]:
    return list(drafts())


def test_there_are_enough_of_each_kind(made: list[Draft]) -> None:
    counts = Counter(draft.kind for draft in made)
    assert len(counts) == 9
    assert min(counts.values()) > 50


def test_they_are_the_same_each_time(made: list[Draft]) -> None:
    assert [draft.text for draft in drafts()] == [draft.text for draft in made]


def test_true_ones_come_first_and_wrong_ones_differ(made: list[Draft]) -> None:
    true = ""
    for draft in made:
        if draft.kind == TRUE:
            true = draft.text
        elif draft.kind != VERBATIM:
            assert not draft.is_true
            assert draft.text != true


def test_a_wrong_citation_is_all_that_is_wrong(made: list[Draft]) -> None:
    texts = {draft.text for draft in made if draft.kind == TRUE}
    assert {draft.text.replace("[2]", "[1]") for draft in made if draft.kind == WRONG_CITATION} == texts
