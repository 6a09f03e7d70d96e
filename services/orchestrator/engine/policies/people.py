"""Names of people and postal addresses, by how they are written and by the words around them. No model.

A name is only found where something says that it is one: a cue before or after it ("my name is", "Mr.", "shouted at"),
an initial between two capitalised words, or a line of its own above an address or a telephone number. An address is a
run of address-like words (numbers, capitalised words, street words) that a street word, a unit or a cue vouches for.
"""

import re
from collections.abc import Iterator

Span = tuple[int, int, str]

PERSON, ADDRESS = "person", "address"

_UPPER = r"[^\W\d_a-zà-öø-ÿ]"
_LETTERS = r"[^\W\d_]"
_NAME = rf"{_UPPER}(?:{_LETTERS}|['’](?!s\b)|-(?={_LETTERS}))+"
_FULL = rf"{_NAME}(?: {{1,2}}{_UPPER}\.?(?= {{1,2}}{_UPPER}))?(?: {{1,2}}{_NAME}){{0,2}}"
_ANY_CASE = rf"{_LETTERS}[\w'’-]+(?: {_LETTERS}\.?(?= ))?(?: {_LETTERS}[\w'’-]+){{0,2}}"
_NO_NAME = re.compile(
    r"(?:Mr|Mrs|Ms|Miss|Dr|Prof|I|Is|It|The|This|That|What|When|Where|Who|Why|How|Can|Could|Do|Does|Did|My|We|You|"
    r"Your|Our|They|He|She|"
    r"There|Here|"
    r"Hello|Hi|Hey|Dear|Thanks|Thank|Please|Bot|User|Agent|Team|All|Everyone|Sir|Madam|Support|Customer|Service|"
    r"Not|No|Yes|"
    r"Ok|And|But|For|From|With|Bank|Card|Account|Order|Sorry|Just|Still|Very|Going|Trying|Looking|Interested|"
    r"Unable|Having|"
    r"Good|Morning|Afternoon|Evening|Google|Amazon|Apple|Visa|PayPal|Mastercard|American|Phone|Mobile|Desk|Fax|"
    r"Address|"
    r"Date|Name|Email|Mail|E-mail|Website|Note|Example|Question|Answer|If|In|On|At|Are|Will|Would|Should|Which|"
    r"Also|Then|"
    r"United|North|South|New|Los|San|Saint|Login|Sign|Personal|Info|Monday|Tuesday|Wednesday|Thursday|Friday|"
    r"Saturday|Sunday|"
    r"January|February|March|April|May|June|July|August|September|October|November|December)",
)

