"""The policies on the way in and out of the engine. Plain functions, so that they hold whatever else is loaded.

guardrails-ai comes on top where it is switched on; until it is loaded, and should it ever fail to, nothing is missing.
"""

import importlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from cachetools import LRUCache

from packages.rag.documents import Hit
from services.orchestrator.engine import metrics
from services.orchestrator.engine.policies import Finding, Verdict, injection, personal_data, profanity
from services.orchestrator.engine.prompt import HISTORY_MESSAGES, MESSAGE_CHARACTERS, HistoryMessage


@dataclass(frozen=True, slots=True)
class Inspected:
    """What may go to a model: question, history and chunks, redacted; `safe` says whether it may go at all."""

    question: str
    history: tuple[HistoryMessage, ...]
    hits: tuple[Hit, ...]
    safe: bool
    findings: tuple[Finding, ...]


class TextGuard(Protocol):
    """What `validators.ReplyGuard` offers."""

    def fix(self, text: str, sources: Sequence[str], region: str) -> str:
        """The text as it may go out; `sources` are the texts that it cites."""
        ...


def load_reply_guard() -> TextGuard:
    """The guardrails-ai guard over replies. Takes seconds: call it on a thread of its own."""
    # The library reads these when it is imported and used: no thread per validation, no texts kept in memory.
    os.environ.setdefault("GUARDRAILS_RUN_SYNC", "true")
    os.environ.setdefault("GUARD_HISTORY_ENABLED", "false")
    guard: TextGuard = importlib.import_module("services.orchestrator.engine.validators").ReplyGuard()
    return guard


def inspect_input(
    question: str, history: Sequence[HistoryMessage], hits: Sequence[Hit], region: str = "US"
) -> Inspected:
    """Check what a customer wrote and what documents say before a model sees it."""
    attempt = injection.check(question)
    redacted = personal_data.redact(question, region)
    findings = [attempt, redacted, profanity.check(question)]
    clean = []
    for hit in hits:
        finding = _checked_document(hit)
        if finding.verdict is Verdict.PASS:
            clean.append(hit)
        else:
            findings.append(finding)
    past = tuple(_redacted(item, region) for item in history[-HISTORY_MESSAGES:])
    _count(findings)
    return Inspected(redacted.text, past, tuple(clean), attempt.verdict is Verdict.PASS, tuple(findings))


def inspect_reply(text: str, sources: Sequence[str], region: str = "US") -> tuple[str, tuple[Finding, ...]]:
    """The reply as it may go out, and what was found in it. `sources` are the texts that it cites."""
    private = reply_personal_data(text, sources, region)
    strong = reply_profanity(private.text, sources)
    findings = tuple(finding for finding in (private, strong) if finding.verdict is not Verdict.PASS)
    _count(findings or [Finding("reply", Verdict.PASS, text)])
    return strong.text, findings


def reply_personal_data(text: str, sources: Sequence[str], region: str = "US") -> Finding:
    """Personal data is taken out, unless it is all published by a cited source (a support address)."""
    known = "\n".join(sources)
    if all(text[start:end] in known for start, end, _ in personal_data.find(text, region)):
        return Finding(personal_data.CHECK, Verdict.PASS, text)
    return personal_data.redact(text, region)


def reply_profanity(text: str, sources: Sequence[str]) -> Finding:
    """Strong language is masked, unless a cited source uses it."""
    if profanity.check("\n".join(sources)).verdict is not Verdict.PASS:
        return Finding(profanity.CHECK, Verdict.PASS, text)
    return profanity.check(text)


_documents: LRUCache[UUID, Finding] = LRUCache(1024)
"""What was found in chunks; an id never comes back with another text."""


def _checked_document(hit: Hit) -> Finding:
    found = _documents.get(hit.chunk_id)
    if found is None:
        checked = injection.check_document(hit.text)
        found = Finding("document_injection", checked.verdict, hit.text, (str(hit.chunk_id), *checked.details))
        _documents[hit.chunk_id] = found
    return found


def _redacted(message: HistoryMessage, region: str) -> HistoryMessage:
    return HistoryMessage(message.author, personal_data.redact(message.text[:MESSAGE_CHARACTERS], region).text)


def _count(findings: Sequence[Finding]) -> None:
    for finding in findings:
        metrics.VERDICTS.labels(finding.check, finding.verdict.value).inc()
