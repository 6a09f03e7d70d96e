"""robots.txt (RFC 9309): which pages of a site its owner lets a crawler read, how fast, and where its sitemaps are."""

from dataclasses import dataclass, field

from protego import Protego

from services.ingestion_worker.addresses import origin
from services.ingestion_worker.fetch import FetchFailed, fetch
from services.ingestion_worker.settings import FetchSettings

AGENT = "Parley"
_MOST_BYTES = 500 * 1024  # RFC 9309 asks for this much at least.
_MISSING = ("http_4", "too_many_redirects")


@dataclass(frozen=True, slots=True)
class Robots:
    """The rules of one site; without rules everything is allowed."""

    rules: Protego | None = None
    sitemaps: tuple[str, ...] = field(default=())

    def allow(self, url: str) -> bool:
        """Whether a page may be read."""
        return self.rules is None or bool(self.rules.can_fetch(url, AGENT))

    @property
    def delay(self) -> float:
        """Seconds that the owner wants between two requests."""
        wanted = self.rules.crawl_delay(AGENT) if self.rules else None
        return float(wanted or 0.0)


async def check_robots(url: str, http: FetchSettings) -> Robots:
    """The rules for the site of an address that may be read.

    Raises:
        FetchFailed: the site's owner does not want it to be read, or the site does not answer.
    """
    robots = await read_robots(url, http)
    if not robots.allow(url):
        raise FetchFailed(
            "forbidden_by_robots",
            "The site's robots.txt does not allow this address to be read. Ask the site's owner to allow Parley.",
            retryable=False,
        )
    return robots


async def read_robots(url: str, http: FetchSettings) -> Robots:
    """The rules for the site of an address. A site without robots.txt allows everything.

    Raises:
        FetchFailed: the site does not answer for now; then nothing may be read (RFC 9309, 2.3.1.4).
    """
    try:
        answer = await fetch(f"{origin(url)}/robots.txt", http)
    except FetchFailed as error:
        if error.code.startswith(_MISSING) and error.code != "http_429":
            return Robots()
        raise
    rules = Protego.parse(answer.data[:_MOST_BYTES].decode("utf-8", errors="replace"))
    return Robots(rules, tuple(rules.sitemaps))
