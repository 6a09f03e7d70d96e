"""Numbers by which states, tax offices and licensing offices know a person, each with its own checksum.

Numbers whose shape is their own (an Italian tax code) are found anywhere. Those that are nothing but digits are found
where the checksum holds and a word before them says what they are, because order numbers have digits too.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from itertools import pairwise

Span = tuple[int, int, str]
Check = Callable[[str], bool]

KIND = "national_id"
LICENCE = "licence"

_DNI_LETTERS = "TRWAGMYFPDXBNJZSQVHLCKE"
_CODICE_ODD = (1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23)
_VERHOEFF_D = (
    "0123456789", "1234067895", "2340178956", "3401289567", "4012395678",
    "5987604321", "6598710432", "7659821043", "8765932104", "9876543210",
)  # fmt: skip
_VERHOEFF_P = (
    "0123456789", "1576283094", "5803796142", "8916043527", "9453126870", "4286573901", "2793806415", "7046913258",
)  # fmt: skip


def find(text: str) -> Iterator[Span]:
    """Start, end and kind (national_id, licence) of each."""
    for pattern, holds in _SHAPED:
        for match in pattern.finditer(text):
            if holds(_compact(match.group())):
                yield *match.span(), KIND
    for match in _CALLED.finditer(text):
        if any(holds(_compact(match["number"])) for holds in _BARE):
            yield *match.span("number"), KIND
    for match in _LICENCE.finditer(text):
        if sum(character.isdigit() for character in match["number"]) >= 4:
            yield *match.span("number"), LICENCE


def _compact(written: str) -> str:
    return re.sub(r"[\s./-]", "", written).upper()


def _weighted(digits: str, weights: Iterable[int]) -> int:
    return sum(int(digit) * weight for digit, weight in zip(digits, weights, strict=False))


def is_dni(number: str) -> bool:
    """Spain's DNI and NIE: the letter is the number modulo 23."""
    digits = number[:-1].translate(str.maketrans("XYZ", "012"))
    return digits.isdigit() and _DNI_LETTERS[int(digits) % 23] == number[-1]


def is_codice_fiscale(number: str) -> bool:
    """Italy's tax code: odd and even places weigh differently, modulo 26."""
    total = 0
    for place, character in enumerate(number[:15]):
        value = int(character) if character.isdigit() else ord(character) - 65
        total += value if place % 2 else _CODICE_ODD[value]
    return chr(65 + total % 26) == number[15]


def is_nir(number: str) -> bool:
    """France's social security number: the key is 97 minus the number modulo 97; Corsica's letters count as "
    "digits."""
    body, key = number[:13].replace("2A", "19").replace("2B", "18"), number[13:]
    return body.isdigit() and 97 - int(body) % 97 == int(key)


def is_cpf(number: str) -> bool:
    """Brazil's CPF: two digits, modulo 11."""
    if len(number) != 11 or len(set(number)) == 1:
        return False
    checks = [_weighted(number, tuple(range(size, 1, -1))) * 10 % 11 % 10 for size in (10, 11)]
    return checks == [int(number[9]), int(number[10])]


def is_aadhaar(number: str) -> bool:
    """India's Aadhaar: Verhoeff's scheme over twelve digits."""
    if len(number) != 12 or number[0] in "01":
        return False
    check = 0
    for place, digit in enumerate(reversed(number)):
        check = int(_VERHOEFF_D[check][int(_VERHOEFF_P[place % 8][int(digit)])])
    return check == 0


def is_resident_id(number: str) -> bool:
    """China's resident identity number: ISO 7064 MOD 11-2, with a date inside."""
    weights = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
    return "10X98765432"[_weighted(number[:17], weights) % 11] == number[17]


def is_bsn(number: str) -> bool:
    """The Netherlands' BSN: the eleven-test."""
    return len(number) == 9 and _weighted(number, (9, 8, 7, 6, 5, 4, 3, 2, -1)) % 11 == 0


def is_pesel(number: str) -> bool:
    """Poland's PESEL: weights 1, 3, 7, 9, modulo 10."""
    return len(number) == 11 and (10 - _weighted(number, (1, 3, 7, 9, 1, 3, 7, 9, 1, 3)) % 10) % 10 == int(number[10])


def is_tckn(number: str) -> bool:
    """Turkey's identity number: two digits over odd and even places."""
    if len(number) != 11 or number[0] == "0":
        return False
    digits = [int(digit) for digit in number]
    tenth = (sum(digits[0:9:2]) * 7 - sum(digits[1:8:2])) % 10
    return tenth == digits[9] and sum(digits[:10]) % 10 == digits[10]


def is_steuer_id(number: str) -> bool:
    """Germany's tax number: ISO 7064 MOD 11,10, no leading zero."""
    if len(number) != 11 or number[0] == "0":
        return False
    product = 10
    for digit in number[:10]:
        product = ((int(digit) + product) % 10 or 10) * 2 % 11
    return (11 - product) % 10 == int(number[10])


