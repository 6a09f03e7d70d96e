"""Telegram as played by the simulator, driven by the real python-telegram-bot client over real HTTP."""

import asyncio
import base64
import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from telegram import Bot, InlineKeyboardButton, InlineKeyboardMarkup
from telegram.error import BadRequest, ChatMigrated, Conflict, Forbidden, InvalidToken, NetworkError, RetryAfter

from services.channel_gateway.simulator.platforms.telegram import markup
from services.channel_gateway.simulator.platforms.telegram.errors import BotError
from services.channel_gateway.simulator.platforms.telegram.limits import Limits
from tests.channel_gateway.simulator.gateway_double import GatewayDouble, eventually
from tests.channel_gateway.simulator.telegram.conftest import ANA, SECRET, BotAccount, simulate
from tests.channel_gateway.simulator.test_send_api import shape

EXCHANGES = Path(__file__).parents[2] / "channels" / "telegram" / "exchanges"
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGP4DwABAQEANl9ngAAAAABJRU5ErkJggg=="


def updates(gateway: GatewayDouble) -> list[dict[str, Any]]:
    return [webhook.json for webhook in gateway.webhooks]


async def idle(simulator: httpx.AsyncClient) -> None:
    """Wait until nothing is owed to the gateway; an errand is closed a moment after its answer is known."""
    async with asyncio.timeout(5):
        while (await simulator.get("/pending")).json() != {"pending": 0}:
            await asyncio.sleep(0.02)


async def test_an_update_as_telegram_posts_it(
    simulator: httpx.AsyncClient, account: BotAccount, gateway: GatewayDouble
) -> None:
    answer = await simulate(simulator, account, text="Größe? 👍", name="Alex Example", duplicates=1)
    assert [webhook["status"] for webhook in answer["webhooks"]] == [200, 200]
    first, second = gateway.webhooks
    assert first.body == second.body
    assert first.path == f"/webhooks/telegram/{account.id}"
    assert first.headers["X-Telegram-Bot-Api-Secret-Token"] == SECRET
    message = first.json["message"]
    assert answer["external_ids"] == [f"{ANA}:{message['message_id']}"]
    assert (message["from"]["last_name"], message["chat"]) == (
        "Example",
        {"id": ANA, "first_name": "Alex", "last_name": "Example", "type": "private"},
    )


async def test_a_forged_update_has_another_secret(
    simulator: httpx.AsyncClient, account: BotAccount, gateway: GatewayDouble
) -> None:
    gateway.answers = [401]
    answer = await simulate(simulator, account, text="x", forged=True)
    assert answer["webhooks"][0]["status"] == 401
    assert gateway.webhooks[0].headers["X-Telegram-Bot-Api-Secret-Token"] != SECRET
    await idle(simulator)


async def test_a_refused_update_holds_up_its_own_chat_alone(
    simulator: httpx.AsyncClient, account: BotAccount, gateway: GatewayDouble
) -> None:
    gateway.answers = [500]
    batch = [
        {"from": "1", "text": "a1"},
        {"from": "1", "text": "a2"},
        {"from": "2", "text": "b1"},
    ]
    await simulator.post(f"/simulate/telegram/{account.id}", json={"batch": batch})
    await eventually(lambda: len(gateway.webhooks) == 4)
    texts = [update["message"]["text"] for update in updates(gateway)]
    refused = texts[0]
    assert [text for text in texts if text.startswith("a")] in (["a1", "a1", "a2"], ["a1", "a2"])
    assert texts.count(refused) == 2


async def test_the_bot_introduces_itself(bot: Bot, account: BotAccount) -> None:
    me = await bot.get_me()
    assert (str(me.id), me.is_bot, me.first_name) == (account.token.partition(":")[0], True, "Example Bot")


