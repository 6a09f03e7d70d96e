"""Links in replies: only to the brand's own domains and to hosts that a cited source names."""

import re
from collections.abc import Iterable, Sequence
from urllib.parse import urlsplit

from services.orchestrator.engine.policies import Finding, Verdict

CHECK = "links"

_ADDRESS = (
    r"(?:[a-z][a-z0-9+.-]{1,15}:(?://|(?=[^\s\d]))|www\.)[^\s<>()\[\]\"'“”]+|\b(?:javascript|data|vbscript):[^\s]+"
)
_BARE = (
    r"(?<![@\w./-])(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+(?:com|org|net|info|biz|io|co|app|dev|xyz|top|site|"
    r"online|shop|"
    r"click|link|ru|cn|tk|ml|ly|me|gl|gd|zip|mov|test|example)(?:/[^\s<>()\[\]\"']*)?(?![\w@])"
)
_MARKDOWN = re.compile(r"!?\[([^\]\n]{0,200})\]\(\s*<?([^)\s>]{1,2000})>?[^)\n]{0,100}\)")
_LINK = re.compile(rf"{_ADDRESS}|{_BARE}", re.IGNORECASE)
_SAFE_SCHEMES = frozenset({"http", "https", "mailto", "tel"})


def check(text: str, sources: Sequence[str], domains: Iterable[str] = ()) -> Finding:
    """FIX where a link leads elsewhere: a Markdown link keeps its words, a bare address goes. `details` are hosts."""
    if "." not in text and ":" not in text:
        return Finding(CHECK, Verdict.PASS, text)
    allowed = {domain.strip().lower().removeprefix("www.").lstrip(".") for domain in domains if domain.strip()}
    known = "\n".join(sources).lower()
    refused: list[str] = []

    def kept(address: str) -> bool:
        host = _host(address)
        if host is not None and (host in known or any(host == own or host.endswith(f".{own}") for own in allowed)):
            return True
        refused.append(host or "?")
        return False

    fixed = _MARKDOWN.sub(lambda match: match[0] if kept(match[2]) else match[1], text)
    fixed = _LINK.sub(lambda match: match[0] if kept(match[0].rstrip(".,;:!?")) else "", fixed)
    if not refused:
        return Finding(CHECK, Verdict.PASS, text)
    fixed = re.sub(r"[ \t]{2,}", " ", re.sub(r" +([.,;:!?])", r"\1", fixed)).strip()
    return Finding(CHECK, Verdict.FIX, fixed, tuple(sorted(set(refused))))


def _host(address: str) -> str | None:
    """The host that a browser would go to; None for what no reply may hold (script and data addresses)."""
    if not re.match(r"[a-z][a-z0-9+.-]*:", address, re.IGNORECASE):
        address = f"https://{address}"
    try:
        parts = urlsplit(address)
        host = parts.hostname or parts.path.rpartition("@")[2]
    except ValueError:
        return None
    return host.lower().removeprefix("www.") if parts.scheme.lower() in _SAFE_SCHEMES and host else None