def is_luhn(number: str) -> bool:
    """Luhn's digit (ISO/IEC 7812-1), as Sweden, Canada and South Africa use it."""
    doubled = sum(sum(divmod(int(digit) * 2, 10)) for digit in number[-2::-2])
    return len(number) in {9, 10, 13} and (doubled + sum(int(digit) for digit in number[::-2])) % 10 == 0


def is_rut(number: str) -> bool:
    """Chile's RUT: modulo 11, ten is K."""
    total = sum(int(digit) * (2 + place % 6) for place, digit in enumerate(reversed(number[:-1])))
    return "0123456789K0"[11 - total % 11] == number[-1]


def is_hetu(number: str) -> bool:
    """Finland's personal code: date and number modulo 31."""
    digits = number[:6] + number[-4:-1]
    return digits.isdigit() and "0123456789ABCDEFHJKLMNPRSTUVWXY"[int(digits) % 31] == number[-1]


def is_nhs(number: str) -> bool:
    """The United Kingdom's NHS number: modulo 11."""
    return len(number) == 10 and (11 - _weighted(number, tuple(range(10, 1, -1))) % 11) % 11 == int(number[9])


def is_rising(number: str) -> bool:
    """Whether digits only count up or down, as in made-up examples."""
    return len({int(after) - int(before) for before, after in pairwise(number)}) == 1


def _any(number: str) -> bool:
    return bool(number)


_SHAPED: tuple[tuple[re.Pattern[str], Check], ...] = (
    (re.compile(r"\b(?:\d{8}|[XYZ]\d{7})[ -]?[A-Z]\b", re.IGNORECASE), is_dni),
    (re.compile(r"\b[A-Z]{6}\d{2}[A-EHLMPRST]\d{2}[A-Z]\d{3}[A-Z]\b", re.IGNORECASE), is_codice_fiscale),
    (re.compile(r"\b[12] ?\d{2} ?(?:0[1-9]|1[0-2]|[2-9]\d) ?\d[\dAB] ?\d{3} ?\d{3} ?\d{2}\b"), is_nir),
    (re.compile(r"\b\d{3}\.\d{3}\.\d{3}-\d{2}\b"), is_cpf),
    (re.compile(r"(?<!\d )\b[2-9]\d{3} \d{4} \d{4}\b(?! \d)"), is_aadhaar),
    (re.compile(r"\b[1-9]\d{5}(?:19|20)\d{2}(?:0[1-9]|1[0-2])(?:[0-2]\d|3[01])\d{3}[\dX]\b"), is_resident_id),
    (re.compile(r"\b\d{1,2}\.\d{3}\.\d{3}-[\dK]\b", re.IGNORECASE), is_rut),
    (re.compile(r"\b(?:19|20)?\d{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])[-+]\d{4}\b"), lambda n: is_luhn(n[-10:])),
    (re.compile(r"\b(?:0[1-9]|[12]\d|3[01])(?:0[1-9]|1[0-2])\d{2}[-+A]\d{3}[0-9A-Y]\b"), is_hetu),
    # The United Kingdom's insurance number, India's PAN and Mexico's CURP have no public checksum, but a shape.
    (re.compile(r"\b(?!BG|GB|KN|NK|NT|TN|ZZ)[A-CEGHJ-PR-TW-Z]{2} ?\d{2} ?\d{2} ?\d{2} ?[A-D]\b"), _any),
    (re.compile(r"\b[A-Z]{3}[ABCFGHJLPT][A-Z]\d{4}[A-Z]\b"), _any),
    (re.compile(r"\b[A-Z]{4}\d{6}[HM][A-Z]{5}[A-Z\d]\d\b"), _any),
)
_BARE: tuple[Check, ...] = (is_cpf, is_bsn, is_pesel, is_tckn, is_steuer_id, is_luhn, is_aadhaar, is_nhs)
_CALLED = re.compile(
    r"\b(?:cpf|bsn|burgerservicenummer|pesel|t\.?c\.? kimlik|kimlik|steuer-?(?:id|nummer|identifikationsnummer)|"
    r"personnummer|social insurance|sin\b|id(?:entity)? (?:number|card|no)|national id|aadhaar|aadhar|nhs|tax "
    r"(?:id|number)|"
    r"citizen\w* number)\b\D{0,20}(?P<number>\d[\d .-]{7,14}\d)",
    re.IGNORECASE,
)
_LICENCE = re.compile(
    r"\b(?:driv(?:er|ing)(?:['’]?s)? licen[cs]e|driving permit|licen[cs]e (?:number|no)|passport|führerschein\w*|"
    r"reisepass\w*|"
    r"permis de conduire|passeport|carnet de conducir|pasaporte|patente|passaporto|passaporte)(?: (?:number|no\.?|"
    r"nr\.?|"
    r"num\w*|id))?\s*(?:is|are|ist|est|es|è|é|:|#)?\s*(?P<number>(?=[A-Z\d-]*\d)[A-Z]{0,3}\d[A-Z\d-]{4,16}\d)\b",
    re.IGNORECASE,
)