async def test_webhook_is_set_shown_used_and_deleted(
    simulator: httpx.AsyncClient, account: BotAccount, gateway: GatewayDouble, bot: Bot
) -> None:
    url = f"{gateway.url}/webhooks/elsewhere"
    assert await bot.set_webhook(url, secret_token="another_1", allowed_updates=["message"])
    info = await bot.get_webhook_info()
    assert (info.url, info.allowed_updates, info.max_connections) == (url, ("message",), 40)
    await simulate(simulator, account, text="hi")
    assert gateway.webhooks[-1].path == "/webhooks/elsewhere"
    assert gateway.webhooks[-1].headers["X-Telegram-Bot-Api-Secret-Token"] == "another_1"
    unwanted = {"message_reaction": {"message_id": 1, "new_reaction": []}}
    await simulator.post(f"/simulate/telegram/{account.id}", json={"from": "1", "message": unwanted})
    await idle(simulator)
    assert len(gateway.webhooks) == 1
    with pytest.raises(Conflict):
        await bot.get_updates()
    assert await bot.delete_webhook()
    assert (await bot.get_webhook_info()).url == ""


async def test_a_failing_webhook_shows_in_its_info(
    simulator: httpx.AsyncClient, account: BotAccount, gateway: GatewayDouble, bot: Bot
) -> None:
    gateway.answers = [500] * 40
    await simulator.post(f"/simulate/telegram/{account.id}", json={"from": "1", "text": "hi"})
    await eventually(lambda: len(gateway.webhooks) >= 2)
    info = await bot.get_webhook_info()
    assert info.pending_update_count == 1
    assert info.last_error_message == "Wrong response from the webhook: 500"
    gateway.answers = []


@pytest.mark.parametrize("url", ["http://shop.example/x", "https://shop.example:9000/x", "https://[", "ftp://x"])
async def test_webhook_addresses_that_telegram_refuses(bot: Bot, url: str) -> None:
    with pytest.raises(BadRequest, match=r"(?i)bad webhook"):
        await bot.set_webhook(url)


async def test_secret_tokens_have_an_alphabet(bot: Bot) -> None:
    with pytest.raises(BadRequest, match="unallowed characters"):
        await bot.set_webhook("https://shop.example/x", secret_token="with space")


@pytest.mark.parametrize(
    "name",
    ["text", "text_html_reply", "inline_keyboard", "photo_url", "media_group", "chat_action", "set_reaction"],
)
async def test_recorded_request_gets_the_recorded_answer(
    simulator: httpx.AsyncClient, account: BotAccount, chat: int, name: str
) -> None:
    recorded = json.loads((EXCHANGES / f"{name}.json").read_text())
    method = recorded["request"]["url"].rpartition("/")[2]
    answer = await simulator.post(f"/bot{account.token}/{method}", json=recorded["request"]["json"])
    assert answer.status_code == 200, answer.text
    found, wanted = answer.json()["result"], recorded["response"]["json"]["result"]
    pairs = zip(found, wanted, strict=True) if isinstance(wanted, list) else [(found, wanted)]
    for one, other in pairs:
        assert shape(other) == (shape({key: one[key] for key in other}) if isinstance(other, dict) else shape(one))


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("blocked", "403_blocked"),
        ("deactivated", "403_deactivated"),
        ("kicked", "403_kicked_from_group"),
        ("chat_not_found", "400_chat_not_found"),
        ("too_long", "400_too_long"),
        ("parse_entities", "400_parse_entities"),
        ("401", "401"),
        ("404", "404_bad_token"),
    ],
)
async def test_ordered_error_is_the_platforms_own(
    simulator: httpx.AsyncClient, account: BotAccount, chat: int, name: str, file: str
) -> None:
    recorded = json.loads((EXCHANGES / f"error_{file}.json").read_text())["response"]
    await simulator.put("/faults", json={"channel": "telegram", "errors": {name: 1}})
    answer = await simulator.post(f"/bot{account.token}/sendMessage", json={"chat_id": chat, "text": "x"})
    assert (answer.status_code, answer.json()) == (recorded["status"], recorded["json"])
    assert (await simulator.get("/sent")).json()["items"] == []


@pytest.mark.parametrize(
    ("fault", "error"), [("rate_429", RetryAfter), ("rate_500", NetworkError), ("rate_502", NetworkError)]
)
async def test_faults_in_the_platforms_form(
    simulator: httpx.AsyncClient, bot: Bot, chat: int, fault: str, error: type[Exception]
) -> None:
    await simulator.put("/faults", json={"channel": "telegram", fault: 1})
    with pytest.raises(error):
        await bot.send_message(chat, "x")


