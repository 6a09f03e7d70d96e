"""How sure it is that the knowledge answers a question: a logistic model over what retrieval knows.

docs/QUALITY.md says how the weights were found and what they give.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from math import exp

from packages.rag.documents import Hit


@dataclass(frozen=True, slots=True)
class Signals:
    """What speaks for an answer. All in 0..1 but the cosines, which may be slightly below 0.

    `dense` is the best chunk's cosine, `passage` the best passage's; `coverage` is the share of the question's idf mass
    in the best chunk, `overlap` the share of its terms in the best passage and its heading.
    """

    dense: float
    passage: float
    coverage: float
    overlap: float

    @classmethod
    def of(cls, hits: Sequence[Hit], likeness: Sequence[float], overlap: float) -> "Signals":
        """From the hits, the cosines of their passages, and the best passage's share of terms."""
        dense = max((hit.dense for hit in hits if hit.dense is not None), default=0.0)
        coverage = max((hit.coverage for hit in hits), default=0.0)
        return cls(dense, max(likeness, default=dense), coverage, overlap)

    def as_dict(self) -> dict[str, float]:
        """For the trace."""
        return {name: round(value, 4) for name, value in asdict(self).items()}


BIAS = -7.0
WEIGHTS = Signals(dense=6.9, passage=1.8, coverage=2.4, overlap=2.0)
"""Fitted for all-MiniLM-L6-v2 on public questions with and without an answer in their corpus; see docs/QUALITY.md."""

THRESHOLD = 0.5
"""Below this an answer is withheld, unless the brand sets a threshold of its own."""


def confidence(signals: Signals) -> float:
    """The chance, in 0..1, that what was found answers the question."""
    values, weights = asdict(signals), asdict(WEIGHTS)
    return 1 / (1 + exp(-(BIAS + sum(weights[name] * values[name] for name in values))))
