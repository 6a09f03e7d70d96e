"""Customers' files come from Meta's content hosts only, and no token goes along."""

from typing import Any

import aiohttp
import pytest

from packages.core.domain.messages import Attachment
from services.channel_gateway.channels import FileUnavailable
from services.channel_gateway.channels.instagram import channel
from services.channel_gateway.channels.instagram.files import allowed
from tests.channel_gateway.channels.instagram.instagram_double import Answer, InstagramDouble

PICTURE = b"\xff\xd8\xff" + b"x" * 100_000


async def fetched(instagram: InstagramDouble, http: aiohttp.ClientSession, url: str | None) -> dict[str, Any]:
    attachment = Attachment(kind="image", url=url)
    async with channel.download(attachment, instagram.account(), http) as download:
        content = b"".join([chunk async for chunk in download.chunks])
        return {
            "content": content,
            "type": download.media_type,
            "name": download.filename,
            "size": download.size,
        }


async def test_file_comes_whole_with_what_is_said_of_it(
    instagram: InstagramDouble, http: aiohttp.ClientSession
) -> None:
    headers = {"Content-Type": "image/jpeg", "Content-Disposition": 'attachment; filename="a%20b.jpg"'}
    instagram.prepare("GET /ig_messaging_cdn/", Answer(200, PICTURE, headers))
    found = await fetched(instagram, http, f"{instagram.url}/ig_messaging_cdn/?asset_id=1&signature=x")
    assert found == {"content": PICTURE, "type": "image/jpeg", "name": "a b.jpg", "size": len(PICTURE)}
    [asked] = instagram.asked
    assert "Authorization" not in asked.headers
    assert asked.query == {"asset_id": "1", "signature": "x"}


async def test_redirect_within_is_followed(instagram: InstagramDouble, http: aiohttp.ClientSession) -> None:
    instagram.prepare("GET /a", Answer(302, b"", {"Location": "/b"}))
    instagram.prepare("GET /b", Answer(200, PICTURE, {"Content-Type": "image/jpeg"}))
    assert (await fetched(instagram, http, f"{instagram.url}/a"))["content"] == PICTURE


async def test_redirect_elsewhere_is_not_followed(instagram: InstagramDouble, http: aiohttp.ClientSession) -> None:
    instagram.prepare("GET /a", Answer(302, b"", {"Location": "http://127.0.0.1:1/secret"}))
    with pytest.raises(FileUnavailable, match="does not lie with Instagram"):
        await fetched(instagram, http, f"{instagram.url}/a")
    assert len(instagram.asked) == 1


async def test_circle_of_redirects_ends(instagram: InstagramDouble, http: aiohttp.ClientSession) -> None:
    instagram.prepare("GET /a", Answer(302, b"", {"Location": "/a"}))
    with pytest.raises(FileUnavailable, match="circles"):
        await fetched(instagram, http, f"{instagram.url}/a")


@pytest.mark.parametrize(("status", "retryable"), [(403, False), (404, False), (410, False), (429, True), (500, True)])
async def test_refused_file(
    instagram: InstagramDouble, http: aiohttp.ClientSession, status: int, retryable: bool
) -> None:
    instagram.prepare("GET /a", Answer(status, b""))
    with pytest.raises(FileUnavailable) as caught:
        await fetched(instagram, http, f"{instagram.url}/a")
    assert caught.value.retryable == retryable


async def test_unreachable_host_may_be_there_later(http: aiohttp.ClientSession) -> None:
    gone = InstagramDouble(url="http://127.0.0.1:1")
    with pytest.raises(FileUnavailable) as caught:
        await fetched(gone, http, "http://127.0.0.1:1/a")
    assert caught.value.retryable


async def test_attachment_without_an_address(instagram: InstagramDouble, http: aiohttp.ClientSession) -> None:
    with pytest.raises(FileUnavailable, match="no address"):
        await fetched(instagram, http, None)


@pytest.mark.parametrize(
    ("url", "wanted"),
    [
        ("https://lookaside.fbsbx.com/ig_messaging_cdn/?asset_id=1", True),
        ("https://scontent-ams4-1.cdninstagram.com/v/1.jpg", True),
        ("https://video.xx.fbcdn.net/v/1.mp4", True),
        ("https://LOOKASIDE.fbsbx.com/1", True),
        ("http://lookaside.fbsbx.com/1", False),
        ("https://lookaside.fbsbx.com:8443/1", False),
        ("https://lookaside.fbsbx.com.example.org/1", False),
        ("https://example.org/lookaside.fbsbx.com", False),
        ("https://lookaside.fbsbx.com@example.org/1", False),
        ("https://fbcdn.net.example.org/", False),
        ("https://evilfbcdn.net/", False),
        ("file:///etc/passwd", False),
        ("https://[::1", False),
        ("https://lookaside.fbsbx.com:x/1", False),
        ("", False),
    ],
)
def test_hosts(url: str, wanted: bool) -> None:
    assert allowed(url, InstagramDouble().account(api_base="")) == wanted
