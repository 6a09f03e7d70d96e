"""Every evaluation question put to the extractive answerer, over the same retrieval as in a conversation."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from evaluation import datasets
from evaluation.datasets import Question
from evaluation.laboratory import Form, Laboratory
from packages.rag.documents import Hit, Scope
from packages.rag.retrieval import retrieve_context
from services.orchestrator.engine.extractive import Extract, ExtractiveAnswerer
from services.orchestrator.engine.turn import HITS

ENGLISH = "en"


@dataclass(frozen=True, slots=True)
class Asked:
    """A question, what was retrieved for it, and what the extractive answerer makes of that."""

    question: Question
    setting: str
    hits: Sequence[Hit]
    extract: Extract | None

    @property
    def is_answerable(self) -> bool:
        """Whether an article of the tenant answers it."""
        return bool(self.question.relevant)

    @property
    def confidence(self) -> float:
        """Zero where there was nothing to choose from."""
        return self.extract.confidence if self.extract else 0.0


async def ask(lab: Laboratory, form: Form) -> list[Asked]:
    """All questions, with and without an answer, over articles in one form; a setting is the form's name."""
    scopes = await lab.index(datasets.articles(), form)
    questions = [*datasets.answerable(), *datasets.unanswerable()]
    answerer = ExtractiveAnswerer(lab.knowledge.embedder)
    return [await _ask(lab, answerer, scopes[question.tenant], question, form) for question in questions]


async def ask_across_languages(lab: Laboratory) -> list[Asked]:
    """Questions in other languages over English articles alone: of their own tenant, and of those that have no answer.

    Only questions with a relevant English article count as answerable. Each is also put to the other tenants in turn.
    """
    english = [article for article in datasets.articles() if article.language == ENGLISH]
    scopes = await lab.index(english, "whole")
    known = {article.id for article in english}
    foreign = [item for item in datasets.answerable() if item.language != ENGLISH and known & set(item.relevant)]
    others = sorted(set(scopes) - {item.tenant for item in foreign})
    strangers = [replace(item, tenant=others[number % len(others)], relevant={}) for number, item in enumerate(foreign)]
    answerer = ExtractiveAnswerer(lab.knowledge.embedder)
    return [
        await _ask(lab, answerer, scopes[item.tenant], item, "other languages over English")
        for item in (*foreign, *strangers)
    ]


async def _ask(lab: Laboratory, answerer: ExtractiveAnswerer, scope: Scope, question: Question, setting: str) -> Asked:
    hits = await retrieve_context(lab.knowledge, scope, question.text, limit=HITS)
    return Asked(question, setting, hits, await answerer.answer(question.text, hits))
