"""Retrieval: does the right article come first? Articles without titles and headings, one brand per tenant."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from evaluation import datasets
from evaluation.datasets import Question
from evaluation.laboratory import Form, Laboratory, laboratory
from evaluation.measures import ndcg, recall, reciprocal_rank_fusion
from evaluation.report import Cell, Goal, Report, Table
from packages.rag.documents import Scope
from packages.rag.lexical import query_terms
from packages.rag.retrieval import embed_question, retrieve_context

DEPTH = 50
ENGINE_READS = 6
"""Hits that an answer is made from."""
FLOOR = 0.77
TOLERANCE = 0.01
BM25, DENSE, RRF, OURS = "BM25", "dense", "rank fusion", "Parley"
SYSTEMS = (BM25, DENSE, RRF, OURS)


@dataclass(frozen=True, slots=True)
class Judged:
    """One question, and the articles that each system ranked for it; `leaks` counts hits of other tenants."""

    question: Question
    rankings: Mapping[str, Sequence[str]]
    leaks: int

    def ndcg(self, system: str) -> float:
        """Of one system's ranking, at 10."""
        return ndcg(self.rankings[system], self.question.relevant)


async def evaluate() -> Report:
    """Everything, with the built-in embedder."""
    async with laboratory() as lab:
        judged = await judge(lab, datasets.answerable(), "body")
        whole = await judge(lab, datasets.answerable(), "whole")
    return report(judged, whole)


async def judge(lab: Laboratory, questions: Sequence[Question], form: Form) -> list[Judged]:
    """Index the articles in this form and ask every question."""
    tenants = {question.tenant for question in questions}
    articles = [article for article in datasets.articles() if article.tenant in tenants]
    scopes = await lab.index(articles, form)
    owner = {article.id: article.tenant for article in articles}
    return [await _ask(lab, scopes[question.tenant], question, owner) for question in questions]


async def _ask(lab: Laboratory, scope: Scope, question: Question, owner: Mapping[str, str]) -> Judged:
    knowledge = lab.knowledge
    vector = await embed_question(knowledge, scope, question.text)
    dense = await knowledge.store.search_dense(scope, vector, DEPTH, embedder=knowledge.embedder.name)
    lexical = await knowledge.store.search_lexical(scope, query_terms(question.text), DEPTH)
    hits = await retrieve_context(knowledge, scope, question.text, limit=DEPTH)
    chunks = reciprocal_rank_fusion(
        [[(match.chunk.id, match.chunk.source_id) for match in side] for side in (dense, lexical)]
    )
    rankings = {
        BM25: lab.ranked_articles([match.chunk.source_id for match in lexical]),
        DENSE: lab.ranked_articles([match.chunk.source_id for match in dense]),
        RRF: lab.ranked_articles([source for _, source in chunks]),
        OURS: lab.ranked_articles([hit.source_id for hit in hits]),
    }
    leaks = sum(owner[article] != question.tenant for ranking in rankings.values() for article in ranking)
    return Judged(question, rankings, leaks)


def report(judged: Sequence[Judged], whole: Sequence[Judged] = ()) -> Report:
    """Tables by collection and language and by kind of question; goals over all, for each set and each language."""
    found = Report("Retrieval")
    by_set = _grouped(judged, lambda item: f"{item.question.collection}, {item.question.language}")
    found.tables.append(_table("nDCG@10 over articles without titles and headings", by_set, judged))
    found.tables.append(_table("The same by kind of question", _grouped(judged, lambda item: item.question.kind)))
    if whole:
        sets = _grouped(whole, lambda item: f"{item.question.collection}, {item.question.language}")
        found.tables.append(_table("nDCG@10 over whole articles", sets, whole))
    reach = fmean(recall(item.rankings[OURS], item.question.relevant, ENGINE_READS) for item in judged)
    found.remarks.append(f"Of the articles that answer, {reach:.1%} are among the first {ENGINE_READS} of Parley's.")
    found.goals.append(Goal("nDCG@10 over all", _mean(judged, OURS), at_least=FLOOR))
    collections = _grouped(judged, lambda item: item.question.collection)
    languages = _grouped(judged, lambda item: item.question.language)
    seen: set[frozenset[str]] = set()
    for name, group in {**by_set, **collections, **languages}.items():
        members = frozenset(item.question.id for item in group)
        if members in seen:
            continue
        seen.add(members)
        best = max(_mean(group, BM25), _mean(group, DENSE))
        found.goals.append(Goal(f"{name}: against the better side", _mean(group, OURS) - best, at_least=-TOLERANCE))
    found.goals.append(Goal("hits of another tenant", sum(item.leaks for item in (*judged, *whole)), at_most=0))
    return found


def _table(title: str, groups: Mapping[str, Sequence[Judged]], everything: Sequence[Judged] = ()) -> Table:
    named = {**groups, "all": everything} if everything else groups
    rows: list[list[Cell]] = [
        [name, len(group), *(_mean(group, system) for system in SYSTEMS)] for name, group in named.items()
    ]
    return Table(title, ["", "questions", *SYSTEMS], rows)


def _grouped(judged: Sequence[Judged], key: Callable[[Judged], str]) -> dict[str, list[Judged]]:
    groups: defaultdict[str, list[Judged]] = defaultdict(list)
    for item in judged:
        groups[key(item)].append(item)
    return dict(sorted(groups.items()))


def _mean(judged: Sequence[Judged], system: str) -> float:
    return fmean(item.ndcg(system) for item in judged)
