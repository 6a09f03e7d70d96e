"""Alike questions together, one at a time: a question joins the group that it is nearest to, or begins one.

Groups keep their ids and only grow, so that what an admin has looked at stays where it was. How alike is enough was
found on intents that others had labelled (docs/QUALITY.md). A shared word guards against models that place all texts
of a script they cannot read in one spot.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from packages.rag.embeddings import Vectors, normalised

ALIKE = 0.58
"""Cosine of a question to a group's centre from which on it joins, if they share a term."""
NEARLY_THE_SAME = 0.7
"""The same without a shared term."""
SHARED_WHERE_UNREADABLE = 0.5
"""Share of the question's terms that the group must hold where the script is not Latin."""
MOST_TERMS = 80

_FLOATS = np.dtype("<f4")
_LETTER = re.compile(r"[^\W\d_]")
_LATIN = re.compile(r"[a-zA-Z\u00c0-\u024f]")


@dataclass(frozen=True, slots=True)
class Asked:
    """A question to place: its words, its vector of length 1 and its terms."""

    text: str
    vector: Vectors
    terms: frozenset[str]


@dataclass(slots=True)
class Group:
    """Questions that ask for the same. `centroid` is the mean of their vectors, `count` how many they are."""

    centroid: Vectors
    terms: set[str]
    count: int

    @classmethod
    def stored(cls, centroid: bytes, terms: Sequence[str], count: int) -> "Group":
        """A group as it was kept."""
        return cls(np.frombuffer(centroid, _FLOATS).astype(np.float32), set(terms), count)

    @classmethod
    def of(cls, asked: Asked) -> "Group":
        """A group of one."""
        return cls(asked.vector.copy(), set(sorted(asked.terms)[:MOST_TERMS]), 1)

    def add(self, asked: Asked) -> None:
        """Let a question join."""
        self.centroid = (self.centroid * self.count + asked.vector) / np.float32(self.count + 1)
        self.count += 1
        for term in sorted(asked.terms - self.terms)[: max(0, MOST_TERMS - len(self.terms))]:
            self.terms.add(term)


def kept(vector: Vectors) -> bytes:
    """A vector as it is stored: bytes are read back many times faster than an array of numbers."""
    return vector.astype(_FLOATS).tobytes()


def nearest(groups: Sequence[Group], asked: Asked) -> int | None:
    """The place of the group that the question belongs to; None where it begins a new one."""
    if not groups:
        return None
    likeness = normalised(np.stack([group.centroid for group in groups])) @ asked.vector
    for index in np.argsort(-likeness)[:10]:
        place = int(index)
        if _belongs(asked, groups[place], float(likeness[place])):
            return place
    return None


def _belongs(asked: Asked, group: Group, likeness: float) -> bool:
    if likeness < ALIKE:
        return False
    shared = len(asked.terms & group.terms) / max(len(asked.terms), 1)
    if not _is_latin(asked.text):
        return shared >= SHARED_WHERE_UNREADABLE
    return shared > 0 or likeness >= NEARLY_THE_SAME


def _is_latin(text: str) -> bool:
    letters = _LETTER.findall(text)
    return not letters or sum(1 for letter in letters if _LATIN.match(letter)) >= len(letters) / 2
