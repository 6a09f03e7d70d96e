"""A site is read politely, within its own borders, and the second time only where it has changed."""

import gzip
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler

import pytest

from services.ingestion_worker.crawl import Change, CrawledPage, CrawlLimits, PageState, crawl
from services.ingestion_worker.fetch import FetchFailed
from services.ingestion_worker.settings import FetchSettings
from services.local.engines import free_port
from tests.ingestion_worker.websites import Page, Website, answer, serving

HTTP = FetchSettings(max_bytes=100_000, total_seconds=5, allowed_hosts=frozenset({"127.0.0.1"}))
LIMITS = CrawlLimits(delay_seconds=0)


def html(*links: str, text: str = "", head: str = "") -> Page:
    anchors = "".join(f'<a href="{link}">x</a>' for link in links)
    body = f"<html><head>{head}</head><body><p>{text or links}</p>{anchors}</body></html>"
    return answer(body.encode(), Content_Type="text/html; charset=utf-8")


def text(body: str, media_type: str = "text/plain") -> Page:
    return answer(body.encode(), Content_Type=media_type)


def with_etag(body: bytes, etag: str) -> Page:
    def page(request: BaseHTTPRequestHandler) -> None:
        if request.headers["If-None-Match"] == etag:
            answer(b"", status=304)(request)
        else:
            answer(body, Content_Type="text/html", ETag=etag)(request)

    return page


@pytest.fixture
def pages() -> dict[str, Page]:
    """What the site serves; tests add to it."""
    return {}


@pytest.fixture
def site(pages: dict[str, Page]) -> Iterator[Website]:
    with serving(pages) as served:
        yield served


async def crawled(
    site: Website, path: str = "/", limits: CrawlLimits = LIMITS, known: Mapping[str, PageState] | None = None
) -> list[CrawledPage]:
    return [page async for page in crawl(site.url(path), limits, HTTP, known)]


async def paths(site: Website, path: str = "/", limits: CrawlLimits = LIMITS) -> list[str]:
    return [page.url.removeprefix(site.url("")) for page in await crawled(site, path, limits)]


async def test_links_are_followed_on_the_same_site_alone(site: Website, pages: dict[str, Page]) -> None:
    pages["/"] = html("/a", "b#part", "//example.com/", "mailto:x@example.com", "/style.css", "http://[::1")
    pages["/a"] = html("/", "/c?utm_source=mail", text="a")
    pages["/b"] = html("/a", text="b")
    pages["/c"] = html(text="c")
    assert await paths(site) == ["/", "/a", "/b", "/c"]


async def test_robots_txt_is_obeyed(site: Website, pages: dict[str, Page]) -> None:
    pages["/robots.txt"] = text("User-agent: *\nDisallow: /private\nDisallow: /*.pdf$\n")
    pages["/"] = html("/private/a", "/open", "/file.pdf")
    pages["/open"] = html(text="open")
    pages["/private/a"] = html(text="private")
    assert await paths(site) == ["/", "/open"]


async def test_rules_for_us_go_before_rules_for_all(site: Website, pages: dict[str, Page]) -> None:
    pages["/robots.txt"] = text("User-agent: *\nAllow: /\n\nUser-agent: Parley\nDisallow: /\n")
    pages["/"] = html(text="home")
    with pytest.raises(FetchFailed) as refused:
        await crawled(site)
    assert refused.value.code == "forbidden_by_robots"


async def test_a_site_whose_rules_cannot_be_had_is_not_read(site: Website, pages: dict[str, Page]) -> None:
    pages["/robots.txt"] = answer(b"", status=503)
    pages["/"] = html(text="home")
    with pytest.raises(FetchFailed) as refused:
        await crawled(site)
    assert refused.value.retryable


async def test_pages_that_want_not_to_be_indexed_are_not(site: Website, pages: dict[str, Page]) -> None:
    pages["/"] = html("/noindex", "/header", "/nofollow", text="home")
    pages["/noindex"] = html("/behind", text="n", head='<meta name="robots" content="noindex">')
    pages["/header"] = answer(b"<p>h</p>", Content_Type="text/html", X_Robots_Tag="noindex")
    pages["/nofollow"] = html("/hidden", text="f", head='<meta name="ROBOTS" content="nofollow">')
    pages["/behind"] = html(text="behind")
    pages["/hidden"] = html(text="hidden")
    assert await paths(site) == ["/", "/nofollow", "/behind"]


async def test_a_page_under_several_addresses_is_read_once(site: Website, pages: dict[str, Page]) -> None:
    pages["/"] = html("/a", "/print", "/moved", text="home")
    pages["/a"] = html(text="a")
    pages["/print"] = html(text="printed", head='<link rel="canonical" href="/a">')
    pages["/moved"] = answer(b"", status=301, Location="/a")
    assert await paths(site) == ["/", "/a"]


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        (CrawlLimits(delay_seconds=0, max_pages=2), ["/", "/1"]),
        (CrawlLimits(delay_seconds=0, max_depth=2), ["/", "/1", "/1/2"]),
        (CrawlLimits(delay_seconds=0, max_bytes=1), ["/"]),
        (CrawlLimits(delay_seconds=0, path="/1/"), ["/", "/1/2", "/1/2/3"]),
    ],
)
async def test_limits_end_a_crawl(
    site: Website, pages: dict[str, Page], limits: CrawlLimits, expected: list[str]
) -> None:
    pages["/"] = html("/1", *(["/1/2"] if limits.path != "/" else []))
    pages["/1"] = html("/1/2")
    pages["/1/2"] = html("/1/2/3")
    pages["/1/2/3"] = html(text="deepest")
    assert await paths(site, limits=limits) == expected


