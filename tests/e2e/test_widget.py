"""The demo page in a real browser: a visitor asks, reads, reloads."""

import shutil
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import Page, async_playwright, expect

from tests.e2e.conftest import Stage

CHROMIUM = shutil.which("chromium")
QUIET = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
pytestmark = [
    pytest.mark.e2e,
    pytest.mark.timeout(300),
    pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium; `make test-deps` brings it on Debian"),
]


@pytest_asyncio.fixture(scope="session")
async def page(stage: Stage) -> AsyncIterator[Page]:
    """The demo page, its problems collected on `page.problems`."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        page = await browser.new_page()
        page.set_default_timeout(30_000)
        await page.goto(stage.product.url("gateway") + "/demo")
        yield page
        await browser.close()


class TestVisitor:
    async def test_asks_and_reads_the_answer_with_its_source(self, page: Page) -> None:
        problems: list[str] = []
        page.on("pageerror", lambda error: problems.append(str(error)))
        await page.get_by_role("button", name="Open chat").click()
        await page.get_by_role("textbox").fill("How long is the grinder warranty?")
        await page.keyboard.press("Enter")
        log = page.get_by_role("log")
        await expect(log).to_contain_text("two years", timeout=30_000)
        await expect(log).to_contain_text("Grinders")
        assert problems == []

    async def test_finds_the_conversation_again_after_a_reload(self, page: Page) -> None:
        await page.reload()
        if await page.get_by_role("button", name="Open chat").is_visible():
            await page.get_by_role("button", name="Open chat").click()
        await expect(page.get_by_role("log")).to_contain_text("two years", timeout=30_000)
        assert await page.get_by_text("How long is the grinder warranty?").count() >= 1

    async def test_markup_in_a_message_stays_text(self, page: Page) -> None:
        await page.get_by_role("textbox").fill("<img src=x onerror=\"document.title='owned'\"> hello")
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("log")).to_contain_text("<img src=x", timeout=30_000)
        assert await page.title() != "owned"
