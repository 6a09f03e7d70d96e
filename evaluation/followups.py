"""Questions that lean on the conversation: are they understood as if they had been asked in full?"""

from dataclasses import dataclass
from statistics import fmean
from uuid import UUID

import msgspec

from evaluation import datasets
from evaluation.laboratory import Laboratory, laboratory
from evaluation.measures import recall
from evaluation.report import Cell, Goal, Report, Table
from packages.rag.documents import Scope
from packages.rag.retrieval import retrieve_context

HITS = 6
FLOOR = 0.6


@dataclass(frozen=True, slots=True)
class FollowUp:
    """What a customer said before, the question that leans on it, and the `target`: the same question in full."""

    tenant: str
    history: tuple[str, ...]
    text: str
    target: str


def followups() -> list[FollowUp]:
    """All of them; written for this project, over the articles of the other sets."""
    lines = (datasets.DATA / "followups.jsonl").read_bytes().splitlines()
    return [msgspec.json.decode(line, type=FollowUp) for line in lines]


async def evaluate() -> Report:
    """Everything, with the built-in embedder."""
    asked = followups()
    tenants = {item.tenant for item in asked}
    async with laboratory() as lab:
        articles = [item for item in datasets.articles() if item.tenant in tenants and item.language == "en"]
        scopes = await lab.index(articles, "whole")
        return await judge(lab, scopes, asked)


async def judge(lab: Laboratory, scopes: dict[str, Scope], asked: list[FollowUp]) -> Report:
    """What share of the hits of the full question the leaning one finds, alone and with the conversation."""
    alone, informed = [], []
    for item in asked:
        wanted = dict.fromkeys(await _hits(lab, scopes[item.tenant], item.target, ()), 1)
        alone.append(recall(await _hits(lab, scopes[item.tenant], item.text, ()), wanted, HITS))
        informed.append(recall(await _hits(lab, scopes[item.tenant], item.text, item.history), wanted, HITS))
    rows: list[list[Cell]] = [["the question alone", fmean(alone)], ["with the conversation", fmean(informed)]]
    title = f"Hits of the full question among the first {HITS}, of {len(asked)} questions that lean on another"
    report = Report("Follow-up questions", [Table(title, ["", "found"], rows)])
    report.goals.append(Goal("with the conversation", fmean(informed), at_least=FLOOR))
    return report


async def _hits(lab: Laboratory, scope: Scope, question: str, history: tuple[str, ...]) -> list[UUID]:
    hits = await retrieve_context(lab.knowledge, scope, question, limit=HITS, history=history)
    return [hit.chunk_id for hit in hits]
