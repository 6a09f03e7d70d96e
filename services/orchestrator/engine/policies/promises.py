"""Commitments in a reply (guarantees, refunds, discounts, deadlines) that no cited source makes. Nine languages."""

import re
from collections.abc import Iterator, Sequence

from packages.rag.sentences import sentences
from services.orchestrator.engine.policies import Finding, Verdict

CHECK = "promises"

_COMMITMENT = re.compile(
    r"\b(?:guarante\w+|(?:i|we) promise|promised?|compensat\w+|money[- ]back|(?:full |partial )?refund(?:ed|s)?|"
    r"(?:we|i)(?:['’]ll| will| shall) (?:refund|replace|waive|credit|compensate|pay|send you)|free of charge|for "
    r"free|free gift|"
    r"waived?|discount(?:s|ed)?|voucher|coupon|legally binding|no risk|risk[- ]free|"
    r"garant\w+|prometemos|reembols\w+|descuentos?|gratis|indemniz\w+|rembours\w+|remises?|gratuit\w*|promettons|"
    r"dédommag\w+|"
    r"versprech\w+|rückerstatt\w+|erstatt\w+|rabatt\w*|kostenlos\w*|entschädig\w+|rimbors\w+|sconto|promettiamo|"
    r"descontos?|"
    r"prometemos|korting\w*|terugbetal\w+|iade\w*|indirim\w*|zwrot\w*|rabat\w*)\b|\b\d{1,3} ?(?:%|percent|prozent|"
    r"por ciento|pour cent)|"
    r"\b(?:by|within|until|before) (?:tomorrow|tonight|today|\d{1,3} (?:minutes|hours|days|weeks))\b|退款|保证|"
    r"折扣|返金|保証|割引|환불|보장|할인",
    re.IGNORECASE,
)
_WORD = re.compile(r"\w+")
_STEM = 6


def check(text: str, sources: Sequence[str]) -> Finding:
    """FIX where a sentence commits the brand to what no source says; the finding's text goes without these "
    "sentences."""
    if not _COMMITMENT.search(text):
        return Finding(CHECK, Verdict.PASS, text)
    known = "\n".join(sources).lower()
    found: list[str] = []
    fixed = text
    for sentence in sentences(text):
        missing = list(_unsaid(sentence, known))
        if missing:
            found += missing
            fixed = fixed.replace(sentence, "", 1)
    if not found:
        return Finding(CHECK, Verdict.PASS, text)
    return Finding(CHECK, Verdict.FIX, re.sub(r"\s{2,}", " ", fixed).strip(), tuple(sorted(set(found))))


def _unsaid(sentence: str, known: str) -> Iterator[str]:
    for match in _COMMITMENT.finditer(sentence):
        phrase = match.group().lower()
        stems = [word[:_STEM] for word in _WORD.findall(phrase)]
        if not all(stem in known for stem in stems):
            yield phrase
