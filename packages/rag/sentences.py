"""Where sentences begin and end, in scripts with and without spaces, in lists and in table rows."""

import re

_SHORT = """
mr mrs ms dr prof sr sra jr st vs etc eg ie e.g i.e al approx dept est fig inc ltd co corp no nos vol pp p.m a.m
u.s u.k gov gen rep sen rev jan feb mar apr jun jul aug sep sept oct nov dec z.b d.h bzw ca usw nr str p.ej ej
pág núm m mme mlle ex cf art
"""
_ABBREVIATIONS = frozenset(_SHORT.split())
_END = re.compile(r"[.!?…]+[\"'”’»)\]]*(?=\s)|[。！？｡؟।]+[”’」』）]*|\n+")
_LAST_WORD = re.compile(r"([\w.]+)\.[\"'”’»)\]]*$")
_LIST_NUMBER = re.compile(r"(?:^|\n)\s*\d{1,3}\.$")


def sentences(text: str) -> list[str]:
    """The sentences of a text, verbatim and without the white space between them. A line break ends a sentence."""
    return [text[start:end] for start, end in spans(text)]


def spans(text: str) -> list[tuple[int, int]]:
    """The same as offsets (start, end) into the text, in order and without overlap."""
    found: list[tuple[int, int]] = []
    start = 0
    for match in _END.finditer(text):
        if _is_border(text, start, match):
            _add(found, text, start, match.end())
            start = match.end()
    _add(found, text, start, len(text))
    return found


def _is_border(text: str, start: int, match: re.Match[str]) -> bool:
    mark = match.group()
    if mark.startswith("\n"):
        return True
    if text[text.rfind("\n", 0, match.start()) + 1 :].lstrip().startswith("|"):
        return False  # A row of a table is one statement, whatever its cells hold.
    if not mark.startswith("."):
        return True
    following = text[match.end() :].lstrip()[:1]
    if following.islower():
        return False
    so_far = text[start : match.end()]
    if _LIST_NUMBER.search(so_far):
        return False
    if mark.startswith(".."):
        return True
    word = _LAST_WORD.search(so_far)
    if word is None:
        return True
    last = word.group(1)
    is_initial = len(last) == 1 and last.isupper() and last.isascii()
    return not (is_initial or last.casefold() in _ABBREVIATIONS)


def _add(found: list[tuple[int, int]], text: str, start: int, end: int) -> None:
    piece = text[start:end]
    stripped = piece.strip()
    if stripped:
        begin = start + len(piece) - len(piece.lstrip())
        found.append((begin, begin + len(stripped)))
