"""How well questions that ask for the same come together: gaps, grouped one by one, against intents given by people.

B-cubed precision and recall (Bagga and Baldwin, 1998): for the average question, the share of its group that has its
intent, and the share of its intent that is in its group.
"""

import gzip
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
import numpy as np

from evaluation.datasets import DATA
from evaluation.report import Goal, Report, Table
from packages.core.config import EmbeddingSettings
from packages.rag import embeddings
from packages.rag.embeddings import Embedder
from packages.rag.lexical import query_terms
from services.orchestrator.gaps.clustering import Asked, Group, nearest

PURITY = 0.7
"""A group that mixes questions misleads whoever answers it; one that is split is merely two groups."""


@dataclass(frozen=True, slots=True)
class Labelled:
    """A customer's question with the intent that people gave it."""

    collection: str
    intent: str
    text: str


def labelled() -> dict[str, list[Labelled]]:
    """The questions of each collection, in the order in which they are asked."""
    found: dict[str, list[Labelled]] = defaultdict(list)
    for line in gzip.decompress((DATA / "intents.jsonl.gz").read_bytes()).splitlines():
        row = msgspec.json.decode(line, type=Labelled)
        found[row.collection].append(row)
    return dict(found)


def grouped(embedder: Embedder, texts: Sequence[str]) -> list[int]:
    """The number of each question's group, as the collecting loop would place them."""
    groups: list[Group] = []
    places = []
    for text, vector in zip(texts, embedder.embed_sync(texts), strict=True):
        asked = Asked(text, vector, frozenset(query_terms(text)))
        place = nearest(groups, asked)
        if place is None:
            groups.append(Group.of(asked))
            place = len(groups) - 1
        else:
            groups[place].add(asked)
        places.append(place)
    return places


def b_cubed(groups: Sequence[int], labels: Sequence[str]) -> tuple[float, float]:
    """Precision and recall, in 0..1."""
    of_group, of_label = Counter(groups), Counter(labels)
    together = Counter(zip(groups, labels, strict=True))
    pairs = list(zip(groups, labels, strict=True))
    precision = np.mean([together[pair] / of_group[pair[0]] for pair in pairs])
    recall = np.mean([together[pair] / of_label[pair[1]] for pair in pairs])
    return float(precision), float(recall)


async def evaluate() -> Report:
    """Group each collection and compare the groups with its intents."""
    embedder = embeddings.create(EmbeddingSettings())
    report = Report("Grouping questions that were withheld")
    rows: list[list[str | float | int]] = []
    for name, questions in labelled().items():
        labels = [question.intent for question in questions]
        groups = grouped(embedder, [question.text for question in questions])
        precision, recall = b_cubed(groups, labels)
        rows.append([name, len(questions), len(set(labels)), len(set(groups)), precision, recall])
        report.goals.append(Goal(f"purity of groups, {name}", precision, at_least=PURITY))
    columns = ["collection", "questions", "intents", "groups", "purity (B-cubed precision)", "B-cubed recall"]
    report.tables.append(
        Table("Groups of customers' questions beside the intents that people gave them", columns, rows)
    )
    await embedder.close()
    return report
