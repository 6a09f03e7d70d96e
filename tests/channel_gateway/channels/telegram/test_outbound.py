"""Sending over real HTTP to a stand-in that gives Telegram's recorded answers and takes documented requests only."""

import asyncio
import json
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from packages.core.domain.messages import Button, InboundMessage, Reaction, Sender, Signal, Template
from services.channel_gateway.channels import File, SendResult
from services.channel_gateway.channels.telegram import bot as bot_module
from services.channel_gateway.channels.telegram import channel
from services.channel_gateway.channels.telegram.outbound import callback_data
from tests.channel_gateway.channels.telegram.bot_server import TOKEN, BotServer, message
from tests.contracts.channel import part

HERE = Path(__file__).parent
CASES = json.loads((HERE / "exchanges_expected.json").read_text())
OUTCOMES = {
    "accepted": "sent",
    "ok": "sent",
    "retry": "retry",
    "permanent": "failed",
    "channel_down": "failed",
    "retry_other_recipient": "retry",
}
# Not sent by this adapter, and why. Their answers are still understood where they are a send's or an error's.
ELSEWHERE = {
    "answer_callback.json": "test_a_tap_is_answered",
    "chat_action.json": "test_typing",
    "get_file.json": "test_files.py",
    "get_file_too_big.json": "test_files.py",
    "set_webhook.json": "test_setup.py",
    "webhook_info_with_error.json": "test_setup.py",
    "media_group.json": "one part is one message: an album would be one request for several parts",
    "method_in_webhook_response.json": "a call in the webhook's answer would never tell the message's id",
}
ANSWER_ONLY = {
    "edit_text.json": "messages are not edited",
    "photo_url.json": "files are uploaded, so that Telegram needs no way to our store",
    "text_markdownv2_escaped.json": "mark-up is HTML",
    "error_400_not_modified.json": "messages are not edited",
    "error_400_query_too_old.json": "taps are answered without waiting for what comes of it",
    "error_409_polling_conflict.json": "updates are not polled",
}
SENDS = [case for case in CASES if case["file"] not in ELSEWHERE]


def exchange(file: str) -> dict[str, Any]:
    recorded: dict[str, Any] = json.loads((HERE / "exchanges" / file).read_text())
    return recorded


def file(kind: str = "image", media_type: str = "image/png", name: str = "a.png", data: bytes = b"bytes") -> File:
    async def read() -> bytes:
        return data

    return File(kind=kind, media_type=media_type, filename=name, size=len(data), url="https://x.example/a", read=read)


async def send(
    server: BotServer, http: aiohttp.ClientSession, text: str = "hello", recipient: str = "700000001", **more: Any
) -> SendResult:
    return await channel.send(part(text, recipient, **more), server.account(), http)


def as_part(request: dict[str, Any]) -> dict[str, Any]:
    """What our side would be asked to send for a recorded request."""
    recipient = str(request["chat_id"])
    business = request.get("business_connection_id")
    place = f"{recipient}@{business}" if business else recipient
    more: dict[str, Any] = {"recipient": place, "text": request.get("text", "")}
    if request.get("parse_mode") == "HTML":
        more["plain"] = "the same without mark-up"
    if "reply_parameters" in request:
        more["reply_to"] = f"{place}:{request['reply_parameters']['message_id']}"
    if "reply_markup" in request:
        rows = request["reply_markup"]["inline_keyboard"]
        more["buttons"] = tuple(Button(title=b["text"], payload=b["callback_data"]) for row in rows for b in row)
    if "reaction" in request:
        emoji = request["reaction"][0]["emoji"]
        more["reaction"] = Reaction(target=f"{place}:{request['message_id']}", emoji=emoji)
    return more


@pytest.mark.parametrize("case", SENDS, ids=[case["file"] for case in SENDS])
async def test_recorded_exchange(server: BotServer, http: aiohttp.ClientSession, case: dict[str, Any]) -> None:
    recorded, expected = exchange(case["file"]), case["expected"]
    request, answer = recorded["request"]["json"], recorded["response"]
    unused = case["file"] in ANSWER_ONLY
    marked = request.get("parse_mode") == "HTML" and "parse" in case["file"]
    server.answers = [(answer["status"], answer["json"])] * (2 if marked else 1)
    result = await send(server, http, **({} if unused else as_part(request)))
    assert result.outcome == OUTCOMES[expected["outcome"]]
    if "external_id" in expected:
        assert (result.external_id or "").rpartition(":")[2] == expected["external_id"]
    assert result.account_down == (expected["outcome"] == "channel_down")
    assert result.moved_to == expected.get("new_conversation")
    if "retry_after" in expected:
        assert result.retry_after == expected["retry_after"]
    if result.outcome != "sent":
        assert result.code == str(answer["status"])
        assert result.reason
    if unused:
        return
    method, sent = server.calls[0]
    assert method == recorded["request"]["url"].rpartition("/")[2]
    if method == "sendMessage":
        assert sent.pop("link_preview_options") == {"is_disabled": True}
        request.pop("link_preview_options", None)
    assert sent == request


