"""The evaluation data as it is kept in `evaluation/data`; SOURCES.md there says where it comes from."""

import gzip
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import msgspec

DATA = Path(__file__).parent / "data"


@dataclass(frozen=True, slots=True, kw_only=True)
class Article:
    """One page of a tenant's knowledge. `text` is the whole of it, `body` the page without its title and headings."""

    id: str
    collection: str
    tenant: str
    language: str
    title: str
    text: str
    body: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What somebody asked a tenant. `relevant` are the articles that answer it, with grades; none: nothing does.

    `answer` is the text that answers, where it is known.
    """

    id: str
    collection: str
    tenant: str
    language: str
    kind: str
    text: str
    answer: str | None
    relevant: dict[str, int]


@cache
def articles() -> tuple[Article, ...]:
    """All articles with any text, in the order of the file."""
    return tuple(
        Article(
            id=row["id"],
            collection=row["collection"],
            tenant=row["tenant"],
            language=row["lang"],
            title=row["title"],
            text=row["text"],
            body=row["text_body"],
        )
        for row in _rows("corpus")
        if row["text_body"].strip()
    )


@cache
def answerable() -> tuple[Question, ...]:
    """Questions that an article of their tenant answers."""
    relevant: defaultdict[str, dict[str, int]] = defaultdict(dict)
    for row in _rows("qrels"):
        relevant[row["query_id"]][row["doc_id"]] = row["relevance"]
    return tuple(_question(row, relevant[row["id"]]) for row in _rows("queries"))


@cache
def unanswerable() -> tuple[Question, ...]:
    """Questions that no article of their tenant answers."""
    return tuple(_question(row, {}) for row in _rows("unanswerable"))


@cache
def samples(name: str) -> tuple[dict[str, Any], ...]:
    """The rows of `attacks`, `benign`, `pii` or `profanity`, as they were published."""
    return tuple(_rows(name))


def _question(row: dict[str, Any], relevant: dict[str, int]) -> Question:
    return Question(
        id=row["id"],
        collection=row["collection"],
        tenant=row["tenant"],
        language=row["lang"],
        kind=row["kind"],
        text=row["text"],
        answer=row.get("answer"),
        relevant=relevant,
    )


def _rows(name: str) -> Iterator[dict[str, Any]]:
    with gzip.open(DATA / f"{name}.jsonl.gz", "rb") as lines:
        for line in lines:
            yield msgspec.json.decode(line)
