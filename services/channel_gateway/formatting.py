"""Our markdown subset, in the words of each platform, and cut at its limits.

Bold, italic, strike-through, code, links, lists, quotes, headings and code blocks (CommonMark's rules); all else is
text. A parsed message is its plain words with marks on ranges of them, so that a cut never falls inside mark-up: each
piece opens and closes its own. Dialects: `none`, `whatsapp`, `telegram_html` (Bot API, "HTML style").
"""

import html
import re
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from services.channel_gateway.markdown import Document, Span

_SENTENCE_END = re.compile(r"(?<=[.!?…。！？])\s+")
_SEPARATE = "\u200b"
"""Between a character that WhatsApp would take for mark-up and what follows: there is no escape."""
_WHATSAPP_MARKS = {"bold": "*", "italic": "_", "strike": "~", "code": "`"}
_WHATSAPP_LITERAL = re.compile(r"https?://\S+|(?<!\w)[*_~](?=\S)|`(?=\S)")
_TELEGRAM_TAGS = {"bold": "b", "italic": "i", "strike": "s", "code": "code", "pre": "pre", "quote": "blockquote"}


@dataclass(frozen=True, slots=True)
class Piece:
    """What fits into one request: in the dialect, and as plain words."""

    text: str
    plain: str


def size(text: str, unit: str) -> int:
    """The length as a platform counts it: `characters`, `bytes` of UTF-8, or `utf16` units."""
    if unit == "bytes":
        return len(text) if text.isascii() else len(text.encode())
    if unit == "utf16":
        return len(text) + sum(character > "\uffff" for character in text)
    return len(text)


def render(document: Document, dialect: str, start: int = 0, end: int | None = None) -> str:
    """A range of the message in a dialect."""
    end = len(document.text) if end is None else end
    if dialect == "telegram_html":
        return _emit(document.text, start, end, _clipped(document, start, end), _telegram_mark, _telegram_literal)
    if dialect == "whatsapp":
        spans = [found for span in _clipped(document, start, end) for found in _on_lines(document.text, span, end)]
        return _emit(document.text, start, end, spans, _whatsapp_mark, _whatsapp_literal)
    spans = [span for span in _clipped(document, start, end) if span.kind in {"quote", "link"}]
    return _emit(document.text, start, end, spans, _plain_mark, _verbatim)


def pieces(document: Document, dialect: str, limit: int, unit: str = "characters") -> list[Piece]:
    """The message in pieces of at most `limit` units, cut at paragraphs, sentences, words, in this order.

    Telegram counts what is left when the mark-up is taken away, so there that is what is measured.
    """
    if not document.spans and document.text == document.text.strip():
        rendered = render(document, dialect)
        if rendered and size(document.text if dialect == "telegram_html" else rendered, unit) <= limit:
            return [Piece(rendered, document.text)]
    return [
        Piece(render(piece, dialect, start, end), render(piece, "none", start, end))
        for piece, start, end in _ranges(document, dialect, limit, unit)
    ]


def shortened(text: str, longest: int) -> str:
    """At most so many characters, the last of them an ellipsis where something is left out."""
    if len(text) <= longest:
        return text
    return text[: _whole(text, 0, longest - 1)].rstrip() + "…"


def fits(document: Document, dialect: str, limit: int, unit: str) -> bool:
    """Whether the whole message is within a limit."""
    return _fits(document, dialect, 0, len(document.text), limit, unit)


def _ranges(document: Document, dialect: str, limit: int, unit: str) -> Iterator[tuple[Document, int, int]]:
    text = document.text
    start, last = 0, len(text.rstrip())
    while start < last:
        start += len(text[start:last]) - len(text[start:last].lstrip())
        if _fits(document, dialect, start, last, limit, unit):
            yield document, start, last
            return
        cut = _longest(document, dialect, start, min(last, start + limit), limit, unit)
        if cut == start:  # not even one character with its mark-up: without, then
            if not document.spans:
                raise ValueError(f"a limit of {limit} {unit} is too small for any text")
            document = Document(text)
            continue
        border = _border(text, start, cut)
        end = start + len(text[start:border].rstrip())
        yield document, start, end
        start = border


def _fits(document: Document, dialect: str, start: int, end: int, limit: int, unit: str) -> bool:
    if dialect == "telegram_html":
        return size(document.text[start:end], unit) <= limit
    return size(render(document, dialect, start, end), unit) <= limit


def _longest(document: Document, dialect: str, start: int, most: int, limit: int, unit: str) -> int:
    """The furthest end that fits; `start` if none does."""
    low, high = start, most
    while low < high:
        middle = (low + high + 1) // 2
        if _fits(document, dialect, start, middle, limit, unit):
            low = middle
        else:
            high = middle - 1
    return low