def test_every_recorded_exchange_is_accounted_for() -> None:
    files = {case["file"] for case in CASES}
    assert len(CASES) == 30
    assert set(ELSEWHERE) | set(ANSWER_ONLY) <= files


async def test_mark_up_that_telegram_refuses_goes_again_as_plain_words(
    server: BotServer, http: aiohttp.ClientSession
) -> None:
    refusal = exchange("error_400_parse_entities.json")["response"]
    server.answers = [(400, refusal["json"]), (200, message(7))]
    result = await send(server, http, "<b>5 < 6</b>", plain="5 < 6")
    assert (result.outcome, result.external_id) == ("sent", "700000001:7")
    assert [(call["text"], call.get("parse_mode")) for _, call in server.calls] == [
        ("<b>5 < 6</b>", "HTML"),
        ("5 < 6", None),
    ]


async def test_text_without_mark_up_is_not_interpreted(server: BotServer, http: aiohttp.ClientSession) -> None:
    await send(server, http, "5 < 6 & more")
    assert "parse_mode" not in server.calls[0][1]


@pytest.mark.parametrize(
    ("kind", "media_type", "method", "field"),
    [
        ("image", "image/jpeg", "sendPhoto", "photo"),
        ("image", "image/gif", "sendAnimation", "animation"),
        ("image", "image/tiff", "sendDocument", "document"),
        ("video", "video/mp4", "sendVideo", "video"),
        ("video", "video/webm", "sendDocument", "document"),
        ("audio", "audio/ogg; codecs=opus", "sendVoice", "voice"),
        ("audio", "audio/mpeg", "sendAudio", "audio"),
        ("audio", "audio/amr", "sendDocument", "document"),
        ("document", "application/pdf", "sendDocument", "document"),
        ("sticker", "image/webp", "sendSticker", "sticker"),
    ],
)
async def test_files_by_their_own_method(
    server: BotServer, http: aiohttp.ClientSession, kind: str, media_type: str, method: str, field: str
) -> None:
    sent = file(kind, media_type, "größe 1.bin")
    result = await send(server, http, "<b>look</b>", plain="look", file=sent, buttons=(Button(title="Ok"),))
    assert result.outcome == "sent", result.reason
    name, call = server.calls[0]
    assert name == method
    assert (call[field][0], call[field][2]) == ("größe 1.bin", b"bytes")
    assert json.loads(call["reply_markup"])["inline_keyboard"][0][0]["text"] == "Ok"
    assert (call.get("caption"), call.get("parse_mode")) == (
        (None, None) if method == "sendSticker" else ("<b>look</b>", "HTML")
    )


@pytest.mark.parametrize(
    "said",
    [
        "Bad Request: PHOTO_INVALID_DIMENSIONS",
        "Bad Request: IMAGE_PROCESS_FAILED",
        "Bad Request: file of size 10485761 bytes is too big for a photo; the maximum size is 10485760 bytes",
    ],
)
async def test_what_is_no_picture_to_telegram_goes_as_a_document(
    server: BotServer, http: aiohttp.ClientSession, said: str
) -> None:
    server.answers = [(400, {"ok": False, "error_code": 400, "description": said})]
    assert (await send(server, http, "", file=file())).outcome == "sent"
    assert [method for method, _ in server.calls] == ["sendPhoto", "sendDocument"]


@pytest.mark.filterwarnings("error")
async def test_a_large_file_goes_in_pieces(server: BotServer, http: aiohttp.ClientSession) -> None:
    data = b"x" * 3_000_000
    result = await send(server, http, "", file=file("document", "application/pdf", "a.pdf", data))
    assert result.outcome == "sent"
    assert len(server.calls[0][1]["document"][2]) == 3_000_000


@pytest.mark.parametrize("name", ['a"b.pdf', "a\r\nX-Header: 1.pdf", "größe.pdf", "emoji 👍.pdf"])
async def test_no_name_of_a_file_breaks_the_form(server: BotServer, http: aiohttp.ClientSession, name: str) -> None:
    result = await send(server, http, "<b>x</b>", plain="x", file=file("document", "application/pdf", name))
    assert result.outcome == "sent", result.reason
    assert set(server.calls[0][1]) == {"chat_id", "document", "caption", "parse_mode"}
    assert server.calls[0][1]["document"][0].endswith(".pdf")


