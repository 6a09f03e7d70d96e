"""Signs that a text tries to become an instruction: prompt injection, jailbreaks, requests for the system prompt.

A finding never blocks an answer. It only keeps the text away from the language model: the extractive answerer, which
obeys nobody, takes the turn.
"""

import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache

from packages.rag.sentences import sentences
from services.orchestrator.engine.policies import Finding, Verdict
from services.orchestrator.engine.policies.injection_signs import LATIN, LOST, OTHER

CHECK = "injection"


def _compiled(signs: dict[str, list[str]]) -> dict[str, re.Pattern[str]]:
    """One expression per kind. Normalised as the texts are: some letters of Thai and Hindi are written in two "
    "ways."""
    return {
        kind: re.compile(
            unicodedata.normalize("NFKC", "|".join(f"(?:{pattern})" for pattern in patterns)),
            re.IGNORECASE | re.MULTILINE | re.DOTALL,
        )
        for kind, patterns in signs.items()
    }


_LATIN = _compiled(LATIN)
_OTHER = _compiled(OTHER)
_LOST = re.compile(unicodedata.normalize("NFKC", LOST), re.IGNORECASE)
_OTHER_SCRIPT = re.compile(r"[\u0370-\u1fff\u3040-\ud7ff]")
_INVISIBLE = re.compile(r"[\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff\U000e0000-\U000e007f]")
_LONGEST = 4000
_TOLD_IN_DOCUMENTS = frozenset({"override", "role_play", "template"})


@lru_cache(maxsize=256)  # a turn asks again of the same few texts
def check(text: str) -> Finding:
    """FIX, with the kinds of signs found, where the text looks like an attempt; its text never changes."""
    plain = _INVISIBLE.sub("", unicodedata.normalize("NFKC", text[:_LONGEST]))
    kinds = tuple(_kinds(plain))
    return Finding(CHECK, Verdict.FIX if kinds else Verdict.PASS, text, kinds)


def _kinds(plain: str) -> Iterator[str]:
    other = _OTHER_SCRIPT.search(plain) is not None
    for kind, pattern in _LATIN.items():
        if pattern.search(plain) or (other and _in_other_script(kind, plain)):
            yield kind


def _in_other_script(kind: str, plain: str) -> bool:
    pattern = _OTHER.get(kind)
    if pattern is None or not pattern.search(plain):
        return False
    return kind != "disclosure" or not _LOST.search(plain)


def harmless_part(text: str) -> str:
    """The sentences without such signs, to search by; the whole text if none is left."""
    if check(text).verdict is Verdict.PASS:
        return text
    left = [sentence for sentence in sentences(text) if check(sentence).verdict is Verdict.PASS]
    return " ".join(left) or text


def check_document(text: str) -> Finding:
    """The same for a passage of a document, where talk of passwords and secrets is no sign of anything."""
    finding = check(text)
    kinds = tuple(kind for kind in finding.details if kind in _TOLD_IN_DOCUMENTS)
    return Finding(CHECK, Verdict.FIX if kinds else Verdict.PASS, text, kinds)
