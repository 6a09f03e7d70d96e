"""Recorded requests and answers, requests of every kind against the documented schema, and how sends end."""

import json
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from packages.core.domain.messages import Button, Reaction, Signal, Template
from services.channel_gateway.channels import File, Part
from services.channel_gateway.channels.instagram import channel, outbound
from services.channel_gateway.channels.instagram.outbound import REACTIONS, request_body
from tests.channel_gateway.channels.instagram.instagram_double import PERSON, TOKEN, Answer, InstagramDouble
from tests.channel_gateway.channels.instagram.send_schema import validate
from tests.contracts.channel import MESSAGE_ID, part

HERE = Path(__file__).parent
CASES = {case["file"]: case for case in json.loads((HERE / "exchanges_expected.json").read_text())}
OUTCOMES = {"accepted": "sent", "ok": "sent", "retry": "retry", "permanent": "failed", "channel_down": "failed"}
SEND = "POST /v26.0/me/messages"

# Exchanges that differ from how this product sends, and why; their answers are read all the same.
NOT_ASKED = {
    "generic_template.json": "buttons go as quick replies, links as a button template; no cards are made",
    "like_heart.json": "the product has no such sticker to send",
    "private_reply_to_comment.json": "comments are shown to agents and never answered from here",
}
HELD = {"error_10_2018278.json": "refused for the closed window: held, because it may go later"}


async def _bytes() -> bytes:
    return b"..."


def file(kind: str = "image", url: str = "https://cdn.example.com/a.jpg") -> File:
    return File(kind=kind, media_type="image/jpeg", filename="a.jpg", size=3, url=url, read=_bytes)


PARTS: dict[str, dict[str, Any]] = {
    "text.json": {"text": "Thank you for contacting us"},
    "text_reply_to.json": {"text": "About that", "reply_to": "aWdfZAG1EXAMPLEinbound0001"},
    "text_human_agent.json": {"text": "Sorry for the wait", "author": "agent", "outside_window": True},
    "image.json": {"text": "", "file": file()},
    "quick_replies.json": {
        "text": "Deliver today?",
        "buttons": (Button(title="Yes", payload="YES"), Button(title="No", payload="NO")),
    },
    "react.json": {"text": "", "reaction": Reaction(target="aWdfZAG1EXAMPLEinbound0001", emoji="❤️")},
}
SIGNALS = {"typing_on.json": "typing", "mark_seen.json": "read"}


def recorded(name: str) -> dict[str, Any]:
    exchange: dict[str, Any] = json.loads((HERE / "exchanges" / name).read_text())
    return exchange


def to(recipient: str = PERSON, **fields: Any) -> Part:
    return part(recipient=recipient, **fields)


def without_metadata(body: dict[str, Any]) -> dict[str, Any]:
    """The body without what is ours alone: the id that comes back with the echo."""
    message = {key: value for key, value in body.get("message", {}).items() if key != "metadata"}
    return body | ({"message": message} if message else {})


def test_every_exchange_is_tested_or_listed() -> None:
    assert set(CASES) == {path.name for path in (HERE / "exchanges").glob("*.json")}
    errors = {name for name in CASES if name.startswith("error_")}
    assert set(CASES) == PARTS.keys() | SIGNALS.keys() | NOT_ASKED.keys() | errors
    assert HELD.keys() <= errors


@pytest.mark.parametrize("name", sorted(CASES.keys() - SIGNALS.keys()))
async def test_recorded_exchange(instagram: InstagramDouble, http: aiohttp.ClientSession, name: str) -> None:
    exchange, expected = recorded(name), CASES[name]["expected"]
    instagram.prepare(SEND, Answer(exchange["response"]["status"], exchange["response"]["json"]))
    result = await channel.send(to(**PARTS.get(name, {"text": "x"})), instagram.account(), http)
    [asked] = instagram.asked
    if name not in NOT_ASKED:
        assert without_metadata(asked.body) == exchange["request"]["json"]
    assert asked.headers["Authorization"] == f"Bearer {TOKEN}"
    assert result.outcome == ("held" if name in HELD else OUTCOMES[expected["outcome"]])
    assert result.external_id == expected.get("external_id")
    assert result.account_down == (expected["outcome"] == "channel_down")
    assert result.code == (str(expected["code"]) if "code" in expected else None)
    assert bool(result.reason) == ("code" in expected)


