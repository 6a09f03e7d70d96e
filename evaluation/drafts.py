"""Drafts of a model that does not exist: true answers of people, and the same with one thing made wrong.

The true ones are sentences that annotators wrote as answers to a passage (CLAP NQ), in their own words. The wrong ones
are made from them by rule, so that it is known what is wrong with each.
"""

import random
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from uuid import uuid4

from evaluation import datasets
from packages.rag.documents import Hit
from packages.rag.sentences import sentences

SEED = 4
OTHERS = 3
"""Chunks of other articles that the model has read too."""
FEWEST_WORDS = 4

_NUMBER = re.compile(r"\d+")
_NAME = re.compile(r"(?<=[a-z] )[A-Z][a-z]{3,}")
_VERB = re.compile(r"\b(?:is|are|was|were|can|will|has|had|does|do|could|must)\b(?P<no> not\b)?")
_CLAUSE = re.compile(r"[,;.]\s")


@dataclass(frozen=True, slots=True)
class Draft:
    """One sentence as a model could write it, the chunks it has read, and what is wrong with it; nothing if true.

    The first of `hits` is the one that the true sentence rests on.
    """

    kind: str
    text: str
    hits: tuple[Hit, ...]

    @property
    def is_true(self) -> bool:
        """Whether it should go out."""
        return self.kind in {TRUE, VERBATIM}


TRUE, VERBATIM, WRONG_CITATION = "true, in other words", "true, verbatim", "citation of the wrong chunk"


def drafts() -> Iterator[Draft]:
    """All of them, the same each time."""
    chance = random.Random(SEED)  # noqa: S311 - to choose test data
    passages = {
        article.id: _hit(article.body, article.title)
        for article in datasets.articles()
        if article.collection == "clapnq"
    }
    names = sorted({name for hit in passages.values() for name in _NAME.findall(hit.text)})
    for question in datasets.answerable():
        own = next((passages[article] for article in question.relevant if article in passages), None)
        if own is None or not question.answer:
            continue
        hits = (own, *chance.sample([hit for hit in passages.values() if hit is not own], OTHERS))
        for sentence in sentences(question.answer):
            if len(sentence.split()) >= FEWEST_WORDS:
                yield from _of(sentence, hits, names, chance)
        for sentence in sentences(own.text)[:2]:
            yield Draft(VERBATIM, _cited(sentence, 1), hits)


def _of(sentence: str, hits: tuple[Hit, ...], names: Sequence[str], chance: random.Random) -> Iterator[Draft]:
    yield Draft(TRUE, _cited(sentence, 1), hits)
    yield Draft(WRONG_CITATION, _cited(sentence, 2), hits)
    here = [name for name in _NAME.findall(hits[0].text) if name not in sentence]
    changes: dict[str, Callable[[], str | None]] = {
        "number changed": lambda: _replaced(
            _NUMBER, sentence, lambda old: str(int(old) + chance.randint(1, 9)), chance
        ),
        "name of another article": lambda: _replaced(_NAME, sentence, lambda _: chance.choice(names), chance),
        "name of the same passage": lambda: (
            _replaced(_NAME, sentence, lambda _: chance.choice(here), chance) if here else None
        ),
        "negated": lambda: _negated(sentence),
        "plausible addition": lambda: _added(sentence, hits[1], chance),
        "made of two chunks": lambda: _mixed(sentence, hits[1], chance),
    }
    for kind, change in changes.items():
        changed = change()
        if changed is not None and changed != sentence:
            yield Draft(kind, _cited(changed, 1), hits)


def _replaced(pattern: re.Pattern[str], sentence: str, new: Callable[[str], str], chance: random.Random) -> str | None:
    found = list(pattern.finditer(sentence))
    if not found:
        return None
    match = chance.choice(found)
    return sentence[: match.start()] + new(match.group()) + sentence[match.end() :]


def _another(number: str, chance: random.Random) -> str:
    return str(int(number) + chance.randint(1, 9))


def _negated(sentence: str) -> str | None:
    match = _VERB.search(sentence)
    if match is None:
        return None
    if match["no"]:
        return sentence[: match.start("no")] + sentence[match.end() :]
    return f"{sentence[: match.end()]} not{sentence[match.end() :]}"


def _added(sentence: str, other: Hit, chance: random.Random) -> str | None:
    clauses = [part for part in _CLAUSE.split(other.text) if 4 <= len(part.split()) <= 10]
    return f"{sentence.rstrip('. ')}, and {chance.choice(clauses)}." if clauses else None


def _mixed(sentence: str, other: Hit, chance: random.Random) -> str | None:
    own, foreign = sentence.rstrip(".").split(), chance.choice(sentences(other.text)).split()
    if min(len(own), len(foreign)) < 2 * FEWEST_WORDS:
        return None
    return " ".join([*own[: len(own) // 2], *foreign[len(foreign) // 2 :]])


def _cited(sentence: str, number: int) -> str:
    return f"{sentence.rstrip('. ')} [{number}]."


def _hit(text: str, title: str) -> Hit:
    return Hit(
        chunk_id=uuid4(),
        source_id=uuid4(),
        source_version=1,
        position=0,
        title=title,
        text=text,
        headings=(),
        page=None,
        kind="text",
        score=1.0,
        dense=None,
        bm25=0.0,
        coverage=0.0,
    )