async def test_a_sitemap_names_the_pages(site: Website, pages: dict[str, Page]) -> None:
    def listing(*names: str) -> str:
        return "<urlset>" + "".join(f"<url><loc>{site.url(name)}</loc></url>" for name in names) + "</urlset>"

    index = "".join(
        f"<sitemap><loc>{site.url(name)}</loc></sitemap>" for name in ("/one.xml", "/two.xml.gz", "/no.xml")
    )
    pages["/sitemap.xml"] = text(f"<?xml version='1.0'?><sitemapindex>{index}</sitemapindex>", "text/xml")
    pages["/one.xml"] = text(listing("/a"))
    pages["/two.xml.gz"] = answer(gzip.compress(listing("/b", "//example.com/").encode()))
    pages |= {"/a": html(text="a"), "/b": html(text="b")}
    assert await paths(site, "/sitemap.xml") == ["/a", "/b"]


async def test_a_sitemap_in_robots_txt_helps_at_the_root(site: Website, pages: dict[str, Page]) -> None:
    pages["/robots.txt"] = text(f"Sitemap: {site.url('/map.txt')}\n")
    pages["/map.txt"] = text(site.url("/unlinked"))
    pages |= {"/": html(text="home"), "/unlinked": html(text="found")}
    assert await paths(site) == ["/", "/unlinked"]


async def test_what_is_no_sitemap_is_a_page(site: Website, pages: dict[str, Page]) -> None:
    pages["/feed.xml"] = text("<!DOCTYPE x [<!ENTITY a 'b'>]><urlset>&a;</urlset>", "text/xml")
    assert await paths(site, "/feed.xml") == ["/feed.xml"]


async def test_the_second_time_only_changes_are_downloaded(site: Website, pages: dict[str, Page]) -> None:
    pages["/"] = with_etag(b"<a href='/deep'>deep</a>", '"1"')
    pages["/deep"] = html("/gone", "/new", text="old words")
    pages["/gone"] = html(text="soon gone")
    first = {page.url: page.state for page in await crawled(site)}
    pages["/deep"] = html("/new", text="new words")
    pages["/new"] = html(text="brand new")
    again = {page.url.removeprefix(site.url("")): page for page in await crawled(site, known=first)}
    assert {path: page.change for path, page in again.items()} == {
        "/": Change.UNCHANGED,
        "/deep": Change.CHANGED,
        "/new": Change.NEW,
        "/gone": Change.GONE,
    }
    assert b"new words" in again["/deep"].data
    assert again["/"].data == b""


async def test_a_sitemaps_date_saves_the_request(site: Website, pages: dict[str, Page]) -> None:
    listing = f"<urlset><url><loc>{site.url('/a')}</loc><lastmod>2026-01-01</lastmod></url></urlset>"
    pages["/sitemap.xml"] = text(listing, "application/xml")
    pages["/a"] = html(text="a")
    first = {page.url: page.state for page in await crawled(site, "/sitemap.xml")}
    asked = len(site.hosts_asked_for)
    [again] = await crawled(site, "/sitemap.xml", known=first)
    assert again.change is Change.UNCHANGED
    assert len(site.hosts_asked_for) - asked == 2  # robots.txt and the sitemap


async def test_nothing_is_gone_when_a_page_failed(site: Website, pages: dict[str, Page]) -> None:
    pages["/"] = html("/broken")
    pages["/broken"] = answer(b"", status=500)
    known = {site.url("/elsewhere"): PageState(content_hash="x")}
    found = await crawled(site, known=known)
    assert [page.change for page in found] == [Change.NEW, Change.FAILED]
    assert found[1].error is not None


async def test_the_first_address_must_answer(site: Website, pages: dict[str, Page]) -> None:
    pages["/robots.txt"] = text("")
    with pytest.raises(FetchFailed, match="no page"):
        await crawled(site, "/nothing")


async def test_links_lead_to_public_addresses_only(site: Website) -> None:
    strict = FetchSettings(total_seconds=2)
    with pytest.raises(FetchFailed) as refused:
        _ = [page async for page in crawl(f"http://127.0.0.1:{free_port()}/", LIMITS, strict)]
    assert refused.value.code == "forbidden_address"


@pytest.mark.parametrize("url", ["ftp://example.com/", "nothing", "http://user:secret@example.com/"])
async def test_other_addresses_are_refused(url: str) -> None:
    with pytest.raises(FetchFailed, match="Only http"):
        _ = [page async for page in crawl(url, LIMITS, HTTP)]