def _border(text: str, start: int, cut: int) -> int:
    """Where to cut at or before `cut`: at least half of it is kept where a paragraph or sentence ends there."""
    head, longest = text[start : cut + 1], cut - start
    sentences = (match.end() for match in reversed(list(_SENTENCE_END.finditer(head))))
    for at in (head.rfind("\n\n"), *sentences):
        if longest // 2 <= at <= longest and at > 0:
            return start + at
    for mark in ("\n", " "):
        at = head.rfind(mark)
        if at > 0:
            return start + at
    return _whole(text, start, cut)


def _whole(text: str, start: int, cut: int) -> int:
    """The cut, moved back to where it parts no character as people see it (UAX 29, in its common cases)."""
    at = cut
    while start < at < len(text) and _joined(text, at):
        at -= 1
    return at if at > start else cut


def _joined(text: str, at: int) -> bool:
    before, after = text[at - 1], text[at]
    if after == "\u200d" or before == "\u200d" or "\ufe00" <= after <= "\ufe0f" or (before, after) == ("\r", "\n"):
        return True
    if "\U0001f3fb" <= after <= "\U0001f3ff" or "\U000e0020" <= after <= "\U000e007f":
        return True
    if _is_flag(before) and _is_flag(after):
        flags = at
        while flags > 0 and _is_flag(text[flags - 1]):
            flags -= 1
        return (at - flags) % 2 == 1
    if "\u1100" <= before <= "\ud7ff":  # Hangul from its letters
        return "\u1160" <= after <= "\u11ff"
    return unicodedata.category(after) in {"Mn", "Me", "Mc"}


def _is_flag(character: str) -> bool:
    return "\U0001f1e6" <= character <= "\U0001f1ff"


def _clipped(document: Document, start: int, end: int) -> list[Span]:
    """The marks within a range, outer ones first."""
    return [
        Span(max(span.start, start), min(span.end, end), span.kind, span.url)
        for span in document.spans
        if span.start < end and span.end > start
    ]


def _emit(
    text: str,
    start: int,
    end: int,
    spans: list[Span],
    mark: Callable[[Span, bool], str],
    literal: Callable[[str, list[Span]], str],
) -> str:
    """Text with marks around properly nested ranges."""
    if not spans:
        return literal(text[start:end], [])
    out: list[str] = []
    opened: list[Span] = []
    place = start

    def up_to(position: int) -> None:
        nonlocal place
        while opened and opened[-1].end <= position:
            out.append(literal(text[place : opened[-1].end], opened))
            place = opened[-1].end
            out.append(mark(opened.pop(), False))
        out.append(literal(text[place:position], opened))
        place = position

    for span in spans:
        up_to(span.start)
        out.append(mark(span, True))
        opened.append(span)
    up_to(end)
    return "".join(out)


def _quoted(text: str, opened: list[Span]) -> str:
    return text.replace("\n", "\n> ") if any(span.kind == "quote" for span in opened) else text


def _verbatim(text: str, opened: list[Span]) -> str:
    return _quoted(text, opened)


def _plain_mark(span: Span, opens: bool) -> str:
    if span.kind == "quote":
        return "> " if opens else ""
    return "" if opens else f" ({span.url})"


def _telegram_literal(text: str, _opened: list[Span]) -> str:
    return html.escape(text, quote=False)


def _telegram_mark(span: Span, opens: bool) -> str:
    if span.kind == "link":
        return f'<a href="{html.escape(span.url or "")}">' if opens else "</a>"
    tag = _TELEGRAM_TAGS[span.kind]
    return f"<{tag}>" if opens else f"</{tag}>"


def _whatsapp_mark(span: Span, opens: bool) -> str:
    if span.kind == "quote":
        return "> " if opens else ""
    return "```" if span.kind == "pre" else _WHATSAPP_MARKS[span.kind]


def _whatsapp_literal(text: str, opened: list[Span]) -> str:
    if any(span.kind in {"code", "pre"} for span in opened) or not any(mark in text for mark in "*_~`"):
        return _quoted(text, opened)
    kept = _WHATSAPP_LITERAL.sub(lambda match: match[0] if len(match[0]) > 1 else match[0] + _SEPARATE, text)
    return _quoted(kept, opened)


def _on_lines(text: str, span: Span, end: int) -> Iterator[Span]:
    """What WhatsApp understands of a mark: its marks stand at the edges of words, within one line."""
    if span.kind not in _WHATSAPP_MARKS:
        if span.kind == "quote" or "`" not in text[span.start : span.end]:
            yield span
        return
    place = span.start
    for line in text[span.start : span.end].split("\n"):
        start = place + len(line) - len(line.lstrip())
        stop = start + len(line.strip())
        place += len(line) + 1
        joined = (start > 0 and text[start - 1].isalnum()) or (stop < min(end, len(text)) and text[stop].isalnum())
        if start < stop and not joined and _WHATSAPP_MARKS[span.kind] not in text[start:stop]:
            yield Span(start, stop, span.kind)
