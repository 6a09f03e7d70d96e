"""Hits that say the same."""

from uuid import UUID

import pytest

from packages.rag.documents import Hit
from packages.rag.duplicates import distinct

TEXT = (
    "You can send back what you bought within thirty days, as long as you still have the receipt and the box it came in"
)


def hit(number: int, text: str, dense: float | None = 0.5) -> Hit:
    """A hit of a source of its own."""
    return Hit(
        chunk_id=UUID(int=100 + number),
        source_id=UUID(int=number),
        source_version=1,
        position=0,
        title="",
        text=text,
        headings=(),
        page=None,
        kind="text",
        score=1 - number / 10,
        dense=dense,
        bm25=1.0,
        coverage=1.0,
    )


@pytest.mark.parametrize("copy", [TEXT, TEXT.upper(), f"{TEXT}.", f"  {TEXT}"])
def test_the_best_of_the_same_stays_and_knows_the_other(copy: str) -> None:
    [kept] = distinct([hit(1, TEXT), hit(2, copy)], 5)
    assert (kept.text, kept.also_in) == (TEXT, (UUID(int=2),))


@pytest.mark.parametrize(
    "other",
    [
        hit(2, TEXT.replace("thirty days", "one year")),
        hit(2, TEXT[:60]),
        hit(2, f"{TEXT} today", dense=0.6),
    ],
    ids=["says something else", "is much shorter", "is no nearer to the question"],
)
def test_what_differs_stays(other: Hit) -> None:
    assert len(distinct([hit(1, TEXT), other], 5)) == 2


def test_room_is_filled_with_what_is_new() -> None:
    hits = [hit(1, TEXT), hit(2, TEXT), hit(3, "Something else"), hit(4, "Another thing")]
    assert [item.source_id.int for item in distinct(hits, 2)] == [1, 3]


def test_a_source_that_repeats_itself_is_not_named_twice() -> None:
    [kept] = distinct([hit(1, TEXT), hit(1, TEXT), hit(2, TEXT), hit(2, TEXT)], 5)
    assert kept.also_in == (UUID(int=2),)
