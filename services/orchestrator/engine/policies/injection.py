"""Signs that a text tries to become an instruction: prompt injection, jailbreaks, requests for the system prompt.

A finding never blocks an answer. It only keeps the text away from the language model: the extractive answerer, which
obeys nobody, takes the turn.
"""

import re
import unicodedata

from services.orchestrator.engine.policies import Finding, Verdict

CHECK = "injection"

_INSTRUCTIONS = (
    r"(?:instructions?|prompts?|directives?|commands?|orders?|guidelines?|rules|programming|training|constraints?)"
)
_EARLIER = (
    r"(?:previous|prior|above|earlier|preceding|initial|original|former|past|foregoing|existing|current|system|your)"
)
_PATTERNS = {
    "override": [
        rf"\b(?:ignor\w*|disregard\w*|forget|bypass|overrid\w+|skip|drop|discard|neglect|do not follow|"
        rf"don't follow|stop "
        rf"following)\b.{{0,40}}\b{_EARLIER}\b.{{0,30}}\b{_INSTRUCTIONS}\b",
        rf"\b(?:ignor\w*|disregard|forget)\b (?:all|any|every\w*|everything|what)\b.{{0,40}}\b(?:told|said|"
        rf"{_INSTRUCTIONS}|"
        rf"before|above|instructed|know)\b",
        rf"\bnew (?:system )?{_INSTRUCTIONS}\s*:",
    ],
    "role_play": [
        r"\byou are now (?:an? )?(?:\w+ ){0,3}(?:dan|unrestricted|unfiltered|jailbroken|evil|developer mode|root|"
        r"admin)\b",
        r"\b(?:act|behave|pretend|respond|roleplay|role-play)\b.{0,30}\b(?:unrestricted|unfiltered|"
        r"no (?:restrictions|rules|"
        r"limits|filters)|without (?:any )?(?:restrictions|rules|filters|limits)|as (?:dan|root|an evil))\b",
        r"\b(?:jailbr(?:eak|oken)|developer mode|god mode|dan mode|do anything now)\b",
    ],
    "disclosure": [
        r"\b(?:reveal|show|print|repeat|output|display|tell|give|leak|share|write|recite|summari[sz]e|translate|"
        r"encode|list|"
        r"what (?:is|are|was|were))\b.{0,50}\b(?:system (?:prompt|message|instructions?)|(?:your|initial|hidden|secret|"
        r"original) (?:prompt|instructions?|rules|guidelines|directives|secret key)|secret key|"
        r"(?:text|words|everything|instructions) above)\b",
    ],
    "template": [
        r"<\|(?:im_start|im_end|system|user|assistant|endoftext)\|>|\[/?inst\]|<</?sys>>|^\s*#{1,3}\s*(?:system|"
        r"instruction)\b"
        r"|^\s*(?:system|assistant)\s*:\s",
    ],
}
_COMPILED = {
    kind: re.compile("|".join(f"(?:{pattern})" for pattern in patterns), re.IGNORECASE | re.MULTILINE | re.DOTALL)
    for kind, patterns in _PATTERNS.items()
}
_INVISIBLE = re.compile(r"[\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff\U000e0000-\U000e007f]")
_LONGEST = 20_000


def check(text: str) -> Finding:
    """FIX, with the kinds of signs found, where the text looks like an attempt; its text never changes."""
    plain = _INVISIBLE.sub("", unicodedata.normalize("NFKC", text[:_LONGEST]))
    kinds = tuple(kind for kind, pattern in _COMPILED.items() if pattern.search(plain))
    return Finding(CHECK, Verdict.FIX if kinds else Verdict.PASS, text, kinds)


def check_document(text: str) -> Finding:
    """The same for a passage of a document, where talk of passwords and secrets is no sign of anything."""
    finding = check(text)
    kinds = tuple(kind for kind in finding.details if kind != "disclosure")
    return Finding(CHECK, Verdict.FIX if kinds else Verdict.PASS, text, kinds)
