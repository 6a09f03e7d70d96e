"""The page in a real browser, against a running simulator and real accounts."""

import base64
import json
import shutil
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, async_playwright, expect

from services.channel_gateway.simulator.typing_marks import TypingMarks
from tests.channel_gateway.simulator.conftest import Account
from tests.channel_gateway.simulator.gateway_double import GatewayDouble, eventually

CHROMIUM = shutil.which("chromium")
QUIET = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
PIXEL = base64.b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGP4DwABAQEANl9ngAAAAABJRU5ErkJggg==")
browser_test = pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium; `make test-deps` brings it on Debian")


@pytest_asyncio.fixture(scope="session")
async def browser() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        launched = await playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield launched
        await launched.close()


@pytest_asyncio.fixture
async def page(browser: Browser, simulator: httpx.AsyncClient, account: Account) -> AsyncIterator[Page]:
    """The page, with one WhatsApp account to write to; it fails the test with whatever went wrong in it."""
    problems: list[str] = []
    opened = await browser.new_page()
    opened.on("pageerror", lambda error: problems.append(str(error)))
    opened.on("console", lambda entry: problems.append(entry.text) if entry.type == "error" else None)
    opened.set_default_timeout(10_000)
    await opened.goto(str(simulator.base_url))
    await expect(opened.get_by_label("Write to")).to_contain_text("Main line (whatsapp")
    yield opened
    await opened.close()
    assert problems == []


async def answer(simulator: httpx.AsyncClient, account: Account, **content: Any) -> None:
    """The brand writes to the page's customer."""
    body = {"messaging_product": "whatsapp", "recipient_type": "individual", "to": "+15550100001", **content}
    sent = await simulator.post(account.messages, json=body, headers=account.authorization)
    assert sent.status_code == 200, sent.text


BUTTONS = {
    "type": "interactive",
    "interactive": {
        "type": "button",
        "body": {"text": "Which one?"},
        "action": {
            "buttons": [
                {"type": "reply", "reply": {"id": "r", "title": "Red"}},
                {"type": "reply", "reply": {"id": "b", "title": "Blue"}},
            ]
        },
    },
}


@browser_test
async def test_customer_writes_with_the_keyboard_and_reads_the_answer(
    page: Page, simulator: httpx.AsyncClient, account: Account, gateway: GatewayDouble
) -> None:
    await page.get_by_label("Message").focus()
    await page.keyboard.type("Where is my order? <b>now</b>")
    await page.keyboard.press("Enter")
    log = page.get_by_role("log")
    await expect(log).to_contain_text("Where is my order? <b>now</b>")
    await eventually(lambda: gateway.messages)
    assert gateway.messages[0]["text"]["body"] == "Where is my order? <b>now</b>"
    await answer(simulator, account, type="text", text={"body": "On its way."})
    await expect(log).to_contain_text("On its way.")
    await expect(page.get_by_label("Message")).to_be_focused()


@browser_test
async def test_offered_button_is_tapped(
    page: Page, simulator: httpx.AsyncClient, account: Account, gateway: GatewayDouble
) -> None:
    await answer(simulator, account, **BUTTONS)
    await page.get_by_role("log").get_by_role("button", name="Blue").press("Enter")
    await eventually(lambda: gateway.messages)
    tapped = gateway.messages[0]
    assert tapped["type"] == "interactive"
    assert tapped["interactive"]["button_reply"]["id"] == "b"
    await expect(page.get_by_role("log")).to_contain_text("You")


@browser_test
async def test_picture_is_sent(page: Page, gateway: GatewayDouble) -> None:
    await page.get_by_label("Picture").set_input_files({"name": "p.png", "mimeType": "image/png", "buffer": PIXEL})
    await page.get_by_label("Message").fill("Look")
    await page.get_by_role("button", name="Send").click()
    await eventually(lambda: gateway.messages)
    sent = gateway.messages[0]
    assert (sent["type"], sent["image"]["caption"], sent["image"]["mime_type"]) == ("image", "Look", "image/png")


@browser_test
async def test_faults_are_switched_on_and_off(page: Page, simulator: httpx.AsyncClient) -> None:
    await page.get_by_text("Faults").click()
    await page.get_by_label("Rate limit (429)").fill("20")
    await page.get_by_role("button", name="Switch on").click()
    await expect(page.get_by_text("In force on whatsapp: Rate limit (429).")).to_be_visible()
    assert (await simulator.get("/faults")).json()["whatsapp"]["rate_429"] == 0.2
    await page.get_by_role("button", name="Everything works").click()
    await expect(page.get_by_text("Everything works on whatsapp.")).to_be_visible()
    assert (await simulator.get("/faults")).json() == {}