async def test_a_file_without_a_name_gets_an_ending(server: BotServer, http: aiohttp.ClientSession) -> None:
    await send(server, http, "", file=file("document", "application/pdf", ""))
    assert server.calls[0][1]["document"][0] == "file.pdf"


async def test_buttons_beneath_each_other_and_side_by_side(server: BotServer, http: aiohttp.ClientSession) -> None:
    titles = ["Yes", "No", "Maybe", "Later", "A title of some length, alone", "Site"]
    buttons = [Button(title=title, payload=f"p:{title}") for title in titles[:-1]]
    await send(server, http, buttons=(*buttons, Button(title="Site", url="https://shop.example/")))
    rows = server.calls[0][1]["reply_markup"]["inline_keyboard"]
    assert [[button["text"] for button in row] for row in rows] == [
        ["Yes", "No", "Maybe"],
        ["Later"],
        ["A title of some length, alone"],
        ["Site"],
    ]
    assert rows[0][0]["callback_data"] == "p:Yes"
    assert rows[3][0]["url"] == "https://shop.example/"


@pytest.mark.parametrize(
    ("payload", "data"),
    [(None, "Größe"), ("x" * 64, "x" * 64), ("x" * 65, "Größe"), ("é" * 33, "Größe"), ("", "Größe")],
)
def test_payloads_that_do_not_fit_stay_behind(payload: str | None, data: str) -> None:
    assert callback_data(Button(title="Größe", payload=payload)) == data


def test_titles_are_cut_between_characters() -> None:
    assert callback_data(Button(title="é" * 40)) == "é" * 32


@pytest.mark.parametrize(
    ("recipient", "place"),
    [
        ("-1009000000005", {"chat_id": -1009000000005}),
        ("-1009000000005/4", {"chat_id": -1009000000005, "message_thread_id": 4}),
        ("5@C-1_x", {"chat_id": 5, "business_connection_id": "C-1_x"}),
        ("4503599627370495", {"chat_id": 4503599627370495}),
    ],
)
async def test_addresses(server: BotServer, http: aiohttp.ClientSession, recipient: str, place: dict[str, Any]) -> None:
    await send(server, http, recipient=recipient)
    names = ("chat_id", "message_thread_id", "business_connection_id")
    assert {name: server.calls[0][1][name] for name in names if name in server.calls[0][1]} == place


@pytest.mark.parametrize("recipient", ["ana", "", "5;drop", "5@", "5/x", "１２"])
async def test_what_is_no_address_fails(server: BotServer, http: aiohttp.ClientSession, recipient: str) -> None:
    result = await send(server, http, recipient=recipient)
    assert (result.outcome, result.code, server.calls) == ("failed", "bad_address", [])


@pytest.mark.parametrize("reply_to", ["6:13", "700000001@C1:13", "700000001:x", "nonsense"])
async def test_a_message_of_another_chat_is_not_answered_to(
    server: BotServer, http: aiohttp.ClientSession, reply_to: str
) -> None:
    await send(server, http, reply_to=reply_to)
    assert "reply_parameters" not in server.calls[0][1]


@pytest.mark.parametrize(
    ("emoji", "reaction"),
    [("👍", [{"type": "emoji", "emoji": "👍"}]), ("❤️", [{"type": "emoji", "emoji": "❤"}]), (None, [])],
)
async def test_reactions(
    server: BotServer, http: aiohttp.ClientSession, emoji: str | None, reaction: list[dict[str, str]]
) -> None:
    wanted = Reaction(target="700000001:13", emoji=emoji)
    result = await send(server, http, "", reaction=wanted)
    assert (result.outcome, result.external_id) == ("sent", None)
    assert server.calls == [
        ("setMessageReaction", {"chat_id": 700000001, "message_id": 13, "reaction": reaction}),
    ]


@pytest.mark.parametrize(
    ("recipient", "more", "code"),
    [
        ("5", {"reaction": Reaction(target="6:1", emoji="👍")}, "no_target"),
        ("5@C1", {"reaction": Reaction(target="5@C1:1", emoji="👍")}, "no_reactions"),
        ("5", {"template": Template(name="hello")}, "no_templates"),
    ],
)
async def test_what_telegram_has_not(
    server: BotServer, http: aiohttp.ClientSession, recipient: str, more: dict[str, Any], code: str
) -> None:
    result = await send(server, http, recipient=recipient, **more)
    assert (result.outcome, result.code, server.calls) == ("failed", code, [])


