"""Numbers as statements: a value and its unit, however they are written ("five days", "5-day", "$1,000.00")."""

import re
from dataclasses import dataclass

from packages.rag.lexical import fold

_NUMBER = r"\d+(?:[.,:]\d+)*"
_TOKEN = re.compile(rf"{_NUMBER}|[^\W\d_]+(?:'[^\W\d_]+)*|[%$€£¥₹°]")
_IS_NUMBER = re.compile(_NUMBER)
_THOUSANDS = re.compile(r"(?<=\d)[.,](?=\d{3}(?:\D|$))")
_ZEROS = re.compile(r"(?:\.0+|:00)$")
_MERIDIEM = re.compile(r"\b([ap])\.\s?m\b\.?")
_CLOCK = re.compile(r"(?<=[\d\s])[ap]\.?\s?m\b\.?", re.IGNORECASE)
_MARKED = re.compile(r"(?:^|\n)\s*\d{1,3}[.)](?=\s)")
_LOOK_AHEAD = 2
"""Words between a number and its unit count as its own: "5 business days"."""

_WORDS = {
    "2": "two dos deux zwei due dois duas twee twice",
    "3": "three tres trois drei tre três drie thrice",
    "4": "four cuatro quatre vier quattro quatro",
    "5": "five cinco cinq fünf cinque vijf",
    "6": "six seis sechs sei zes",
    "7": "seven siete sept sieben sette sete zeven",
    "8": "eight ocho huit acht otto oito",
    "9": "nine nueve neuf neun nove negen",
    "10": "ten diez dix zehn dieci dez tien",
    "11": "eleven once onze elf undici",
    "12": "twelve doce douze zwölf dodici doze twaalf dozen",
    "14": "fourteen catorce quatorze vierzehn quattordici veertien",
    "15": "fifteen quince quinze fünfzehn quindici vijftien",
    "20": "twenty veinte vingt zwanzig venti vinte twintig",
    "24": "twenty-four",
    "30": "thirty treinta trente dreißig dreissig trenta trinta dertig",
    "40": "forty cuarenta quarante vierzig quaranta quarenta veertig",
    "50": "fifty cincuenta cinquante fünfzig cinquanta cinquenta vijftig",
    "60": "sixty sesenta soixante sechzig sessanta sessenta zestig",
    "90": "ninety noventa neunzig novanta negentig",
    "100": "hundred cien cent hundert cento cem honderd",
    "1000": "thousand mil mille tausend mila duizend",
    "1000000": "million millón millones millions millionen milione milioni milhão miljoen",
}
_VALUES = {word: value for value, words in _WORDS.items() for word in words.split()}
_AMBIGUOUS = frozenset({"once", "sei", "elf", "due", "tre", "cent", "dix", "six", "mil", "acht"})
"""Words of one language that say something else in another: they count where a unit follows."""

_UNITS = {
    "second": "s sec secs second seconds segundo segundos seconde secondes sekunde sekunden secondi seconden",
    "minute": "min mins minute minutes minuto minutos minuten minuti minuut",
    "hour": "h hr hrs hour hours hora horas heure heures stunde stunden ora ore uur",
    "day": "day days día días dia dias jour jours tag tage tagen giorno giorni dag dagen",
    "night": "night nights noche noches nuit nuits nacht nächte notte notti noite noites nachten",
    "week": "week weeks semana semanas semaine semaines woche wochen settimana settimane weken",
    "month": "month months mes meses mois monat monate monaten mese mesi mês maand maanden",
    "year": "year years año años an ans année années jahr jahre jahren anno anni ano anos jaar jaren",
    "percent": "% percent pct prozent procent",
    "dollar": "$ dollar dollars usd dólar dólares",
    "euro": "€ euro euros eur",
    "pound": "£ pounds gbp",
    "cent": "cents centavos céntimos centimes",
    "yen": "¥ yen yuan rmb",
    "rupee": "₹ rupee rupees inr",
    "am": "am",
    "pm": "pm",
    "kilometre": "km kilometre kilometres kilometer kilometers kilómetros kilomètres",
    "mile": "mile miles mi millas",
    "metre": "m metre metres meter meters metros mètres",
    "centimetre": "cm centimetre centimetres centimeter centimeters",
    "foot": "ft foot feet",
    "inch": "inch inches",
    "kilogram": "kg kilogram kilograms kilos",
    "gram": "g gram grams",
    "litre": "l litre litres liter liters",
    "megabyte": "mb megabyte megabytes",
    "gigabyte": "gb gigabyte gigabytes",
    "degree": "° degree degrees",
}
_UNIT_OF = {word: unit for unit, words in _UNITS.items() for word in words.split()}
_AFTER_DIGITS = re.compile(r"(?<=\d)(?=[^\W\d_])")
_SIGNS = frozenset("$€£¥₹")


@dataclass(frozen=True, slots=True)
class Quantity:
    """A value in one spelling, and its unit where one stands beside it."""

    value: str
    unit: str | None = None

    def agrees(self, other: "Quantity") -> bool:
        """The same value, and no other unit."""
        return self.value == other.value and not (self.unit and other.unit and self.unit != other.unit)

    def compares(self, other: "Quantity") -> bool:
        """Whether both measure the same kind of thing, so that a difference of value is a contradiction."""
        return self.unit is not None and self.unit == other.unit


def quantities(text: str) -> frozenset[Quantity]:
    """Every number of a text, the marks of numbered lists left out."""
    plain = _MERIDIEM.sub(r"\1m ", fold(_MARKED.sub("\n", text)))
    tokens = _TOKEN.findall(_AFTER_DIGITS.sub(" ", plain))
    found = set()
    for index, token in enumerate(tokens):
        unit = _unit(tokens, index)
        if _IS_NUMBER.fullmatch(token):
            found.add(Quantity(normal(token), unit))
        elif token in _VALUES and (unit is not None or token not in _AMBIGUOUS):
            found.add(Quantity(_VALUES[token], unit))
    return frozenset(found)


def normal(number: str) -> str:
    """`1,000` and `1000`, `20.00` and `20`, `9:00` and `9`, `3,5` and `3.5` are the same."""
    plain = _THOUSANDS.sub("", number)
    return _ZEROS.sub("", plain.replace(",", "."))


def _unit(tokens: list[str], index: int) -> str | None:
    if index and tokens[index - 1] in _SIGNS:
        return _UNIT_OF[tokens[index - 1]]
    for token in tokens[index + 1 : index + 1 + _LOOK_AHEAD]:
        if token in _UNIT_OF:
            return _UNIT_OF[token]
        if _IS_NUMBER.fullmatch(token) or token in _VALUES:
            return None
    return None


def without_numbers(text: str) -> str:
    """The text without its numbers, digits or words, so that what is left can be compared as words."""
    plain = _CLOCK.sub(" ", text)
    return _TOKEN.sub(lambda match: " " if _is_number(match.group()) else match.group(), plain)


def _is_number(token: str) -> bool:
    word = fold(token)
    return _IS_NUMBER.fullmatch(word) is not None or (word in _VALUES and word not in _AMBIGUOUS)
