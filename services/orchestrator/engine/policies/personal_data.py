"""Personal data out of texts that leave the installation, and back into what returns.

E-mail, phone, payment card (Luhn), IBAN (ISO 13616), IP address, national ids and licences, names, postal addresses.
"""

import ipaddress
import re
from collections.abc import Callable, Iterator, Set
from dataclasses import dataclass, field

import phonenumbers

from services.orchestrator.engine.policies import Finding, Verdict, national_ids, people

CHECK = "personal_data"

_EMAIL = re.compile(r"[\w.+%'-]+@(?:[\w-]+\.)+[\w-]{2,}")
_IBAN = re.compile(r"\b[A-Z]{2}\d{2}(?:[ -]?[A-Z0-9]){11,30}\b", re.IGNORECASE)
_SSN = re.compile(r"(?<![\d-])(?!000|666|9)\d{3}-\d{2}-\d{4}(?![\d-])")
_CARD = re.compile(r"(?<![\d.])\d(?:[ -]?\d){11,18}(?![\d])")
_IP = re.compile(r"(?<![\w.:])(?:\d{1,3}(?:\.\d{1,3}){3}|(?:[0-9a-fA-F]{0,4}:){3,7}[0-9a-fA-F]{0,4})(?![\w:]|\.\d)")
_DIALLED = re.compile(r"(?<![\w.-])(?!\d\d/\d\d/\d{4}(?!\d))(?:\(\d{1,5}\)|0\d{1,4})(?:[ .\-/]?\d{2,5}){2,4}(?![\w-])")
_SAID_PHONE = re.compile(
    r"\b(?:phone|tel|telephone|call|mobile|cell|whatsapp|fax|ring|text|contact|tel[eé]fono|m[oó]vil|"
    r"t[eé]l[eé]phone|telefon\w*|"
    r"handy|telefone|celular)\b\D{0,25}(?P<number>\d[\d ().\-/]{5,18}\d)",
    re.IGNORECASE,
)
_MAYBE_PHONE = re.compile(r"\d(?:[\s().\-/x+]{0,3}\d){6,}")

_MARK = re.compile(r"\[[a-z_]+?(?:_\d+)?\]")

Span = tuple[int, int, str]


IDENTIFIERS = frozenset({"email", "iban", "card", "ip", "ssn", "national_id", "licence", "phone"})
"""Kinds that point to a person by themselves. Names and addresses are the others."""
EVERYTHING = IDENTIFIERS | {people.PERSON, people.ADDRESS}


@dataclass(slots=True)
class Vault:
    """What stands behind the marks of one conversation turn: the same value has the same mark in all its texts.

    The first value of a kind is `[email]`, the next ones are `[email_2]` and so on.
    """

    values: dict[str, str] = field(default_factory=dict)
    """Mark to value."""

    def mark(self, kind: str, value: str) -> str:
        """The mark that stands for this value."""
        for mark, known in self.values.items():
            if known == value and mark.startswith(f"[{kind}"):
                return mark
        number = 1 + sum(mark.startswith(f"[{kind}") for mark in self.values)
        mark = f"[{kind}]" if number == 1 else f"[{kind}_{number}]"
        self.values[mark] = value
        return mark

    def restore(self, text: str) -> str:
        """The text with every mark replaced by what it stands for; marks that nobody gave out stay."""
        return _MARK.sub(lambda match: self.values.get(match.group(), match.group()), text)


def redact(text: str, region: str = "US", *, kinds: Set[str] = IDENTIFIERS, vault: Vault | None = None) -> Finding:
    """The text with each piece of personal data replaced by its kind, such as `[email]`.

    Args:
        text: any text.
        region: two-letter country in which phone numbers without a country code are dialled.
        kinds: what to replace.
        vault: keeps the values, to restore them later; without one the marks are not numbered.
    """
    spans = spans_of(text, region, kinds)
    fixed = text
    marks = [vault.mark(kind, text[start:end]) if vault else f"[{kind}]" for start, end, kind in spans]
    for (start, end, _), mark in zip(reversed(spans), reversed(marks), strict=True):
        fixed = f"{fixed[:start]}{mark}{fixed[end:]}"
    verdict = Verdict.FIX if spans else Verdict.PASS
    return Finding(CHECK, verdict, fixed, tuple(sorted({kind for _, _, kind in spans})))


def spans_of(text: str, region: str = "US", kinds: Set[str] = EVERYTHING) -> list[Span]:
    """Start, end and kind of each piece of personal data, in their order, none over another."""
    found = find(text, region)
    if kinds & {people.PERSON, people.ADDRESS}:
        found += people.find(text)
    return [span for span in _without_overlap(found) if span[2] in kinds]


def find(text: str, region: str = "US") -> list[Span]:
    """Identifiers: start, end and kind; earlier kinds win where two overlap."""
    found = [(*match.span(), "email") for match in _EMAIL.finditer(text)] if "@" in text else []
    if any(character.isdigit() for character in text):
        found += _matching(_IBAN, text, "iban", _is_iban)
        found += national_ids.find(text)
        found += _matching(_CARD, text, "card", _is_card)
        found += _matching(_IP, text, "ip", _is_ip)
        found += _matching(_SSN, text, "ssn", bool)
        found += sorted(_phones(text, region), key=lambda span: span[0] - span[1])
    return found


def _matching(pattern: re.Pattern[str], text: str, kind: str, holds: Callable[[str], bool]) -> Iterator[Span]:
    return ((*match.span(), kind) for match in pattern.finditer(text) if holds(match.group()))


def _phones(text: str, region: str) -> Iterator[Span]:
    """What libphonenumber knows, what is written as one dials it (0…, an area code), what is called a phone."""
    if not _MAYBE_PHONE.search(text):
        return
    leniency = phonenumbers.Leniency.POSSIBLE if "+" in text else phonenumbers.Leniency.VALID
    for known in phonenumbers.PhoneNumberMatcher(text, region, leniency=leniency):
        yield known.start, known.end, "phone"
    for match in _DIALLED.finditer(text):
        yield match.start(), match.end(), "phone"
    for match in _SAID_PHONE.finditer(text):
        yield match.start("number"), match.end("number"), "phone"


def _without_overlap(found: list[Span]) -> list[Span]:
    kept: list[Span] = []
    for start, end, kind in found:
        if all(end <= other_start or start >= other_end for other_start, other_end, _ in kept):
            kept.append((start, end, kind))
    return sorted(kept)


def _is_card(candidate: str) -> bool:
    """Luhn's checksum (ISO/IEC 7812-1) over 12 to 19 digits that are not all the same."""
    digits = [int(character) for character in candidate if character.isdigit()]
    doubled = [digit * 2 - 9 * (digit > 4) for digit in digits[-2::-2]]
    return len(set(digits)) > 1 and (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0


def _is_iban(candidate: str) -> bool:
    """The remainder of ISO 7064 MOD 97-10 is 1."""
    compact = re.sub(r"[ -]", "", candidate)
    if not 15 <= len(compact) <= 34:
        return False
    return int("".join(str(int(character, 36)) for character in compact[4:] + compact[:4])) % 97 == 1


def _is_ip(candidate: str) -> bool:
    try:
        ipaddress.ip_address(candidate)
    except ValueError:
        return False
    return True