@pytest.mark.parametrize(
    ("status", "answer", "outcome", "code"),
    [
        (200, "", "in_doubt", "no_answer"),
        (200, "<html>", "in_doubt", "no_answer"),
        (200, {"ok": True, "result": True}, "in_doubt", "no_answer"),
        (200, {"ok": True}, "in_doubt", "no_answer"),
        (200, [], "in_doubt", "no_answer"),
        (None, "", "in_doubt", "no_answer"),
        (502, "<html>Bad Gateway</html>", "retry", "502"),
        (500, {"ok": False}, "retry", "500"),
        (429, "slow down", "retry", "429"),
        (413, "<html>Request Entity Too Large</html>", "failed", "413"),
        (302, "", "failed", "302"),
        (400, {"ok": False, "description": 7, "parameters": []}, "failed", "400"),
        (400, {"ok": False, "description": "Bad Request: BUSINESS_PEER_USAGE_MISSING"}, "held", "400"),
        (400, {"ok": False, "description": "Logged out"}, "failed", "400"),
    ],
)
async def test_any_answer_has_a_meaning(
    server: BotServer, http: aiohttp.ClientSession, status: int | None, answer: Any, outcome: str, code: str
) -> None:
    server.answers = [(status, answer)]
    result = await send(server, http)
    assert (result.outcome, result.code) == (outcome, code)
    assert TOKEN not in repr(result)


async def test_silence_is_in_doubt(http: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch) -> None:
    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    monkeypatch.setattr(bot_module, "TIMEOUT_SECONDS", 0.2)
    silent = await asyncio.start_server(hang, "127.0.0.1", 0)
    server = BotServer(url=f"http://127.0.0.1:{silent.sockets[0].getsockname()[1]}")
    result = await send(server, http)
    silent.close()
    assert (result.outcome, result.code) == ("in_doubt", "no_answer")


async def test_the_token_does_not_show(server: BotServer, http: aiohttp.ClientSession) -> None:
    assert TOKEN not in repr(bot_module.bot_of(server.account(), http))


async def test_an_empty_token_puts_the_account_out_of_order(server: BotServer, http: aiohttp.ClientSession) -> None:
    result = await channel.send(part("x", "5"), server.account(bot_token=""), http)
    assert (result.outcome, result.account_down, result.scope) == ("failed", True, "account")


@pytest.mark.parametrize("recipient", ["700000001", "-100/4", "5@C1"])
async def test_typing(server: BotServer, http: aiohttp.ClientSession, recipient: str) -> None:
    recorded = exchange("chat_action.json")["request"]["json"]
    signal = Signal(kind="typing", channel_config_id="c", recipient=recipient)
    await channel.signal(signal, server.account(), http)
    [(method, call)] = server.calls
    assert (method, call["action"]) == ("sendChatAction", recorded["action"])


@pytest.mark.parametrize(
    ("recipient", "external_id", "calls"),
    [
        ("5@C1", "5@C1:9", [("readBusinessMessage", {"business_connection_id": "C1", "chat_id": 5, "message_id": 9})]),
        ("5", "5:9", []),
        ("5@C1", None, []),
        ("nobody", "5:9", []),
    ],
)
async def test_read_marks_in_business_chats(
    server: BotServer,
    http: aiohttp.ClientSession,
    recipient: str,
    external_id: str | None,
    calls: list[tuple[str, dict[str, Any]]],
) -> None:
    signal = Signal(kind="read", channel_config_id="c", recipient=recipient, external_id=external_id)
    await channel.signal(signal, server.account(), http)
    assert server.calls == calls


def tap(**extra: Any) -> InboundMessage:
    sender = Sender(external_id="5")
    return InboundMessage(channel_config_id="c", external_id="update:1", sender=sender, kind="postback", extra=extra)


async def test_a_tap_is_answered(server: BotServer, http: aiohttp.ClientSession) -> None:
    query_id = exchange("answer_callback.json")["request"]["json"]["callback_query_id"]
    await channel.accept(tap(callback_query_id=query_id), server.account(), http)
    await channel.accept(tap(), server.account(), http)
    assert server.calls == [("answerCallbackQuery", {"callback_query_id": query_id})]


async def test_signals_do_not_raise(server: BotServer, http: aiohttp.ClientSession) -> None:
    too_old = exchange("error_400_query_too_old.json")["response"]
    server.answers = [(400, too_old["json"]), (500, ""), (None, "")]
    await channel.accept(tap(callback_query_id="1"), server.account(), http)
    for _ in range(2):
        await channel.signal(Signal(kind="typing", channel_config_id="c", recipient="5"), server.account(), http)
    assert len(server.calls) == 3
