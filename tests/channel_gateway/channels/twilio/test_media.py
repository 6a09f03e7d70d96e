"""Customers' files come from Twilio alone, and only its API sees the credentials."""

import aiohttp
import pytest

from packages.core.domain.channels import Channel as Account
from packages.core.domain.messages import Attachment
from services.channel_gateway.channels import FileUnavailable
from services.channel_gateway.channels.twilio import channel
from services.channel_gateway.channels.twilio.media import _is_api, _is_cdn, _url
from tests.channel_gateway.channels.twilio.conftest import Stand, make_account, recorded

EXCHANGE = recorded("exchanges", "inbound_media_download.json")
URL = EXCHANGE["request"]["url"]
PATH = URL.removeprefix("https://api.twilio.com")


async def fetch(account: Account, http: aiohttp.ClientSession, url: str = URL) -> bytes:
    attachment = Attachment(kind="image", url=url, media_type="image/jpeg", filename="a.jpg")
    async with channel.download(attachment, account, http) as download:
        assert (download.media_type, download.filename) == ("image/jpeg", "a.jpg")
        return b"".join([chunk async for chunk in download.chunks])


async def test_redirect_is_followed_without_credentials(twilio: Stand, http: aiohttp.ClientSession) -> None:
    location = EXCHANGE["response"]["headers"]["Location"].replace("https://media.twiliocdn.com", twilio.url)
    twilio.at(f"GET {PATH}", EXCHANGE["response"]["status"], "", Location=location)
    twilio.answer(200, "the file")
    assert await fetch(twilio.account(), http) == b"the file"
    api, cdn = twilio.requests
    assert (api.path, api.authorization is not None) == (PATH, True)
    assert (cdn.path, cdn.authorization) == (location.removeprefix(twilio.url), None)


@pytest.mark.parametrize(
    ("status", "retryable"), [(404, False), (410, False), (401, False), (429, True), (500, True), (503, True)]
)
async def test_refusal(twilio: Stand, http: aiohttp.ClientSession, status: int, retryable: bool) -> None:
    twilio.answer(status)
    with pytest.raises(FileUnavailable) as caught:
        await fetch(twilio.account(), http)
    assert caught.value.retryable is retryable


async def test_silence_may_end_later(twilio: Stand, http: aiohttp.ClientSession) -> None:
    twilio.at(f"GET {PATH}", None)
    with pytest.raises(FileUnavailable) as caught:
        await fetch(twilio.account(), http)
    assert caught.value.retryable is True


@pytest.mark.parametrize(
    "location", ["http://169.254.169.254/latest/", "//evil.example/x", "https://[", "file:///etc/passwd"]
)
async def test_redirect_to_elsewhere_is_not_followed(twilio: Stand, http: aiohttp.ClientSession, location: str) -> None:
    twilio.at(f"GET {PATH}", 302, "", Location=location)
    with pytest.raises(FileUnavailable) as caught:
        await fetch(twilio.account(), http)
    assert caught.value.retryable is False
    assert len(twilio.requests) == 1


async def test_redirects_end(twilio: Stand, http: aiohttp.ClientSession) -> None:
    twilio.at(f"GET {PATH}", 302, "", Location=PATH)
    with pytest.raises(FileUnavailable):
        await fetch(twilio.account(), http)
    assert len(twilio.requests) <= 5


@pytest.mark.parametrize(
    "url",
    [
        recorded("payloads", "mms_media_url_foreign_host.json")["form"]["MediaUrl0"],
        "",
        "https://[",
        "https://evil.example/2010-04-01/x",
        "https://api.twilio.com.evil.example/2010-04-01/x",
    ],
)
@pytest.mark.parametrize("simulated", [True, False])
async def test_file_elsewhere_is_not_asked_for(
    twilio: Stand, http: aiohttp.ClientSession, url: str, simulated: bool
) -> None:
    with pytest.raises(FileUnavailable):
        await fetch(twilio.account() if simulated else make_account(), http, url)
    assert twilio.requests == []


@pytest.mark.parametrize(
    ("url", "api", "cdn"),
    [
        ("https://api.twilio.com/2010-04-01/x", True, True),
        ("https://api.dublin.ie1.twilio.com/2010-04-01/x", True, True),
        ("https://media.twiliocdn.com/x", False, True),
        ("https://s3-external-1.amazonaws.com/media.twiliocdn.com/x", False, True),
        ("https://s3-external-1.amazonaws.com/another-bucket/x", False, False),
        ("http://api.twilio.com/2010-04-01/x", False, False),
        ("https://api.twilio.com:8443/2010-04-01/x", False, False),
        ("https://user@api.twilio.com/x", False, False),
        ("https://twiliocdn.com.evil.example/x", False, False),
        ("https://evil-twilio.com/x", False, False),
        ("https://169.254.169.254/", False, False),
    ],
)
def test_which_hosts_are_twilios(url: str, api: bool, cdn: bool) -> None:
    nothing = _url("")
    assert (_is_api(_url(url), nothing), _is_cdn(_url(url), nothing)) == (api, cdn)
