"""The policies on the way in and out of the engine. Plain functions, so that they hold whatever else is loaded."""

from collections.abc import Sequence
from dataclasses import dataclass

from packages.rag.documents import Hit
from services.orchestrator.engine import metrics
from services.orchestrator.engine.policies import Finding, Verdict, injection, personal_data
from services.orchestrator.engine.prompt import HistoryMessage


@dataclass(frozen=True, slots=True)
class Inspected:
    """What may go to a model: question, history and chunks, redacted; `safe` says whether it may go at all."""

    question: str
    history: tuple[HistoryMessage, ...]
    hits: tuple[Hit, ...]
    safe: bool
    findings: tuple[Finding, ...]


def inspect_input(
    question: str, history: Sequence[HistoryMessage], hits: Sequence[Hit], region: str = "US"
) -> Inspected:
    """Check what a customer wrote and what documents say before a model sees it."""
    attempt = injection.check(question)
    redacted = personal_data.redact(question, region)
    findings = [attempt, redacted]
    clean = []
    for hit in hits:
        finding = injection.check_document(hit.text)
        if finding.verdict is Verdict.PASS:
            clean.append(hit)
        else:
            findings.append(
                Finding("document_injection", finding.verdict, hit.text, (str(hit.chunk_id), *finding.details))
            )
    past = tuple(HistoryMessage(item.author, personal_data.redact(item.text, region).text) for item in history)
    _count(findings)
    return Inspected(redacted.text, past, tuple(clean), attempt.verdict is Verdict.PASS, tuple(findings))


def inspect_reply(text: str, sources: Sequence[str], region: str = "US") -> Finding:
    """Personal data in a reply is taken out, unless a cited source itself publishes it (a support address)."""
    known = "\n".join(sources)
    leaked = [text[start:end] for start, end, _ in personal_data.find(text, region) if text[start:end] not in known]
    if not leaked:
        finding = Finding("reply_personal_data", Verdict.PASS, text)
    else:
        fixed = personal_data.redact(text, region)
        finding = Finding("reply_personal_data", Verdict.FIX, fixed.text, fixed.details)
    _count([finding])
    return finding


def _count(findings: Sequence[Finding]) -> None:
    for finding in findings:
        metrics.VERDICTS.labels(finding.check, finding.verdict.value).inc()
