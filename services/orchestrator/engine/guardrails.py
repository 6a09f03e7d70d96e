"""The policies on the way in and out of the engine. Plain functions, so that they hold whatever else is loaded.

Each check ends in a verdict: pass, fix (go on with the text it gives), withhold, hand over. The worst one decides. A
check that fails, or takes too long, withholds: what nobody could check does not go out. guardrails-ai comes on top
where it is switched on; until it is loaded nothing is missing.
"""

import asyncio
import importlib
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol
from uuid import UUID

import structlog
from cachetools import LRUCache

from packages.core.domain.tenants import BrandProfile
from packages.rag.documents import Hit
from services.orchestrator.engine import metrics
from services.orchestrator.engine.policies import (
    Finding,
    Verdict,
    brand_rules,
    injection,
    links,
    own_words,
    personal_data,
    profanity,
    promises,
    topics,
)
from services.orchestrator.engine.policies.brand_rules import DEFAULT, BrandRules
from services.orchestrator.engine.prompt import HISTORY_MESSAGES, MESSAGE_CHARACTERS, HistoryMessage

CHECK_SECONDS = 0.25
"""Processor time that one check may take."""
GUARD_SECONDS = 2.0
"""Time that guardrails-ai may take for a reply."""
SEVERITY = (Verdict.PASS, Verdict.FIX, Verdict.WITHHOLD, Verdict.HANDOVER)

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Inspected:
    """What may go to a model: question, history and chunks, redacted; `safe` says whether it may go at all.

    `verdict` is the worst of the findings: withhold and handover end the turn before anything is drafted. `vault` puts
    back what was redacted into what comes from the model.
    """

    question: str
    history: tuple[HistoryMessage, ...]
    hits: tuple[Hit, ...]
    safe: bool
    findings: tuple[Finding, ...]
    verdict: Verdict = Verdict.PASS
    vault: personal_data.Vault = field(default_factory=personal_data.Vault)


@dataclass(frozen=True, slots=True)
class Reviewed:
    """A reply as it may go out, if `verdict` is pass or fix; otherwise nothing goes out."""

    text: str
    verdict: Verdict
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
    question: str,
    history: Sequence[HistoryMessage],
    hits: Sequence[Hit],
    region: str = "US",
    rules: BrandRules = DEFAULT,
) -> Inspected:
    """Check what a customer wrote and what documents say before a model sees it."""
    vault = personal_data.Vault()
    attempt = _judged(_run(injection.CHECK, question, lambda: injection.check(question)), rules.injection)
    abuse = _run(profanity.CHECK, question, lambda: profanity.check(question))
    topic = _run("off_topic", question, lambda: topics.check("off_topic", question, rules.off_topic))
    redacted = _redaction(question, region, rules, vault)
    findings = [attempt, redacted, _judged_abuse(abuse, rules), _judged(topic, rules.off_topic_reaction)]
    documents = [_checked_document(hit) for hit in hits]
    clean = tuple(hit for hit, finding in zip(hits, documents, strict=True) if finding.verdict is Verdict.PASS)
    past = []
    for item in history[-HISTORY_MESSAGES:]:
        finding = _redaction(item.text[:MESSAGE_CHARACTERS], region, rules, vault)
        if finding.verdict is not Verdict.WITHHOLD:
            past.append(HistoryMessage(item.author, finding.text))
    verdict = _worst(findings)
    findings += [finding for finding in documents if finding.verdict is not Verdict.PASS]
    _count(findings)
    safe = attempt.verdict is Verdict.PASS and redacted.verdict is not Verdict.WITHHOLD
    return Inspected(redacted.text, tuple(past), clean, safe, tuple(findings), verdict, vault)


async def review_reply(
    text: str,
    sources: Sequence[str],
    brand: BrandProfile,
    *,
    region: str = "US",
    said: Sequence[str] = (),
    guard: TextGuard | None = None,
) -> Reviewed:
    """Check a reply before it goes out.

    Args:
        text: the reply.
        sources: the texts that it cites.
        brand: whose rules hold, and whose instructions stay secret.
        region: two-letter country of phone numbers without a country code.
        said: what the customer wrote; their own data is no leak.
        guard: guardrails-ai, where it is loaded.
    """
    reviewed = inspect_reply(
        text, sources, region, rules=brand_rules.of(brand), said=said, instructions=brand.instructions
    )
    if guard is None or reviewed.verdict not in {Verdict.PASS, Verdict.FIX}:
        return reviewed
    known = [*sources, *said]
    try:
        fixed = await asyncio.wait_for(asyncio.to_thread(guard.fix, reviewed.text, known, region), GUARD_SECONDS)
    except Exception as error:  # noqa: BLE001 - whatever a validator of others raises: the reply stays unchecked
        log.warning("guardrails_failed", error=type(error).__name__)
        failed = Finding("guardrails_ai", Verdict.WITHHOLD, reviewed.text, ("failed",))
        _count([failed])
        return Reviewed(reviewed.text, Verdict.WITHHOLD, (*reviewed.findings, failed))
    return replace(reviewed, text=fixed)