async def test_a_lost_answer_was_sent_all_the_same(simulator: httpx.AsyncClient, bot: Bot, chat: int) -> None:
    await simulator.put("/faults", json={"channel": "telegram", "rate_reset_after": 1})
    with pytest.raises(NetworkError):
        await bot.send_message(chat, "x")
    [item] = (await simulator.get("/sent", params={"channel": "telegram"})).json()["items"]
    assert (item["to"], item["text"]) == (str(chat), "x")


async def test_accepted_message_is_recorded(simulator: httpx.AsyncClient, bot: Bot, chat: int) -> None:
    message = await bot.send_message(chat, "<b>Total</b> 5 &lt; 6", parse_mode="HTML", reply_to_message_id=3)
    assert (message.text, message.reply_to_message and message.reply_to_message.message_id) == ("Total 5 < 6", 3)
    [item] = (await simulator.get("/sent")).json()["items"]
    assert (item["text"], item["external_id"]) == ("Total 5 < 6", f"{chat}:{message.message_id}")
    assert item["payload"]["text"] == "<b>Total</b> 5 &lt; 6"


@pytest.mark.parametrize(
    ("call", "description"),
    [
        ({"chat_id": 1, "text": "x"}, "chat not found"),
        ({"chat_id": "@shop", "text": "x"}, "chat not found"),
        ({"text": "x"}, "chat_id is empty"),
        ({"chat_id": ANA, "text": ""}, "message text is empty"),
        ({"chat_id": ANA, "text": "x" * 4097}, "message is too long"),
        ({"chat_id": ANA, "text": "👍" * 2049}, "message is too long"),
        ({"chat_id": ANA, "text": "5 < 6", "parse_mode": "HTML"}, 'Unsupported start tag "" at byte offset 2'),
        ({"chat_id": ANA, "text": "x", "parse_mode": "latex"}, "unsupported parse_mode"),
        ({"chat_id": ANA, "text": "x", "reply_markup": "{"}, "can't parse reply markup JSON object"),
        ({"chat_id": ANA, "text": "x", "reply_markup": {"inline_keyboard": [1]}}, "Array of Arrays"),
        ({"chat_id": ANA, "text": "x", "reply_markup": {"inline_keyboard": [[{"text": "a"}]]}}, "unallowed"),
        (
            {
                "chat_id": ANA,
                "text": "x",
                "reply_markup": {"inline_keyboard": [[{"text": "a", "callback_data": "é" * 33}]]},
            },
            "BUTTON_DATA_INVALID",
        ),
        (
            {"chat_id": ANA, "text": "x", "reply_markup": {"inline_keyboard": [[{"text": "a", "url": "shop"}]]}},
            "Unsupported URL protocol",
        ),
        ({"chat_id": ANA, "text": "x", "reply_parameters": {}}, "message identifier is not specified"),
    ],
)
async def test_invalid_message_is_refused(
    simulator: httpx.AsyncClient, account: BotAccount, chat: int, call: dict[str, Any], description: str
) -> None:
    answer = await simulator.post(f"/bot{account.token}/sendMessage", json=call)
    assert (answer.status_code, answer.json()["ok"]) == (400, False)
    assert description in answer.json()["description"]


@pytest.mark.parametrize(
    ("method", "call", "description"),
    [
        ("sendChatAction", {"action": "dancing"}, "wrong parameter action"),
        ("setMessageReaction", {"message_id": 1, "reaction": [{"type": "emoji", "emoji": "🦖"}]}, "REACTION_INVALID"),
        ("answerCallbackQuery", {"callback_query_id": "1"}, "query is too old"),
        ("getFile", {"file_id": "nonsense"}, "wrong file_id"),
        ("editMessageText", {"message_id": 1, "text": "x"}, "message to edit not found"),
        ("deleteMessage", {"message_id": 1}, "message to delete not found"),
        ("sendPhoto", {}, "there is no photo in the request"),
        ("sendMediaGroup", {"media": []}, "wrong number of messages"),
    ],
)
async def test_other_methods_refuse_too(
    simulator: httpx.AsyncClient, account: BotAccount, chat: int, method: str, call: dict[str, Any], description: str
) -> None:
    answer = await simulator.post(f"/bot{account.token}/{method}", json={"chat_id": chat, **call})
    assert answer.status_code == 400
    assert description in answer.json()["description"]


