"""Telegram's HTML, read as its server does: which texts it takes, and how long they are without the mark-up.

After the description of the Bot API ("HTML style") and the server's error texts. Offsets are in bytes.
"""

import re

from services.channel_gateway.simulator.platforms.telegram.errors import BotError, bad

_TAGS = frozenset(
    ("b strong i em u ins s strike del tg-spoiler span a code pre blockquote tg-emoji tg-time").split()  # noqa: SIM905
)
_ENTITY = re.compile(r"&(?:(lt|gt|amp|quot)|#(\d{1,7})|#x([0-9a-fA-F]{1,6}));")
_NAMED = {"lt": "<", "gt": ">", "amp": "&", "quot": '"'}
_START = re.compile(r"<([a-zA-Z0-9-]*)((?:\s+[a-zA-Z-]+(?:\s*=\s*(?:\"[^\"]*\"|'[^']*'|[^\s\"'>]+))?)*)\s*>")
_END = re.compile(r"</([a-zA-Z0-9-]*)\s*>")


def plain(text: str) -> str:
    """The text as people see it.

    Raises:
        BotError: the mark-up is not Telegram's, or not balanced.
    """
    shown: list[str] = []
    open_tags: list[str] = []
    position = 0
    while position < len(text):
        character = text[position]
        if character == "<":
            position = _tag(text, position, open_tags)
        elif character == "&" and (found := _ENTITY.match(text, position)):
            shown.append(_character(found))
            position = found.end()
        else:
            shown.append(character)
            position += 1
    if open_tags:
        raise _wrong(f'Can\'t find end tag corresponding to start tag "{open_tags[-1]}"')
    return "".join(shown)


def _tag(text: str, position: int, open_tags: list[str]) -> int:
    """Take one tag; returns where it ends."""
    offset = len(text[:position].encode("utf-8", "replace"))
    if text.startswith("</", position):
        end = _END.match(text, position)
        if end is None or not open_tags:
            raise _wrong(f"Unexpected end tag at byte offset {offset}")
        expected, name = open_tags.pop(), end[1].lower()
        if name and name != expected:
            raise _wrong(f'Unmatched end tag at byte offset {offset}, expected "</{expected}>", found "</{name}>"')
        return end.end()
    start = _START.match(text, position)
    if start is None:
        name = re.match(r"[a-zA-Z0-9-]*", text[position + 1 :])
        found = name[0].lower() if name else ""
        if found in _TAGS:
            raise _wrong(f"Unclosed start tag at byte offset {offset}")
        raise _wrong(f'Unsupported start tag "{found}" at byte offset {offset}')
    name_ = start[1].lower()
    if name_ not in _TAGS:
        raise _wrong(f'Unsupported start tag "{name_}" at byte offset {offset}')
    if name_ == "span" and "tg-spoiler" not in start[2]:
        raise _wrong(f'Tag "span" must have class "tg-spoiler" at byte offset {offset}')
    open_tags.append(name_)
    return start.end()


def _character(found: re.Match[str]) -> str:
    if found[1]:
        return _NAMED[found[1]]
    code = int(found[2]) if found[2] else int(found[3], 16)
    return chr(code) if 0 < code < 0x110000 and not 0xD800 <= code < 0xE000 else found[0]


def _wrong(what: str) -> BotError:
    return bad(f"can't parse entities: {what}")


def length(text: str) -> int:
    """The length that is held against limits, in UTF-16 units."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2