_STRONG = re.compile(
    r"(?:\b(?:my|our|his|her|the|whose) (?:full |last |first |maiden |sur)?name(?: on the \w+)? (?:is|was|are)|"
    r"\bname\s*:|"
    r"\bname on the (?:account|card|order|booking)\? ?(?:user|customer)?\s*:?|\b(?:last|first|full|maiden|your) "
    r"name\?|"
    r"\b(?:booking|reservation|table|appointment|order|it['’]?s|listed|booked|made)(?: is| it)? under(?: the "
    r"name(?: of)?)?|"
    r"\b(?:in|on|under) (?:the )?name(?: of)?|"
    r"\b(?:me llamo|mi nombre es|je m['’]appelle|mon nom est|ich hei(?:ß|ss)e|mein name ist|mi chiamo|il mio nome è|"
    r"meu nome é|me chamo|mijn naam is|nazywam się|adım|nama saya|jag heter|меня зовут|tên tôi là))"
    rf"\s*(?P<name>{_FULL}|{_ANY_CASE})",
    re.IGNORECASE,
)
_CASED = re.compile(
    r"(?:\b(?:[Mm]r|[Mm]rs|[Mm]s|[Mm]iss|[Dd]r|[Pp]rof|[Ss]r|[Ss]ra|[Mm]me|[Mm]lle|[Hh]err|[Ff]rau|[Mm]adame|"
    r"[Mm]onsieur|"
    r"[Ss]ignor|[Ss]ignora|[Dd]on|[Dd]oña|[Ss]ir)\b\.?|"
    r"(?:^|[.!?\n] ?)(?:[Hh]i|[Hh]ello|[Hh]ey|[Dd]ear|[Hh]ola|[Bb]onjour|[Hh]allo|[Cc]iao)|"
    r"\b(?:call(?:s|ed)? (?:me|him|her)|(?:was|is|am|named?|he['’]s) called|named|change (?:it|the name) to|"
    r"it['’]s under|"
    r"\bunder the name(?: of)?|says|said|asked|shouted at|said \w+ to|to add|remove|tribute to|heard|leave me|"
    r"speak(?:ing)? (?:to|with)|"
    r"talk(?:ed|ing)? (?:to|with)|spoke (?:to|with)|met|[Rr]emember me,|assistant to|signed|[Rr]egards,|"
    r"[Tt]hanks,|[Cc]heers,|not by|"
    r"(?:[Mm]y|[Hh]is|[Hh]er|[Oo]ur) (?:kid|son|daughter|child|wife|husband|friend|brother|sister|father|mother|"
    r"dad|mom|mum|"
    r"partner|"
    r"colleague|boss|manager|neighbou?r|cousin|uncle|aunt|fianc[eé]e?|grandmother|grandfather)(?: is| was)?,?))"
    rf"[ \n]+(?:(?:Mr|Mrs|Ms|Miss|Dr|Prof)\.? )?(?P<name>{_FULL})",
    re.MULTILINE,
)
_AFTER = re.compile(
    rf"\b(?P<name>{_FULL})(?='s (?:daughter|son|wife|husband|mother|father|account|birthday)| (?:shouted|said|"
    rf"says|lives at|"
    r"lived at|speak yet|so impulsive|will be (?:talking|speaking)|as (?:a|the|my) beneficiary|spent a|flew to|"
    r"called me|"
    r"told me|is from|has to|just has)|, the [A-Z]\w+, said)",
)
_TWO = re.compile(r"\b(?:under|between|by|with) (?P<name>" + _NAME + rf" (?:{_UPPER}\.? )?" + _NAME + r")(?=[.?!,)]|$)")
_BOOKED = re.compile(
    rf"\b(?:[Rr]eserv\w+|[Bb]ook\w*|[Tt]able|[Aa]ppointment)\b[^.?!\n]{{0,40}}? for (?P<name>{_NAME} {_NAME})"
    rf"|\b(?:the|my) (?P<owner>{_NAME} {_NAME}) (?:table|booking|reservation|order|account)\b"
)
_SELF = re.compile(
    rf"\b(?:I['’]?m|I am|[Tt]his is|[Ii]t['’]s) (?P<name>{_NAME} (?:{_UPPER}\.? )?{_NAME})\b|\A(?P<owner>{_FULL}) "
    rf"(?:is my|here\b)"
)
_INITIAL = re.compile(rf"\b(?P<name>{_NAME} {{1,2}}{_UPPER}\.? {{1,2}}{_NAME})\b")
_SPEAKER = re.compile(rf'^(?P<name>{_NAME}): ?(?=["“]?{_UPPER}.{{0,60}}[.?!])', re.MULTILINE)
_FIRST_LINE = re.compile(
    rf"\A(?P<name>{_FULL}|{_LETTERS}+ {_LETTERS}[\w.]* ?{_LETTERS}*)\n(?=.{{0,200}}?(?:\d|mobile|phone))", re.DOTALL
)


def find(text: str) -> Iterator[Span]:
    """Start, end and kind (address, person). Addresses come first: the names of streets are no people."""
    if any(character.isdigit() for character in text) or "corner of" in text:
        yield from _addresses(text)
    yield from _people(text)