@pytest.mark.parametrize(("name", "kind"), SIGNALS.items())
async def test_recorded_signal(instagram: InstagramDouble, http: aiohttp.ClientSession, name: str, kind: str) -> None:
    signal = Signal(kind=kind, channel_config_id="c", recipient=PERSON)
    await channel.signal(signal, instagram.account(), http)
    assert instagram.asked[0].body == recorded(name)["request"]["json"]


async def test_signal_of_another_kind_is_not_sent(instagram: InstagramDouble, http: aiohttp.ClientSession) -> None:
    await channel.signal(Signal(kind="dance", channel_config_id="c", recipient=PERSON), instagram.account(), http)
    assert instagram.asked == []


@pytest.mark.parametrize("name", sorted(CASES.keys() - NOT_ASKED.keys()))
def test_schema_takes_the_recorded_request(name: str) -> None:
    validate(recorded(name)["request"]["json"])


_TEXT = st.text(min_size=1, max_size=300)
_BUTTON = st.builds(
    Button,
    title=st.text(min_size=1, max_size=40),
    payload=st.none() | st.text(min_size=1, max_size=1200),
    url=st.none() | st.just("https://example.com/a"),
)


@settings(max_examples=150, deadline=None)
@given(
    text=st.text(min_size=1, max_size=1000),
    buttons=st.lists(_BUTTON, max_size=15),
    author=st.sampled_from(["bot", "agent", "system"]),
    outside=st.booleans(),
    reply_to=st.none() | st.just("m-1"),
)
def test_text_is_within_the_documented_schema(
    text: str, buttons: list[Button], author: str, outside: bool, reply_to: str | None
) -> None:
    sent = to(text=text, buttons=tuple(buttons), author=author, outside_window=outside, reply_to=reply_to)
    body = request_body(sent)
    validate(body)
    assert ("tag" in body) == (outside and author == "agent")


@pytest.mark.parametrize(("kind", "wanted"), [("document", "file"), ("sticker", "image"), ("video", "video")])
def test_file_is_within_the_documented_schema(kind: str, wanted: str) -> None:
    body = request_body(to(text="", file=file(kind)))
    validate(body)
    assert body["message"]["attachment"]["type"] == wanted


@pytest.mark.parametrize("emoji", [None, *REACTIONS, "❤️"])
def test_reaction_is_within_the_documented_schema(emoji: str | None) -> None:
    validate(request_body(to(text="", reaction=Reaction(target="m-1", emoji=emoji))))


def test_part_can_be_told_from_its_echo() -> None:
    assert request_body(to(text="Hi"))["message"]["metadata"] == MESSAGE_ID


@pytest.mark.parametrize("key", ["metadata", "reply_to"])
async def test_what_an_api_does_not_take_is_left_out(
    instagram: InstagramDouble, http: aiohttp.ClientSession, key: str
) -> None:
    quoting = to(text="Hi", reply_to="m-1")
    await channel.send(quoting, instagram.account(omit=[key]), http)
    body = instagram.asked[0].body
    assert key not in body | body["message"]


def test_links_go_beneath_a_short_text() -> None:
    buttons = (Button(title="Open", url="https://example.com/1"), Button(title="Later", payload="later"))
    payload = request_body(to(text="Track it", buttons=buttons))["message"]["attachment"]["payload"]
    assert [button["type"] for button in payload["buttons"]] == ["web_url", "postback"]


@pytest.mark.parametrize(("text", "count"), [("x" * 641, 1), ("Track it", 4)])
def test_links_beyond_the_templates_limits_become_lines(text: str, count: int) -> None:
    buttons = [Button(title=f"Open {number}", url=f"https://example.com/{number}") for number in range(count)]
    message = request_body(to(text=text, buttons=(*buttons, Button(title="Later"))))["message"]
    assert message["text"].splitlines()[1:] == [f"{button.title}: {button.url}" for button in buttons]
    assert [reply["title"] for reply in message["quick_replies"]] == ["Later"]


