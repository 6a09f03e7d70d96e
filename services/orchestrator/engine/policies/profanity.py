"""Strong language: masked in what the bot says, noted in what customers write. English, with common disguises."""

import re

from services.orchestrator.engine.policies import Finding, Verdict

CHECK = "profanity"

_STEMS = (
    r"(?:mother)?f[uv*][ck*]{1,2}\w*|fukc\w*|(?:bull|horse|ape|dip|dog|bat)?sh[i1!*]t(?:s|ty|head\w*|show|hole\w*|ting)?|cunt\w*|"
    r"bitch(?:es|y|ing|ed)?|(?:ass|arse)(?:es|hole\w*|hat|wipe)|(?:dumb|jack|smart|bad|lame|fat|kick|hard)-?ass(?:es|ed)?|ass|"
    r"arse|bastards?|wank(?:er|ers|ing)?|twats?|dick(?:s|head\w*)?|pricks?|bollocks|bellends?|cock(?:s|sucker\w*)|"
    r"goddamn\w*|piss(?:ed|ing|es)?|crap(?:py)?|sluts?|whores?|douche(?:bag\w*)?"
)
_WORD = re.compile(rf"(?<!\w)(?:{_STEMS})(?!\w)", re.IGNORECASE)
_DISGUISES = str.maketrans({"@": "a", "$": "s", "0": "o", "3": "e", "1": "i", "!": "i"})


def check(text: str) -> Finding:
    """FIX where there is any: the finding's text has the words masked but for their first letter."""
    plain = text.translate(_DISGUISES)
    spans = [match.span() for match in _WORD.finditer(plain)]
    fixed = text
    for start, end in reversed(spans):
        fixed = f"{fixed[: start + 1]}{'*' * (end - start - 1)}{fixed[end:]}"
    return Finding(CHECK, Verdict.FIX if spans else Verdict.PASS, fixed, ("strong_language",) if spans else ())