def _people(text: str) -> Iterator[Span]:
    for match in _STRONG.finditer(text):
        start, end = _trimmed(text, *match.span("name"))
        if start < end:
            yield start, end, PERSON
    if text.islower():
        yield from ((*match.span("name"), PERSON) for match in _FIRST_LINE.finditer(text))
        return
    for pattern in (_CASED, _AFTER, _INITIAL, _SPEAKER, _FIRST_LINE, _TWO, _BOOKED, _SELF):
        for match in pattern.finditer(text):
            group = "name" if match["name"] else "owner"
            start = _first_of_name(text, *match.span(group))
            if start < match.end(group):
                yield start, match.end(group), PERSON


def _first_of_name(text: str, start: int, end: int) -> int:
    """Where the name begins after words that are capitalised for another reason; `end` if nothing is left."""
    for word in re.finditer(r"\S+", text[start:end]):
        letters = re.match(r"\w*", word.group())
        if (
            letters
            and letters.group()[:1].isupper()
            and not _NO_NAME.fullmatch(letters.group())
            and not word.group().isupper()
        ):
            return start + word.start()
    return end


def _trimmed(text: str, start: int, end: int) -> tuple[int, int]:
    """A name after a strong cue may be in small letters, so words that are no names must end it."""
    words = re.finditer(r"\S+", text[start:end])
    for word in words:
        if _GOES_ON.fullmatch(word.group()):
            return start, start + max(0, word.start() - 1)
    return start, end


_GOES_ON = re.compile(
    r"and|but|i|is|it|my|the|a|please|can|could|from|for|with|not|so|because|what|how|in|on|at|to|was|has|had|"
    r"which|that|"
    r"tomorrow|today|tonight|by|name|believe|think|thanks|if|as|this|will|would|have|we|be|or|of|again"
)

_STREET = re.compile(
    r"street|st|str|avenue|ave?|av|road|rd|lane|ln|way|drive|dr|court|ct|square|sq|boulevard|blvd|place|terrace|"
    r"parkway|"
    r"highway|crescent|close|alley|rue|via|viale|vicolo|corso|piazza|calle|carrer|avenida|avda|plaza|paseo|rua|"
    r"rúa|travessa|"
    r"praça|ul|ulica|út|utca|u|tér|\w{3,}(?:stra(?:ss|ß)e|strasse|gasse|weg|platz|allee|laan|straat|vägen|gatan|"
    r"gata|vegur|"
    r"vegen|veien|vej|katu|tie|gade|stræde)|tänav|náměstí|trg|cesta|bulevar|oδός|οδός|quai|chaussée|ulitsa|улица",
    re.IGNORECASE,
)
_UNIT = re.compile(r"suite|apt|apartment|unit|flat|box|psc|postbox|p\.?o|apo|fpo|dpo|usns|uscgc|uss", re.IGNORECASE)
_JOINS = re.compile(
    r"de|del|della|di|da|do|dos|das|la|le|les|el|los|van|von|der|den|of|the|d|und|and|y|e|nan|no|in|na", re.IGNORECASE
)
_WORD = re.compile(r"[\w'’∆]+(?:[./-][\w'’]+)*|[,.()\n#]|[^\S\n]+|.", re.DOTALL)
_CUED = re.compile(
    r"(?:\baddress(?:es)?(?: (?:is|are|of [^.?!\n]{2,40}? is))?|here they are|the same|\boffice is at|\blives? "
    r"(?:at|in)|"
    r"\blived in|\blive in|\bsent to\? ?(?:user)?|\b(?:send|deliver|ship|return|move)\w* .{0,24}?\bto|meet you at|"
    r"moved to|"
    r"\bwohne|\bhabite|\bvivo en)\s*[:?]?\s*(?:it is )?\s*(?=\w)",
    re.IGNORECASE,
)
_CORNER = re.compile(r"\bthe corner of (?:[^.?!\n]{3,90}?)(?=[?!\n]|\.(?:\s|$)| after | in case |$)", re.IGNORECASE)
_EVERYDAY = re.compile(r"way|square|drive|place|close|court|st|tie|via|lane")
"""Street words that mean something else in small letters (a four way stop, the square root of)."""
_BLOCK = re.compile(
    r"\d{1,6} (?!Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)(?=[^\W\d_a-z])[^\d\n]{3,40} "
    r"\d{1,5}\.?[,\n]\s*,?\s*\w"
)
_LONGEST = 160


