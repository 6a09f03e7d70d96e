"""Words that a brand does not want talked about: topics of its choice in messages, competitors in replies."""

import re
from functools import lru_cache

from packages.rag.sentences import sentences
from services.orchestrator.engine.policies import Finding, Verdict


def check(name: str, text: str, listed: tuple[str, ...]) -> Finding:
    """FIX where one of the words or phrases stands in the text; the finding's text goes without those sentences.

    Whole words alone count, in any case; `details` are the entries of the list that were found.
    """
    pattern = _pattern(listed)
    if pattern is None or not pattern.search(text):
        return Finding(name, Verdict.PASS, text)
    found = {match.group().casefold() for match in pattern.finditer(text)}
    kept = [sentence for sentence in sentences(text) if not pattern.search(sentence)]
    return Finding(name, Verdict.FIX, " ".join(kept), tuple(sorted(found)))


@lru_cache(maxsize=512)
def _pattern(listed: tuple[str, ...]) -> re.Pattern[str] | None:
    words = [re.escape(word.strip()).replace(r"\ ", r"\s+") for word in listed if word.strip()]
    return re.compile(rf"(?<!\w)(?:{'|'.join(words)})(?!\w)", re.IGNORECASE) if words else None
