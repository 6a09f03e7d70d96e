"""The bot's own instructions, or what they keep secret, in a reply."""

import re
from collections.abc import Sequence
from functools import lru_cache

from services.orchestrator.engine.policies import Finding, Verdict

CHECK = "own_words"

SPAN = 8
"""So many words in a row are no coincidence."""
_WORD = re.compile(r"\w+")
_SENTENCE = re.compile(r"[^.!?\n]+[.!?\n]?")
_SECRECY = re.compile(
    r"\b(?:secret|confidential|password is|passcode|api key|do(?:n['’]?t| not) (?:\w+ )?(?:reveal|share|"
    r"disclose|tell|mention)|"
    r"never (?:\w+ )?(?:reveal|share|disclose|tell|mention))\b",
    re.IGNORECASE,
)
_VALUE = re.compile(r"['\"“‘]([^'\"”’\n]{3,60})['\"”’]|\b(?=\w*\d)(?=\w*[A-Za-z])\w{5,40}\b|\b[\w.+-]+@[\w.-]+\w\b")


def check(text: str, instructions: Sequence[str], sources: Sequence[str]) -> Finding:
    """WITHHOLD where a reply repeats the instructions at length or tells a value that they keep secret.

    What a cited source says too is no secret.
    """
    known = "\n".join(sources)
    passages, values = _kept(tuple(instructions))
    kinds = []
    if passages & _passages(text) - _passages(known):
        kinds.append("instructions")
    if any(
        re.search(rf"(?<!\w){re.escape(value)}(?!\w)", text, re.IGNORECASE) for value in values if value not in known
    ):
        kinds.append("secret")
    return Finding(CHECK, Verdict.WITHHOLD if kinds else Verdict.PASS, text, tuple(kinds))


@lru_cache(maxsize=512)
def _kept(instructions: tuple[str, ...]) -> tuple[frozenset[tuple[str, ...]], tuple[str, ...]]:
    """The passages of the instructions, and the values in and next to sentences that ask for secrecy."""
    passages = frozenset().union(*(_passages(text) for text in instructions))
    values: set[str] = set()
    for text in instructions:
        parts = _SENTENCE.findall(text)
        for number, part in enumerate(parts):
            if any(_SECRECY.search(near) for near in parts[max(0, number - 1) : number + 2]):
                values |= {match[1] or match[0] for match in _VALUE.finditer(part)}
    return passages, tuple(sorted(values))


def _passages(text: str) -> frozenset[tuple[str, ...]]:
    words = [word.lower() for word in _WORD.findall(text)]
    return frozenset(zip(*(words[offset:] for offset in range(SPAN)), strict=False))