@pytest.mark.parametrize(
    "content", [{"template": Template(name="hello")}, {"reaction": Reaction(target="m-1", emoji="🦑")}]
)
async def test_what_instagram_does_not_have_is_not_asked_for(
    instagram: InstagramDouble, http: aiohttp.ClientSession, content: dict[str, Any]
) -> None:
    result = await channel.send(to(text="", **content), instagram.account(), http)
    assert (result.outcome, result.code, instagram.asked) == ("failed", "unsupported", [])


@pytest.mark.parametrize(
    ("settings_of_account", "wanted"),
    [
        ({}, "https://graph.instagram.com/v26.0/me"),
        ({"login": "facebook"}, "https://graph.facebook.com/v26.0/me"),
        ({"api_version": "v25.0"}, "https://graph.instagram.com/v25.0/me"),
        ({"api_base": "http://127.0.0.1:1/"}, "http://127.0.0.1:1/v26.0/me"),
    ],
)
def test_address_follows_the_settings(settings_of_account: dict[str, str], wanted: str) -> None:
    account = InstagramDouble().account(**({"api_base": ""} | settings_of_account))
    assert outbound.address(account, "me") == wanted


def refusal(code: int, subcode: int | None = None) -> Answer:
    error = {"message": "no", "type": "IGApiException", "code": code, "fbtrace_id": "t"}
    return Answer(400, {"error": error | ({"error_subcode": subcode} if subcode else {})})


@pytest.mark.parametrize(
    ("answer", "outcome", "scope", "down"),
    [
        (refusal(10, 2534022), "held", "person", False),
        (refusal(200, 2018108), "failed", "person", False),
        (refusal(200), "failed", "account", True),
        (refusal(100, 33), "failed", "account", True),
        (refusal(100, 2018008), "retry", "person", False),
        (refusal(100), "failed", "person", False),
        (refusal(4), "retry", "account", False),
        (refusal(987654), "failed", "person", False),
        (Answer(502, b"<html>Bad Gateway</html>"), "retry", "person", False),
        (Answer(429, b""), "retry", "person", False),
        (Answer(404, b""), "failed", "person", False),
        (Answer(200, {"recipient_id": PERSON}), "in_doubt", "person", False),
        (Answer(200, b"OK"), "in_doubt", "person", False),
    ],
)
async def test_how_a_send_ends(
    instagram: InstagramDouble, http: aiohttp.ClientSession, answer: Answer, outcome: str, scope: str, down: bool
) -> None:
    instagram.prepare(SEND, answer)
    result = await channel.send(to(), instagram.account(), http)
    assert (result.outcome, result.scope, result.account_down) == (outcome, scope, down)
    assert result.reason


async def test_closed_window_without_a_subcode(instagram: InstagramDouble, http: aiohttp.ClientSession) -> None:
    error = {"message": "(#10) This message is sent outside of allowed window.", "code": 10}
    instagram.prepare(SEND, Answer(403, {"error": error}))
    assert (await channel.send(to(), instagram.account(), http)).outcome == "held"


@pytest.mark.parametrize(("code", "down"), [(10, False), (200, False), (190, True)])
async def test_missing_approval_for_the_tag_does_not_take_the_account_down(
    instagram: InstagramDouble, http: aiohttp.ClientSession, code: int, down: bool
) -> None:
    instagram.prepare(SEND, refusal(code))
    result = await channel.send(to(author="agent", outside_window=True), instagram.account(), http)
    assert (result.outcome, result.account_down) == ("failed", down)
    assert ("Human Agent" in (result.reason or "")) != down


async def test_stated_pause_is_obeyed(instagram: InstagramDouble, http: aiohttp.ClientSession) -> None:
    instagram.prepare(SEND, Answer(400, refusal(613).content, {"Retry-After": "17"}))
    assert (await channel.send(to(), instagram.account(), http)).retry_after == 17


async def test_silence_is_in_doubt(
    instagram: InstagramDouble, http: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbound, "SEND_SECONDS", 0.2)
    instagram.prepare(SEND, Answer(None))
    result = await channel.send(to(), instagram.account(), http)
    assert (result.outcome, result.code) == ("in_doubt", "no_answer")
