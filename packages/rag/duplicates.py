"""Hits that say the same: the best of them stays, and knows where else it stands."""

import re
from collections.abc import Sequence
from dataclasses import replace

from packages.rag.documents import Hit
from packages.rag.lexical import fold

SHINGLE = 4
"""Words in a row that are compared."""
ALIKE = 0.97
"""Share of the shingles of both that they have in common (Broder, 1997), from which on two texts are the same."""
_WORD = re.compile(r"\w+")
NEAR, LENGTHS = 0.03, 0.8
"""Texts whose cosines to the question or whose lengths differ by more cannot be so alike, and are not compared."""


def distinct(hits: Sequence[Hit], limit: int) -> list[Hit]:
    """The first `limit` hits of which no two say the same; those left out are in `also_in` of the one that stays."""
    kept: list[Hit] = []
    for hit in hits:
        row = next((row for row, other in enumerate(kept) if _same(hit, other)), None)
        if row is None:
            kept.append(hit)
        elif hit.source_id != kept[row].source_id and hit.source_id not in kept[row].also_in:
            kept[row] = replace(kept[row], also_in=(*kept[row].also_in, hit.source_id))
    return kept[:limit]


def _same(one: Hit, other: Hit) -> bool:
    if one.text == other.text:
        return True
    if one.dense is not None and other.dense is not None and abs(one.dense - other.dense) > NEAR:
        return False
    if min(len(one.text), len(other.text)) < LENGTHS * max(len(one.text), len(other.text)):
        return False
    first, second = _shingles(one.text), _shingles(other.text)
    return len(first & second) >= ALIKE * len(first | second)


def _shingles(text: str) -> frozenset[tuple[str, ...]]:
    words = _WORD.findall(fold(text))
    return frozenset(tuple(words[start : start + SHINGLE]) for start in range(max(1, len(words) - SHINGLE + 1)))
