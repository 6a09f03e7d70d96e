"""Read a web site, page by page: by its links or by its sitemap, as its robots.txt allows, and only what has changed.

Every request goes through `fetch`, so a page of a tenant's choice leads to public addresses only.
"""

import asyncio
import hashlib
import time
from collections import deque
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from urllib.parse import urlsplit

import structlog

from services.ingestion_worker.addresses import may_be_document, normal, site
from services.ingestion_worker.fetch import Fetched, FetchFailed, fetch
from services.ingestion_worker.pages import PageLinks, read_links
from services.ingestion_worker.robots import Robots, check_robots
from services.ingestion_worker.settings import FetchSettings
from services.ingestion_worker.sitemaps import Sitemap, read_sitemap, walk_sitemaps

log = structlog.get_logger(__name__)
_LONGEST_DELAY = 10.0
_GONE = {"http_404", "http_410"}
_HTML = {"text/html", "application/xhtml+xml"}
_MAY_BE_SITEMAP = {"application/xml", "text/xml", "text/plain", "application/gzip", "application/x-gzip"}


@dataclass(frozen=True, slots=True, kw_only=True)
class CrawlLimits:
    """How much of a site is read. `path` narrows it to addresses that begin with this path; without `follow_links` only
    what a sitemap names is read.
    """

    max_pages: int = 500
    max_depth: int = 6
    max_bytes: int = 500 * 1024 * 1024
    total_seconds: float = 1500.0
    delay_seconds: float = 0.2
    path: str = "/"
    follow_links: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class PageState:
    """What is to be remembered of a page until the next crawl; all of it may be stored as JSON."""

    etag: str | None = None
    last_modified: str | None = None
    content_hash: str = ""
    lastmod: str | None = None
    links: tuple[str, ...] = ()


class Change(StrEnum):
    """What a page is, compared with the last crawl."""

    NEW = "new"
    CHANGED = "changed"
    UNCHANGED = "unchanged"
    GONE = "gone"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class CrawledPage:
    """One page. `data` is there if it is new or changed; `error` if it failed, and then the old version may stay."""

    url: str
    change: Change
    state: PageState = PageState()
    data: bytes = b""
    media_type: str = ""
    filename: str | None = None
    error: FetchFailed | None = None


async def crawl(
    url: str, limits: CrawlLimits, http: FetchSettings, known: Mapping[str, PageState] | None = None
) -> AsyncIterator[CrawledPage]:
    """Read a site from an address, which may be a page or a sitemap.

    Args:
        url: where to begin; only this site (host and port) is read.
        limits: how much of it.
        http: limits of each request, and the hosts let through the egress guard.
        known: what the last crawl gave, by address; unchanged pages are then not downloaded again.

    Yields:
        Each page once. Pages that `known` names and that this crawl did not meet are yielded as gone at the end, unless
        a limit or an error cut the crawl short, because then they may still be there.

    Raises:
        FetchFailed: the first address or the site's robots.txt cannot be had.
    """
    start = normal(url)
    if start is None:
        raise FetchFailed("bad_url", "Only http:// and https:// addresses can be crawled.", retryable=False)
    robots = await check_robots(start, http)
    async for page in _Crawl(start, limits, http, robots, known or {}).pages():
        yield page


@dataclass(slots=True)
class _Waiting:
    url: str
    depth: int
    lastmod: str | None = None