def _addresses(text: str) -> Iterator[Span]:
    corners = [match.span() for match in _CORNER.finditer(text)]
    yield from ((*span, ADDRESS) for span in corners)
    cued = {match.end() for match in _CUED.finditer(text)}
    for start, stop in _runs(text):
        end = next((corner for corner, _ in corners if start <= corner < stop), stop)
        begin = next((at for at in sorted(cued) if start <= at < end), None)
        found = _core(text, start if begin is None else begin, end, begin is not None)
        if found:
            yield *found, ADDRESS


def _runs(text: str) -> Iterator[tuple[int, int]]:
    """Stretches of words that may stand in an address; in a text of small letters, the stretches between stops."""
    small = text.islower()
    start: int | None = None
    end = 0
    for match in _WORD.finditer(text):
        word = match.group()
        if word.isspace() and word != "\n":
            continue
        stop = _is_stop(text, match) or not (_may_belong(word) or (small and word.isalpha()))
        if stop and start is not None:
            yield start, end
            start = None
        elif not stop:
            start = match.start() if start is None else start
            end = match.end()
    if start is not None:
        yield start, end


def _is_stop(text: str, match: re.Match[str]) -> bool:
    """A full stop ends a run but after an abbreviation or a number; an empty line, only where no indented one "
    "follows."""
    if match.group() == ".":
        before = re.search(r"(\w+)$", text[: match.start()])
        short = before is not None and (bool(_UNIT.fullmatch(before[1])) or len(before[1]) <= 3)
        return not (short and text[match.end() : match.end() + 1] in {" ", "\n"} and match.end() < len(text))
    return (
        match.group() == "\n"
        and text[match.end() : match.end() + 1] == "\n"
        and text[match.end() + 1 : match.end() + 2] != " "
    )


def _may_belong(word: str) -> bool:
    first = word[0]
    return (
        first.isdigit() or first.isupper() or word in {",", "\n", "(", ")", "#", "."} or bool(_JOINS.fullmatch(word))
        or bool(_UNIT.fullmatch(word)) or bool(_STREET.fullmatch(word))
        or not (first.isascii() or first.islower()) or (first in "dl" and word[1:2] in {"'", "’"})
    )  # fmt: skip


def _core(text: str, start: int, end: int, cued: bool) -> tuple[int, int] | None:
    """The address within a run: from its first number, unit or street word on. None where too little speaks for "
    "one."""
    words = [(match.group(), match.start() + start) for match in re.finditer(r"[\w'’]+", text[start:end])]
    numbers = [at for word, at in words if word[0].isdigit() and len(word) <= 6]
    units = [at for word, at in words if _UNIT.fullmatch(word)]
    streets = [at for word, at in words if _STREET.fullmatch(word) and len(word) > 1 and not _EVERYDAY.fullmatch(word)]
    named = [at for word, at in words if word[0].isalpha() and len(word) > 2]
    if not numbers or not named or len(words) < 3:
        return None
    vouched = streets or len(units) > 1 or (units and len(numbers) > 1) or _is_block(text[min(numbers) : end])
    capital = any(word[0].isupper() for word, _ in words)
    if not vouched and not (cued and capital and ("," in text[start:end] or len(numbers) > 1)):
        return None
    anchors = numbers + units
    first = start if cued else min(anchors)
    return first, min(start + len(text[start:end].rstrip(" ,.\n(")), first + _LONGEST)


def _is_block(run: str) -> bool:
    """Number, name, number, line end, town: an address as it stands on a letter, which a date is not."""
    return bool(_BLOCK.match(run))
