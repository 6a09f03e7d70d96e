"""Sitemaps (sitemaps.org, 0.9): the pages that a site names itself, with the date of their last change."""

import asyncio
import zlib
from collections.abc import AsyncIterator
from dataclasses import dataclass

from packages.rag.documents import UnreadableDocument
from packages.rag.xml_trees import local_name, parse_xml
from services.ingestion_worker.addresses import normal, site
from services.ingestion_worker.fetch import FetchFailed, fetch
from services.ingestion_worker.settings import FetchSettings

_GZIP = b"\x1f\x8b"
_GZIP_WINDOW = 31
_MOST_MAPS = 100


@dataclass(frozen=True, slots=True)
class Sitemap:
    """Pages with their `lastmod` (None if not said), and further sitemaps if it is an index."""

    pages: tuple[tuple[str, str | None], ...] = ()
    maps: tuple[str, ...] = ()


def read_sitemap(data: bytes, *, most_bytes: int) -> Sitemap | None:
    """A sitemap or an index of sitemaps; plain text with an address per line counts too. None if it is neither.

    Args:
        data: as downloaded, perhaps compressed.
        most_bytes: what it may have once unpacked.
    """
    if data.startswith(_GZIP):
        unpacker = zlib.decompressobj(_GZIP_WINDOW)
        try:
            data = unpacker.decompress(data, most_bytes)
        except zlib.error:
            return None
        if unpacker.unconsumed_tail:
            return None
    if not data.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<"):
        return _text(data)
    try:
        root = parse_xml(data, "sitemap")
    except UnreadableDocument:
        return None
    entries = [{local_name(item): (item.text or "").strip() for item in entry} for entry in root]
    found = [(url, entry.get("lastmod") or None) for entry in entries if (url := normal(entry.get("loc", "")))]
    if local_name(root) == "urlset":
        return Sitemap(pages=tuple(found))
    if local_name(root) == "sitemapindex":
        return Sitemap(maps=tuple(url for url, _ in found))
    return None


def _text(data: bytes) -> Sitemap | None:
    lines = [line.strip() for line in data.decode("utf-8", errors="replace").splitlines() if line.strip()]
    urls = [normal(line) for line in lines]
    if not lines or None in urls:
        return None
    return Sitemap(pages=tuple((url, None) for url in urls if url))


async def walk_sitemaps(
    first: Sitemap, start: str, http: FetchSettings, *, most_pages: int
) -> AsyncIterator[tuple[str, str | None]]:
    """Pages of a sitemap and of those that it names, on the site of `start` alone; a broken one is passed over."""
    waiting = [first]
    seen: set[str] = set()
    count = 0
    while waiting:
        current = waiting.pop(0)
        for url, changed in current.pages:
            if site(url) == site(start) and count < most_pages:
                count += 1
                yield url, changed
        for url in current.maps:
            if url in seen or len(seen) >= _MOST_MAPS or site(url) != site(start) or count >= most_pages:
                continue
            seen.add(url)
            further = await _fetched(url, http)
            if further:
                waiting.append(further)


async def _fetched(url: str, http: FetchSettings) -> Sitemap | None:
    try:
        answer = await fetch(url, http)
    except FetchFailed:
        return None
    return await asyncio.to_thread(read_sitemap, answer.data, most_bytes=http.max_bytes)
