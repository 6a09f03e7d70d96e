"""Values of a sheet as its reader sees them."""

import re
from datetime import date, datetime, time, timedelta

from packages.rag.documents import UnreadableDocument

MOST_CELLS = 1_000_000
_CURRENCY = re.compile(r"[$€£¥₹₽₩]|\[\$([^\]-]+)")
_DEFAULT_NAMES = re.compile(r"(?:sheet|table|tabelle|feuil|hoja|foglio|blad|planilha|лист|工作表)\s?\d*", re.IGNORECASE)
_DIGITS = 15


def too_many_cells(what: str) -> UnreadableDocument:
    """The refusal of a sheet that is a database."""
    return UnreadableDocument(
        f"This {what} is too large to be read; at most {MOST_CELLS} cells are. Split it and upload the parts.",
        code="too_large",
    )


def is_default_name(name: str) -> bool:
    """Whether a sheet has the name that the program gave it, which says nothing."""
    return _DEFAULT_NAMES.fullmatch(name.strip()) is not None


def shown(value: object, number_format: str = "General") -> str:
    """A value as text: dates as ISO 8601, percentages and amounts as their cell shows them."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, datetime):
        return value.date().isoformat() if value.time() == time(0) else value.isoformat(sep=" ", timespec="minutes")
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, timedelta):
        return str(value)
    if isinstance(value, int | float):
        return _number(value, number_format)
    return str(value).strip()


def _number(value: float, number_format: str) -> str:
    if "%" in number_format:
        return f"{_plain(round(value * 100, 6))}%"
    currency = _CURRENCY.search(number_format)
    if currency:
        symbol = currency.group(1) or currency.group()
        amount = f"{value:,.2f}" if "0.00" in number_format else f"{value:,.0f}"
        return f"{symbol}{amount}" if currency.start() < number_format.find("0") else f"{amount} {symbol}"
    return _plain(value)


def _plain(value: float) -> str:
    return f"{value:.{_DIGITS}g}" if isinstance(value, float) else str(value)
