"""What a crawler must know of a web page: where its links lead, and whether it wants to be indexed and followed."""

from dataclasses import dataclass, field
from html.parser import HTMLParser

from services.ingestion_worker.addresses import normal

_MOST_BYTES = 4 * 1024 * 1024
_MOST_LINKS = 2000
_NAMES = {"robots", "parley"}


@dataclass(slots=True)
class PageLinks:
    """`canonical` is the address under which the page wants to be known; `noindex` and `nofollow` as it asks."""

    links: list[str] = field(default_factory=list)
    canonical: str | None = None
    noindex: bool = False
    nofollow: bool = False


def read_links(data: bytes, url: str, robots: str = "") -> PageLinks:
    """Links of an HTML page in their order, absolute and each once.

    Args:
        data: the page; only its first megabytes are looked at.
        url: its address.
        robots: its X-Robots-Tag header, which counts as much as its meta tag.
    """
    reader = _Reader(url)
    reader.feed(data[:_MOST_BYTES].decode("utf-8", errors="replace"))
    reader.obey(robots)
    reader.found.links = list(dict.fromkeys(reader.found.links))[:_MOST_LINKS]
    return reader.found


class _Reader(HTMLParser):
    def __init__(self, url: str) -> None:
        super().__init__()
        self.found = PageLinks()
        self._base = url

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        target = values.get("href", "")
        relations = values.get("rel", "").casefold().split()
        if tag == "base" and target:
            self._base = normal(target, self._base) or self._base
        elif tag in {"a", "area"} and target and "nofollow" not in relations:
            link = normal(target, self._base)
            if link:
                self.found.links.append(link)
        elif tag == "link" and "canonical" in relations and target:
            self.found.canonical = normal(target, self._base)
        elif tag == "meta" and values.get("name", "").casefold() in _NAMES:
            self.obey(values.get("content", ""))

    def obey(self, directives: str) -> None:
        """Take note of robots directives."""
        words = {word.strip() for word in directives.casefold().split(",")}
        self.found.noindex = self.found.noindex or bool(words & {"noindex", "none"})
        self.found.nofollow = self.found.nofollow or bool(words & {"nofollow", "none"})