async def test_tokens(simulator: httpx.AsyncClient, account: BotAccount) -> None:
    statuses = [
        (await simulator.get(f"/bot{token}/{method}")).status_code
        for token, method in (
            (account.token, "getMe"),
            (account.token, "getme"),
            (account.token + "x", "getMe"),
            ("nonsense", "getMe"),
            (account.token, "getNothing"),
            ("123456:not-yet-connected", "getMe"),
        )
    ]
    assert statuses == [200, 200, 401, 404, 404, 200]


async def test_the_real_client_sees_a_wrong_token(simulator: httpx.AsyncClient, account: BotAccount) -> None:
    with pytest.raises(InvalidToken):
        async with Bot(account.token + "x", base_url=f"{str(simulator.base_url).rstrip('/')}/bot"):
            pass


async def test_blocking_and_moving(simulator: httpx.AsyncClient, account: BotAccount, bot: Bot, chat: int) -> None:
    for status, raised in (("kicked", True), ("member", False)):
        await simulate(simulator, account, message={"my_chat_member": {"new_chat_member": {"status": status}}})
        if raised:
            with pytest.raises(Forbidden, match="blocked by the user"):
                await bot.send_message(chat, "x")
        else:
            await bot.send_message(chat, "x")
    group = {"id": -500, "type": "group", "title": "Club"}
    await simulate(simulator, account, message={"chat": group, "migrate_to_chat_id": -1009})
    with pytest.raises(ChatMigrated) as error:
        await bot.send_message(-500, "x")
    assert error.value.new_chat_id == -1009
    await bot.send_message(-1009, "x")


async def test_a_tapped_button_spins_until_it_is_answered(
    simulator: httpx.AsyncClient, account: BotAccount, gateway: GatewayDouble, bot: Bot, chat: int
) -> None:
    keyboard = InlineKeyboardMarkup([[InlineKeyboardButton("Yes", callback_data="confirm:1")]])
    sent = await bot.send_message(chat, "Deliver?", reply_markup=keyboard)
    await simulate(simulator, account, message={"callback_query": {"data": "confirm:1"}})
    query = updates(gateway)[-1]["callback_query"]
    assert query["message"]["message_id"] == sent.message_id
    assert query["message"]["reply_markup"]["inline_keyboard"][0][0]["text"] == "Yes"
    assert await bot.answer_callback_query(query["id"])
    with pytest.raises(BadRequest, match=r"(?i)query is too old"):
        await bot.answer_callback_query(query["id"])


async def test_files_go_both_ways(
    simulator: httpx.AsyncClient, account: BotAccount, gateway: GatewayDouble, bot: Bot, chat: int
) -> None:
    content = base64.b64encode(b"%PDF-1.7 example").decode()
    document = {"file_name": "offer.pdf", "mime_type": "application/pdf", "content": content}
    await simulate(simulator, account, message={"document": document})
    received = updates(gateway)[-1]["message"]["document"]
    assert "content" not in received
    file = await bot.get_file(received["file_id"])
    assert bytes(await file.download_as_bytearray()) == b"%PDF-1.7 example"
    sent = await bot.send_document(chat, b"reply", filename="a.txt", caption="here")
    assert (sent.document and sent.document.file_name, sent.caption) == ("a.txt", "here")
    photo = await bot.send_photo(chat, base64.b64decode(PIXEL))
    assert photo.photo
    with pytest.raises(BadRequest, match=r"(?i)image_process_failed"):
        await bot.send_photo(chat, b"no picture")


async def test_large_files_are_not_given(
    simulator: httpx.AsyncClient, account: BotAccount, gateway: GatewayDouble, bot: Bot
) -> None:
    await simulate(simulator, account, message={"video": {"file_size": 21 * 1024 * 1024}})
    with pytest.raises(BadRequest, match=r"(?i)file is too big"):
        await bot.get_file(updates(gateway)[-1]["message"]["video"]["file_id"])


