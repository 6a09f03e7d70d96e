"""Strong language and hate: masked in what the bot says, noted in what customers write. English, with its disguises.

Levels: mild (crap), strong (most swearing), severe (slurs), hate (hostility to a group of people in one sentence).
What is in quotation marks is somebody else's and counts for nothing. Letters swapped ("fukc"), spaced ("k i l l") or
written as digits ("sh1t") are read as they are meant.
"""

import re
from enum import StrEnum
from functools import lru_cache

from services.orchestrator.engine.policies import Finding, Verdict

CHECK = "profanity"


class Level(StrEnum):
    """From the least to the worst."""

    MILD = "mild"
    STRONG = "strong"
    SEVERE = "severe"
    HATE = "hate"


ORDER = tuple(Level)

_MILD = r"crap(?:py)?|goddamn\w*|piss(?:ed|ing|es)?|arse|bollocks|pricks?|bugger(?:ed|s)?|bloody hell"
_STRONG = (
    r"(?:mother)?f[uv*][ck*]{1,2}\w*|f\*+k?(?:ing|ed|er)?|(?:bull|horse|ape|dip|dog|bat)?sh[i1!*]t(?:s|ty|head\w*|"
    r"show|hole\w*|ting)?|"
    r"cunt\w*|bitch(?:es|y|ing|ed)?|(?:ass|arse)(?:es|hole\w*|hat|wipe)|(?:dumb|jack|smart|bad|lame|fat|kick|"
    r"hard)-?ass(?:es|ed)?|"
    r"ass|bastards?|wank(?:er|ers|ing)?|twats?|dick(?:s|head\w*)?|bellends?|cock(?:s|sucker\w*)|sluts?|whores?|"
    r"douche(?:bag\w*)?|scumbags?|wtf|stfu|gtfo"
)
_SEVERE = (
    r"n[i1]gg(?:er|a|az)s?|k[i1]kes?|sp[i1]cs?|ch[i1]nks?|wetbacks?|rape?fugees?|muzz(?:ie|y|ies)|trann(?:y|ies)|"
    r"pakis?|"
    r"ragheads?|towelheads?|gooks|fagg(?:y|otry)|shemales?|sandn[i1]gg\w+|coons?|retard(?:ed|s)|(?:an?|fucking|"
    r"stupid|such a) retard"
)
_IN_INSULT = r"retard|queers?|fags?|faggots?|dykes?|jihadis?|cripples?|hoes?"
"""Words with an innocent meaning (a queer feeling, a garden hoe): slurs only as somebody's name."""
_INSULT = re.compile(
    rf"\b(?:typical|nothing but an?|too many|you (?:are an? |f\w+ |stupid |dirty |little )?|dirty|filthy|bloody|"
    rf"these|all those) "
    rf"(?P<word>{_IN_INSULT})\b(?! (?:feel|land|tool|break|paper|smok))",
    re.IGNORECASE,
)
_WORDS = {
    level: re.compile(rf"(?<!\w)(?:{stems})(?!\w)", re.IGNORECASE)
    for level, stems in ((Level.MILD, _MILD), (Level.STRONG, _STRONG), (Level.SEVERE, _SEVERE))
}
_INNOCENT = re.compile(
    r"\b(?:dog|labrador|puppies|litter|vet|breed|bark\w*|walks)\b.{0,60}\bbitch|\bbitch\b.{0,60}\b(?:dog|dogs|"
    r"labrador|pupp|litter|"
    r"vet|breed|bark)|\b(?:moby|philip k\.?) dick\b|\bprick (?:test|the)\b|\bdick van\b|\bscunthorpe\b",
    re.IGNORECASE,
)
_DISGUISES = str.maketrans({"@": "a", "$": "s", "0": "o", "3": "e", "1": "i", "!": "i"})
_QUOTED = re.compile(r"[\"“«][^\"“”«»]{2,200}[\"”»]")
_SPACED = re.compile(r"(?<!\w)\w(?: \w){2,}(?!\w)")