@browser_test
@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_page_fits_a_phone_and_can_be_read(page: Page, scheme: Any) -> None:
    await page.set_viewport_size({"width": 320, "height": 640})
    await page.emulate_media(color_scheme=scheme)
    assert await page.evaluate("document.documentElement.scrollWidth") <= 320
    colours = await page.evaluate(
        "() => ['--ink', '--soft', '--accent', '--warn'].map((name) =>"
        " getComputedStyle(document.documentElement).getPropertyValue(name).trim())"
    )
    paper = await page.evaluate("getComputedStyle(document.documentElement).getPropertyValue('--paper').trim()")
    assert all(contrast(colour, paper) >= 4.5 for colour in colours)


def contrast(one: str, other: str) -> float:
    """The contrast of two colours (#rrggbb) after WCAG 2.2."""
    low, high = sorted(luminance(colour) for colour in (one, other))
    return (high + 0.05) / (low + 0.05)


def luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


async def in_platforms(page: Page, expression: str) -> Any:
    """The value of an expression over the page's `platform`."""
    load = "const { platform } = await import('/page/platforms.js');"
    return await page.evaluate(f"async () => {{ {load} return {expression}; }}")


@browser_test
async def test_customers_are_named_as_their_platform_does(page: Page) -> None:
    for channel, account_id, typed, person in [
        ("whatsapp", "1", "+1 555 010 0001", "15550100001"),
        ("whatsapp", "1", "US.100", "US.100"),
        ("twilio", "whatsapp:+1202", "+1 555 010 0001", "whatsapp:+15550100001"),
        ("twilio", "+1202", "15550100001", "+15550100001"),
        ("twilio", "+1202", "55555", "55555"),
        ("telegram", "", "5 550", "5550"),
        ("hologram", "", "x", "x"),
    ]:
        call = f"platform({json.dumps(channel)}).person({json.dumps(typed)}, {json.dumps(account_id)})"
        assert await in_platforms(page, call) == person


@browser_test
async def test_what_each_channel_offers_to_tap(page: Page) -> None:
    keyboard = {"inline_keyboard": [[{"text": "A", "callback_data": "a"}]]}
    items: list[tuple[str, dict[str, Any], list[str]]] = [
        ("twilio", {"text": "Which?\n1. Red\n2. Blue", "payload": {}}, ["1. Red", "2. Blue"]),
        ("telegram", {"payload": {"reply_markup": keyboard}}, ["A"]),
        ("instagram", {"payload": {"message": {"quick_replies": [{"title": "Q", "payload": "q"}]}}}, ["Q"]),
        ("webchat", {"payload": {"buttons": [{"title": "W"}]}}, ["W"]),
        ("hologram", {"payload": {}}, []),
    ]
    for channel, item, titles in items:
        call = f"platform({json.dumps(channel)}).offers({json.dumps(item)}).map((offer) => offer.title)"
        assert await in_platforms(page, call) == titles


@pytest.mark.parametrize("part", ["page.css", "page.js", "platforms.js"])
async def test_parts_come_from_here_alone(simulator: httpx.AsyncClient, part: str) -> None:
    answer = await simulator.get(f"/page/{part}")
    assert answer.status_code == 200
    assert "://" not in answer.text
    assert not any(sink in answer.text for sink in ("innerHTML", "insertAdjacentHTML", "eval(", "document.write"))


@pytest.mark.parametrize("name", ["secrets.txt", "..%2Fapi.py", "%2e%2e/api.py"])
async def test_nothing_else_is_served(simulator: httpx.AsyncClient, name: str) -> None:
    assert (await simulator.get(f"/page/{name}")).status_code == 404


async def test_typing_shows_until_the_answer(simulator: httpx.AsyncClient, account: Account) -> None:
    async def typing() -> bool:
        query = {"channel": "whatsapp", "channel_config_id": account.id, "customer": "15550100001"}
        return bool((await simulator.get("/thread", params=query)).json()["typing"])

    written = await simulator.post(f"/simulate/whatsapp/{account.id}", json={"text": "Hi", "from": "15550100001"})
    assert not await typing()
    mark = {"messaging_product": "whatsapp", "status": "read", "message_id": written.json()["external_ids"][0]}
    await simulator.post(account.messages, json=mark, headers=account.authorization)
    assert not await typing()
    mark["typing_indicator"] = {"type": "text"}
    await simulator.post(account.messages, json=mark, headers=account.authorization)
    assert await typing()
    await answer(simulator, account, type="text", text={"body": "Hello."})
    assert not await typing()


def test_typing_marks_end() -> None:
    marks = TypingMarks()
    marks.show("wamid.1")
    assert marks.last(["other", "wamid.1"]) is not None
    assert marks.last(["other"]) is None
    assert marks.last([]) is None