@dataclass(slots=True)
class _Crawl:
    start: str
    limits: CrawlLimits
    http: FetchSettings
    robots: Robots
    known: Mapping[str, PageState]
    queue: deque[_Waiting] = field(default_factory=deque)
    met: set[str] = field(default_factory=set)
    hashes: set[str] = field(default_factory=set)
    requests: int = 0
    size: int = 0
    cut_short: bool = False
    ends_at: float = 0.0

    async def pages(self) -> AsyncIterator[CrawledPage]:
        self.ends_at = time.monotonic() + self.limits.total_seconds
        self._add(self.start, 0)
        yielded: set[str] = set()
        while self.queue:
            if self.requests >= self.limits.max_pages or self.size >= self.limits.max_bytes or self._is_late():
                self.cut_short = True
                log.info("crawl_cut_short", url=self.start, requests=self.requests, bytes=self.size)
                break
            page = await self._visit(self.queue.popleft())
            if page is not None and page.url not in yielded:
                yielded.add(page.url)
                yield page
        if not self.cut_short:
            for gone in self.known.keys() - yielded:
                yield CrawledPage(url=gone, change=Change.GONE, state=self.known[gone])

    def _is_late(self) -> bool:
        return time.monotonic() > self.ends_at

    def _add(self, url: str, depth: int, lastmod: str | None = None) -> None:
        if url in self.met or site(url) != site(self.start) or not may_be_document(url):
            return
        if url != self.start and not (self._is_inside(url) and self.robots.allow(url)):
            return
        if depth > self.limits.max_depth:
            self.cut_short = True
            return
        self.met.add(url)
        self.queue.append(_Waiting(url, depth, lastmod))

    def _is_inside(self, url: str) -> bool:
        return urlsplit(url).path.startswith(self.limits.path)

    async def _visit(self, item: _Waiting) -> CrawledPage | None:
        """Fetch one page; None if it is no page of this site, or one that was met under another address."""
        before = self.known.get(item.url)
        if before and item.lastmod and item.lastmod == before.lastmod:
            return self._unchanged(item, before)
        try:
            fetched = await self._fetch(item.url, before)
        except FetchFailed as error:
            return self._failed(item, error, before)
        if fetched.not_modified and before:
            return self._unchanged(item, before)
        if site(fetched.url) != site(self.start):
            return None
        self.size += len(fetched.data)
        if item.depth == 0 and await self._took_sitemap(fetched):
            return None
        return await self._read(item, fetched, before)

    async def _fetch(self, url: str, before: PageState | None) -> Fetched:
        if self.requests:
            await asyncio.sleep(min(max(self.limits.delay_seconds, self.robots.delay), _LONGEST_DELAY))
        self.requests += 1
        return await fetch(
            url,
            self.http,
            etag=before.etag if before else None,
            last_modified=before.last_modified if before else None,
        )

    def _unchanged(self, item: _Waiting, before: PageState) -> CrawledPage:
        """A page that need not be read again still leads to others."""
        self._follow(before.links, item.depth)
        return CrawledPage(url=item.url, change=Change.UNCHANGED, state=before)

    def _failed(self, item: _Waiting, error: FetchFailed, before: PageState | None) -> CrawledPage | None:
        if item.depth == 0:  # without it nothing else is met, and a whole site would seem to be gone
            raise error
        if error.code in _GONE:
            return CrawledPage(url=item.url, change=Change.GONE, state=before) if before else None
        self.cut_short = True
        return CrawledPage(url=item.url, change=Change.FAILED, state=before or PageState(), error=error)

    async def _took_sitemap(self, fetched: Fetched) -> bool:
        """Queue what a sitemap names, if the first address is one; at a site's root also what robots.txt names."""
        found = None
        if fetched.media_type in _MAY_BE_SITEMAP or fetched.url.endswith((".xml", ".xml.gz")):
            found = await asyncio.to_thread(read_sitemap, fetched.data, most_bytes=self.http.max_bytes)
        named = found
        if found is None and self.start.count("/") == 3 and self.start.endswith("/") and self.robots.sitemaps:
            named = Sitemap(maps=tuple(filter(None, (normal(item, self.start) for item in self.robots.sitemaps))))
        if named is not None:
            async for url, changed in walk_sitemaps(named, self.start, self.http, most_pages=self.limits.max_pages):
                self._add(url, 1, changed)
        return found is not None

    def _follow(self, links: tuple[str, ...], depth: int) -> None:
        if not self.limits.follow_links:
            return
        for link in links:
            self._add(link, depth + 1)

    async def _read(self, item: _Waiting, fetched: Fetched, before: PageState | None) -> CrawledPage | None:
        read = PageLinks(noindex="noindex" in fetched.robots)
        if fetched.media_type in _HTML:
            read = await asyncio.to_thread(read_links, fetched.data, fetched.url, fetched.robots)
        links = tuple(link for link in read.links if site(link) == site(self.start) and not read.nofollow)
        self._follow(links, item.depth)
        final = normal(fetched.url) or item.url
        for other in (final, read.canonical):
            if other and other != item.url and site(other) == site(self.start) and self.robots.allow(other):
                if other in self.met:
                    return None  # It comes, or came, under its own address.
                self.met.add(other)
        digest = hashlib.sha256(fetched.data).hexdigest()
        if read.noindex or digest in self.hashes:
            return None
        self.hashes.add(digest)
        same = before is not None and before.content_hash == digest
        return CrawledPage(
            url=item.url,
            change=Change.UNCHANGED if same else Change.CHANGED if before else Change.NEW,
            state=PageState(
                etag=fetched.etag,
                last_modified=fetched.last_modified,
                content_hash=digest,
                lastmod=item.lastmod,
                links=links,
            ),
            data=b"" if same else fetched.data,
            media_type=fetched.media_type,
            filename=fetched.filename,
        )