_GROUP = re.compile(
    r"\b(?:wom[ae]n|females?|gays?|lesbians?|homosexuals?|trans(?:gender)?(?: people| person| men| women)?|"
    r"muslims?|jews?|jewish|"
    r"christians?|hindus?|black (?:people|person|m[ae]n|wom[ae]n|lives|kids|neck|throats?|guys?)|blacks|"
    r"immigrants?|migrants?|refugees?|"
    r"foreigners?|disabled|asians?|mexicans?|arabs?|africans?|latinos?|gypsies|gypsy|romani?|indians|chinese "
    r"people)\b",
    re.IGNORECASE,
)
_HOSTILE_WORDS = re.findall(
    r"\w+",
    "hate hatred detest despise loathe disdain scorn contempt disgust disgusts disgusted disgusting kill murder stab "
    "torture eradicate exterminate executed execute slaughter die death dead plague cancer scum vermin filth "
    "parasites "
    "uncivilised uncivilized ignorant inferior subhuman sickening fuck fucked bullshit sick rage anger furious "
    "suffer",
)
_HOSTILE = re.compile(
    r"\b(?:hate|detest\w*|despise\w*|loathe?\w*|disdain|scorn|contempt|disgust\w*|kill(?:ing)? (?:all|those|these|"
    r"every|them|the)|murder|"
    r"stab|torture\w*|eradicate\w*|exterminate\w*|execute\w*|slaughter|die|death|dead|plague|cancer|scum|vermin|"
    r"filth|parasites?|"
    r"unciviliz?s?ed|ignorant|inferior|subhuman|makes? me (?:sick|furious|boil|angry)|so much rage|worst|nothing "
    r"worse|worthless|"
    r"can['’]?t stand|n['’]?t worth|get rid of|end every|hurt|suffer|throats?|neck of yours|fuck\w*|bullshit|"
    r"horrible death)\b",
    re.IGNORECASE,
)
_IDIOMS = re.compile(r"\bcan['’]?t stand\b|n['’]t worth\b|\bwithout mercy\b|\bnothing (?:but|worse)\b", re.IGNORECASE)
_NEGATED = re.compile(
    r"\b(?:no|not|never|nobody|without|cannot)\b|n['’]t\b|\bstop (?:the|this)\b|\bwrong to\b|\bagainst\b|"
    r"\b(?:shoes|clothes|toilets?|"
    r"access|parking|sizes?|section|department|wear)\b",
    re.IGNORECASE,
)
_SENTENCE = re.compile(r"[^.!?\n]+")


def _swapped() -> dict[str, str]:
    """Every word that two exchanged neighbouring letters make of a hostile one."""
    found: dict[str, str] = {}
    for word in (*_HOSTILE_WORDS, "shit", "fucking"):
        for at in range(1 if len(word) > 3 else len(word), len(word) - 1):
            variant = word[:at] + word[at + 1] + word[at] + word[at + 2 :]
            found.setdefault(variant, word)
    return {variant: word for variant, word in found.items() if variant not in _HOSTILE_WORDS}


_SWAPPED = _swapped()
_LONG_WORD = re.compile(r"[A-Za-z]{4,}")


@lru_cache(maxsize=256)  # the same reply is looked at by several checks
def check(text: str, least: Level = Level.MILD) -> Finding:
    """FIX where there is any of at least this level: the finding's text has the words masked but for their first "
    "letter.

    `details` are the levels that were found, the worst first. Hate has no word to mask.
    """
    spans = {(start, end): level for start, end, level in _spans(text) if ORDER.index(level) >= ORDER.index(least)}
    fixed = text
    for start, end in sorted(spans, reverse=True):
        fixed = f"{fixed[: start + 1]}{'*' * (end - start - 1)}{fixed[end:]}"
    levels = set(spans.values()) | ({Level.HATE} if is_hate(text) else set())
    details = tuple(level.value for level in reversed(ORDER) if level in levels)
    return Finding(CHECK, Verdict.FIX if details else Verdict.PASS, fixed, details)


def is_hate(text: str) -> bool:
    """Whether a sentence is hostile to a group of people, and does not deny, quote or condemn it."""
    for sentence in _SENTENCE.findall(_meant(_QUOTED.sub(" ", text))):
        if not _GROUP.search(sentence) or not _HOSTILE.search(sentence):
            continue
        if not _NEGATED.search(_IDIOMS.sub(" ", sentence)):
            return True
    return False


def _spans(text: str) -> list[tuple[int, int, Level]]:
    quoted = [match.span() for match in _QUOTED.finditer(text)]
    plain = text.translate(_DISGUISES)
    if _INNOCENT.search(plain):
        return []
    found = [(*match.span(), level) for level, pattern in _WORDS.items() for match in pattern.finditer(plain)]
    found += [(*match.span("word"), Level.SEVERE) for match in _INSULT.finditer(plain)]
    found += [
        (*match.span(), Level.STRONG) for match in _LONG_WORD.finditer(plain) if _is_swapped_swearing(match.group())
    ]
    for match in _SPACED.finditer(plain):
        level = _level_of(match.group().replace(" ", ""))
        if level:
            found.append((*match.span(), level))
    return [span for span in found if not any(start <= span[0] < end for start, end in quoted)]


def _is_swapped_swearing(word: str) -> bool:
    return _SWAPPED.get(word.lower(), "")[:4] in {"fuck", "shit", "bull"}


def _level_of(joined: str) -> Level | None:
    """The level of a word written letter by letter; an article before it may have been joined to it."""
    for word in (joined, joined[1:]):
        if re.fullmatch(_IN_INSULT, word, re.IGNORECASE):
            return Level.SEVERE
        for level in reversed(ORDER[:3]):
            if _WORDS[level].fullmatch(word):
                return level
    return None


def _meant(text: str) -> str:
    """The text with spaced letters joined and swapped ones put right."""
    text = _SPACED.sub(_joined, text.translate(_DISGUISES))
    return _LONG_WORD.sub(lambda match: _SWAPPED.get(match.group().lower(), match.group()), text)


def _joined(match: re.Match[str]) -> str:
    word = match.group().replace(" ", "")
    return f"{word[0]} {word[1:]}" if word[0].lower() in "ai" and _HOSTILE.fullmatch(word[1:]) else word