async def test_an_edited_text_must_be_another(bot: Bot, chat: int) -> None:
    sent = await bot.send_message(chat, "hello")
    edited = await bot.edit_message_text("hello again", chat, sent.message_id)
    assert not isinstance(edited, bool)
    assert edited.text == "hello again"
    with pytest.raises(BadRequest, match="not modified"):
        await bot.edit_message_text("hello again", chat, sent.message_id)


async def test_a_call_in_the_answer_to_an_update_is_carried_out(
    simulator: httpx.AsyncClient, account: BotAccount, bot: Bot, chat: int
) -> None:
    recorded = json.loads((EXCHANGES / "method_in_webhook_response.json").read_text())["response"]["json"]

    async def answer(request: web.Request) -> web.Response:
        return web.json_response(recorded)

    async with TestServer(_app(answer)) as server:
        await bot.set_webhook(str(server.make_url("/hook")))
        await simulate(simulator, account, text="hi")
    [item] = (await simulator.get("/sent")).json()["items"]
    assert (item["to"], item["text"]) == (str(ANA), "hello")


def _app(handler: Any) -> web.Application:
    app = web.Application()
    app.router.add_post("/hook", handler)
    return app


async def test_too_many_messages_to_one_person(simulator: httpx.AsyncClient, bot: Bot, chat: int) -> None:
    async def flood() -> None:
        for number in range(30):
            await bot.send_message(chat, str(number))

    with pytest.raises(RetryAfter):
        await flood()
    assert 20 <= len((await simulator.get("/sent")).json()["items"]) < 30


async def test_a_sender_without_a_number(simulator: httpx.AsyncClient, account: BotAccount) -> None:
    answer = await simulator.post(f"/simulate/telegram/{account.id}", json={"from": "ana", "text": "x"})
    assert answer.status_code == 422


def test_limits_by_person_group_and_bot() -> None:
    now = 0.0
    limits = Limits(lambda: now)
    assert [limits.take(1, 5) for _ in range(20)] == [0.0] * 20
    assert limits.take(1, 5) == pytest.approx(1.0)
    assert [limits.take(1, -5) for _ in range(20)] == [0.0] * 20
    assert limits.take(1, -5) == pytest.approx(3.0)
    assert [limits.take(1, chat) for chat in range(100, 120)] == [0.0] * 20
    assert limits.take(1, 200) == pytest.approx(1 / 30)
    assert limits.take(2, 5) == 0.0
    now = 1.0
    assert limits.take(1, 5) == 0.0


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain & simple", "plain & simple"),
        ("<b>bold</b> <i>it</i>", "bold it"),
        ('<a href="https://x.example/?a=1&amp;b=2">link</a>', "link"),
        ("5 &lt; 6 &amp; &#128077; &nbsp;", "5 < 6 & 👍 &nbsp;"),
        ('<pre><code class="language-py">x</code></pre>', "x"),
        ("<blockquote expandable>x</blockquote>", "x"),
        ('<span class="tg-spoiler">x</span>', "x"),
    ],
)
def test_mark_up_that_telegram_takes(text: str, shown: str) -> None:
    assert markup.plain(text) == shown


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("5 < 6", 'Unsupported start tag "" at byte offset 2'),
        ("é <p>x</p>", 'Unsupported start tag "p" at byte offset 3'),
        ("<b>x", 'Can\'t find end tag corresponding to start tag "b"'),
        ("x</b>", "Unexpected end tag at byte offset 1"),
        ("<b><i>x</b></i>", 'Unmatched end tag at byte offset 7, expected "</i>", found "</b>"'),
        ("<b", "Unclosed start tag at byte offset 0"),
        ("<span>x</span>", 'Tag "span" must have class "tg-spoiler"'),
    ],
)
def test_mark_up_that_it_refuses(text: str, error: str) -> None:
    with pytest.raises(BotError, match="can't parse entities") as raised:
        markup.plain(text)
    assert error in raised.value.text
