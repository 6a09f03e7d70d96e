"""The widget in a real browser, against the running gateway."""

import json
import shutil
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Page, async_playwright, expect

from packages.core.db.session import Database
from tests.channel_gateway.conftest import Gateway, MakeChannel
from tests.channel_gateway.webchat.conftest import Talk, begin_talk, open_browser
from tests.factories.accounts import TenantWithBrand

CHROMIUM = shutil.which("chromium")
QUIET = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")


@pytest_asyncio.fixture
async def talk(gateway: Gateway, database: Database, tenant: TenantWithBrand, make_channel: MakeChannel) -> Talk:
    """A visitor of a demo chat."""
    channel = await make_channel("webchat", {"allowed_origins": ["*"]}, settings={"demo": True})
    return await begin_talk(database, tenant, await open_browser(gateway, channel))


@pytest_asyncio.fixture
async def page() -> AsyncIterator[Page]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield await browser.new_page()
        await browser.close()


async def test_shows_the_files_of_a_reply(talk: Talk, page: Page) -> None:
    files: list[dict[str, Any]] = [
        {"kind": "image", "url": "https://shop.example/a.png", "filename": "A photo.png"},
        {"kind": "audio", "url": "https://shop.example/a.ogg", "filename": "a.ogg"},
        {"kind": "document", "url": "https://shop.example/a.pdf", "filename": "Terms.pdf"},
        {"kind": "document", "url": "javascript:alert(1)", "filename": "Trap.pdf"},
    ]
    await talk.add("agent", "", content={"attachments": files})
    channel, token = talk.browser.base.rsplit("/", 1)[-1], talk.browser.token
    kept = json.dumps(json.dumps({"token": token, "waiting": []}))
    await page.add_init_script(f"localStorage.setItem('parley:{channel}', {kept})")
    await page.goto(f"{talk.browser.gateway.url}/demo?channel={channel}")
    await page.get_by_role("button", name="Open chat").click()
    log = page.get_by_role("log")
    await expect(log.get_by_role("img", name="A photo.png")).to_have_attribute("src", files[0]["url"])
    await expect(log.get_by_role("link", name="Terms.pdf")).to_have_attribute("href", files[2]["url"])
    assert await log.locator("audio").get_attribute("src") == files[1]["url"]
    assert await log.get_by_role("link", name="Trap.pdf").count() == 0
    await expect(log).to_contain_text("Trap.pdf")