def inspect_reply(
    text: str,
    sources: Sequence[str],
    region: str = "US",
    *,
    rules: BrandRules = DEFAULT,
    said: Sequence[str] = (),
    instructions: str = "",
) -> Reviewed:
    """The reply as it may go out, and what was found in it. `sources` are the texts that it cites."""
    known = [*sources, *said]
    checks: tuple[tuple[str, Callable[[str], Finding], Verdict], ...] = (
        (own_words.CHECK, lambda now: own_words.check(now, (instructions,), sources), Verdict.WITHHOLD),
        (personal_data.CHECK, lambda now: reply_personal_data(now, known, region), Verdict.FIX),
        (links.CHECK, lambda now: links.check(now, sources, rules.domains), rules.links),
        (promises.CHECK, lambda now: promises.check(now, sources), rules.promises),
        ("competitors", lambda now: topics.check("competitors", now, rules.competitors), rules.competitor_reaction),
        (profanity.CHECK, lambda now: reply_profanity(now, sources, rules.reply_profanity), Verdict.FIX),
    )
    findings = []
    for name, check, reaction in checks:
        finding = _judged(_run(name, text, lambda check=check, now=text: check(now)), reaction)  # type: ignore[misc]
        if finding.verdict is Verdict.PASS:
            continue
        findings.append(finding)
        text = finding.text
    verdict = _worst(findings)
    if verdict is Verdict.FIX and not any(character.isalnum() for character in text):
        verdict = Verdict.WITHHOLD
    _count(findings or [Finding("reply", Verdict.PASS, text)])
    return Reviewed(text, verdict, tuple(findings))


def reply_personal_data(text: str, known: Sequence[str], region: str = "US") -> Finding:
    """Identifiers are taken out, unless a cited source publishes them (a support address) or the customer wrote "
    "them."""
    found = personal_data.spans_of(text, region, personal_data.IDENTIFIERS)
    if not found:
        return Finding(personal_data.CHECK, Verdict.PASS, text)
    published = "\n".join(known)
    digits = "".join(character for character in published if character.isdigit())
    leaks = [span for span in found if not _is_known(text[span[0] : span[1]], published, digits)]
    if not leaks:
        return Finding(personal_data.CHECK, Verdict.PASS, text)
    for start, end, kind in reversed(leaks):
        text = f"{text[:start]}[{kind}]{text[end:]}"
    return Finding(personal_data.CHECK, Verdict.FIX, text, tuple(sorted({kind for _, _, kind in leaks})))


def reply_profanity(text: str, sources: Sequence[str], least: profanity.Level = profanity.Level.MILD) -> Finding:
    """Strong language is masked, unless a cited source uses it. Hate, which has no single word, is withheld."""
    finding = profanity.check(text, least)
    if finding.verdict is Verdict.PASS or profanity.check("\n".join(sources)).verdict is not Verdict.PASS:
        return Finding(profanity.CHECK, Verdict.PASS, text)
    if profanity.Level.HATE in finding.details:
        return replace(finding, verdict=Verdict.WITHHOLD)
    return finding


_documents: LRUCache[UUID, Finding] = LRUCache(1024)
"""What was found in chunks; an id never comes back with another text."""


def _checked_document(hit: Hit) -> Finding:
    found = _documents.get(hit.chunk_id)
    if found is None:
        checked = _run("document_injection", hit.text, lambda: injection.check_document(hit.text))
        found = Finding("document_injection", checked.verdict, hit.text, (str(hit.chunk_id), *checked.details))
        _documents[hit.chunk_id] = found
    return found


def _redaction(text: str, region: str, rules: BrandRules, vault: personal_data.Vault) -> Finding:
    return _run(personal_data.CHECK, text, lambda: personal_data.redact(text, region, kinds=rules.redact, vault=vault))


def _is_known(value: str, published: str, digits: str) -> bool:
    own = "".join(character for character in value if character.isdigit())
    return value in published or (len(own) >= 7 and own in digits)


def _run(name: str, text: str, check: Callable[[], Finding]) -> Finding:
    """The check's finding; WITHHOLD where it fails or takes too long, because then nobody knows."""
    started = time.thread_time()
    try:
        finding = check()
    except Exception as error:  # noqa: BLE001 - whatever a check raises: the text stays unchecked
        log.warning("guardrail_failed", check=name, error=type(error).__name__)
        return Finding(name, Verdict.WITHHOLD, text, ("failed",))
    if time.thread_time() - started > CHECK_SECONDS:
        log.warning("guardrail_slow", check=name)
        return Finding(name, Verdict.WITHHOLD, text, ("slow",))
    return finding


def _judged(finding: Finding, reaction: Verdict) -> Finding:
    """What was found, with what the brand does about it. A check that withheld by itself keeps its word."""
    if finding.verdict is not Verdict.FIX:
        return finding
    return replace(finding, verdict=reaction)


def _judged_abuse(finding: Finding, rules: BrandRules) -> Finding:
    """Strong language of a customer is noted; from the brand's level upwards it has the brand's reaction."""
    worst = next(
        (profanity.ORDER.index(profanity.Level(level)) for level in finding.details if level in profanity.ORDER), -1
    )
    if rules.abuse is Verdict.PASS or worst < profanity.ORDER.index(rules.abuse_level):
        return finding
    return replace(finding, verdict=rules.abuse)


def _worst(findings: Sequence[Finding]) -> Verdict:
    return max((finding.verdict for finding in findings), key=SEVERITY.index, default=Verdict.PASS)


def _count(findings: Sequence[Finding]) -> None:
    for finding in findings:
        metrics.VERDICTS.labels(finding.check, finding.verdict.value).inc()
