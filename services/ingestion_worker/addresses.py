"""Addresses of a web site: written one way, and told apart from those of other sites."""

import re
from pathlib import PurePosixPath
from urllib.parse import parse_qsl, quote, unquote, urlencode, urljoin, urlsplit, urlunsplit

_LONGEST = 2000
_TRACKING = re.compile(
    r"^(?:utm_\w+|gclid|fbclid|msclkid|mc_[ce]id|_ga|ref_src|phpsessid|jsessionid|sid)$", re.IGNORECASE
)
_PORTS = {"http": 80, "https": 443}
_SAFE = "/:@!$&'()*+,;=~-._%"
# What a page is made of, and what holds no text; everything else may be a document.
_NO_DOCUMENTS = """
css js mjs map ico svg woff woff2 ttf otf eot mp3 mp4 m4a m4v avi mov mkv webm ogg wav exe dmg msi apk iso bin rss atom
png jpg jpeg gif webp avif bmp
"""
_NO_DOCUMENT_ENDINGS = frozenset(_NO_DOCUMENTS.split())


def normal(url: str, base: str = "") -> str | None:
    """An absolute http(s) address in its one spelling: no fragment, no default port, no tracking, sorted parameters.

    None if it is no such address.
    """
    try:
        parts = urlsplit(urljoin(base, url.strip()) if base else url.strip())
        port = parts.port
    except ValueError:
        return None
    if parts.scheme not in _PORTS or not parts.hostname or parts.username or len(url) > _LONGEST:
        return None
    host = parts.hostname.casefold()
    host = f"[{host}]" if ":" in host else host
    netloc = host if port in {None, _PORTS[parts.scheme]} else f"{host}:{port}"
    query = sorted(item for item in parse_qsl(parts.query, keep_blank_values=True) if not _TRACKING.match(item[0]))
    return urlunsplit((parts.scheme, netloc, quote(unquote(parts.path), safe=_SAFE) or "/", urlencode(query), ""))


def site(url: str) -> str:
    """What two addresses share that belong to one site: host and port, without a leading `www.`; http is https."""
    parts = urlsplit(url)
    port = parts.port if parts.port not in _PORTS.values() else None
    return f"{(parts.hostname or '').removeprefix('www.')}:{port or ''}"


def origin(url: str) -> str:
    """Scheme, host and port."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def may_be_document(url: str) -> bool:
    """Whether there may be text to read; known from the ending of its name."""
    return PurePosixPath(urlsplit(url).path).suffix.lstrip(".").casefold() not in _NO_DOCUMENT_ENDINGS
