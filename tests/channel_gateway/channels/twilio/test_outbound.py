"""Each recorded exchange is made as recorded, and its answer understood."""

import asyncio
import json
import time
from dataclasses import replace
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any
from uuid import UUID

import aiohttp
import pytest
from aiohttp import BasicAuth

from packages.core.db.base import new_id
from packages.core.domain.channels import Channel as Account
from packages.core.domain.messages import Reaction, Signal, Template
from services.channel_gateway.channels import File, Part
from services.channel_gateway.channels.twilio import channel, errors
from tests.channel_gateway.channels.twilio.conftest import (
    SID,
    SMS_NUMBER,
    TOKEN,
    WEBHOOK,
    Stand,
    cases,
    make_account,
    recorded,
)
from tests.contracts.channel import MESSAGE_ID, part

CASES = [
    case
    for case in cases("exchanges_expected")
    if case["kind"] in {"outbound.text", "outbound.media", "outbound.template", "outbound.error"}
]
ELSEWHERE = {
    "inbound_media_download.json": "test_media",
    "inbound_webhook_answer.json": "an empty 200: tests of the gateway",
}
OUTCOMES = {"accepted": "sent", "retry": "retry", "permanent": "failed", "channel_down": "failed"}
MESSAGES = f"/2010-04-01/Accounts/{SID}/Messages.json"
SERVICE = "MG00000000000000000000000000000001"
NUMBER = "+12025550123"
# Parameters of the Message resource that we may send, with their largest sizes (Twilio's API reference).
SCHEMA = {
    "To": 64,
    "From": 64,
    "MessagingServiceSid": 34,
    "Body": 1600,
    "MediaUrl": 2048,
    "StatusCallback": 2048,
    "ContentSid": 34,
    "ContentVariables": 65_536,
}


async def unread() -> bytes:
    raise AssertionError("Twilio fetches files by their address")


def file(kind: str = "image", url: str = "https://cdn.example.com/a.jpg") -> File:
    return File(kind=kind, media_type="image/jpeg", filename="a.jpg", size=10, url=url, read=unread)


def recorded_part(form: dict[str, str]) -> Part:
    """What leads to a recorded request."""
    made = part(form.get("Body", ""), form["To"])
    if "MediaUrl" in form:
        return replace(made, file=file(url=form["MediaUrl"]))
    if "ContentSid" in form:
        variables = tuple(json.loads(form["ContentVariables"]).values())
        return replace(made, template=Template(name=form["ContentSid"], body=variables))
    return made


def test_every_recorded_exchange_is_looked_at() -> None:
    looked_at = {case["file"] for case in CASES} | set(ELSEWHERE)
    assert looked_at == {case["file"] for case in cases("exchanges_expected")}


@pytest.mark.parametrize("case", CASES, ids=[case["file"] for case in CASES])
async def test_recorded_exchange(twilio: Stand, http: aiohttp.ClientSession, case: dict[str, Any]) -> None:
    exchange = recorded("exchanges", case["file"])
    form, answer, expected = exchange["request"]["form"], exchange["response"], case["expected"]
    twilio.answer(answer["status"], answer["json"])
    account = twilio.account(form.get("From") or form["MessagingServiceSid"])
    result = await channel.send(recorded_part(form), account, http)
    assert result.outcome == OUTCOMES[expected["outcome"]]
    assert result.external_id == expected.get("external_id")
    if result.outcome != "sent":
        assert result.code == str(expected["code"])
        assert (result.reason or "").endswith(".")
        assert result.account_down is (expected["outcome"] == "channel_down")
        assert (result.scope == "account") is (expected["outcome"] != "permanent")
    [seen] = twilio.requests
    assert (seen.method, seen.path) == ("POST", exchange["request"]["url"].removeprefix("https://api.twilio.com"))
    sent = seen.fields
    assert sent.pop("StatusCallback") == f"{WEBHOOK}?message_id={MESSAGE_ID}"
    assert sent == {name: value for name, value in form.items() if name != "StatusCallback"}
    check_schema(seen.form)


def check_schema(form: list[tuple[str, str]]) -> None:
    """What Twilio's reference demands of a new message."""
    names = [name for name, _ in form]
    for name, value in form:
        assert 0 < len(value) <= SCHEMA[name]
    assert names.count("To") == 1
    assert (names.count("From") == 1) != (names.count("MessagingServiceSid") == 1)
    assert {"Body", "MediaUrl", "ContentSid"} & set(names)
    assert names.count("MediaUrl") <= 10
    assert not ("ContentSid" in names and {"Body", "MediaUrl"} & set(names))


def accepted(sid: str = "SM1", **more: Any) -> dict[str, Any]:
    return {"sid": sid, "status": "queued", "error_code": None, "error_message": None} | more


async def test_requests_carry_the_token_or_the_api_key(twilio: Stand, http: aiohttp.ClientSession) -> None:
    key: dict[str, Any] = {"api_key_sid": "SK" + "1" * 32, "api_key_secret": "the-keys-secret"}
    for account in (twilio.account(), twilio.account(**key)):
        twilio.answer(201, accepted())
        await channel.send(part(), account, http)
    by_token, by_key = (BasicAuth.decode(seen.authorization or "") for seen in twilio.requests)
    assert (by_token.login, by_token.password) == (SID, TOKEN)
    assert (by_key.login, by_key.password) == (key["api_key_sid"], key["api_key_secret"])


@pytest.mark.parametrize(
    ("sender", "recipient", "to"),
    [
        (SMS_NUMBER, "12025550123", NUMBER),
        (SMS_NUMBER, "55555", "55555"),
        ("whatsapp:+12025550100", NUMBER, f"whatsapp:{NUMBER}"),
        ("whatsapp:+12025550100", f"whatsapp:{NUMBER}", f"whatsapp:{NUMBER}"),
        ("whatsapp:+12025550100", "whatsapp:GB.10000000000000000001", "whatsapp:GB.10000000000000000001"),
        (SERVICE, f"whatsapp:{NUMBER}", f"whatsapp:{NUMBER}"),
    ],
)
async def test_recipient(twilio: Stand, http: aiohttp.ClientSession, sender: str, recipient: str, to: str) -> None:
    twilio.answer(201, accepted())
    await channel.send(part("x", recipient), twilio.account(sender), http)
    assert twilio.requests[0].fields["To"] == to


async def test_sms_goes_without_mark_up(twilio: Stand, http: aiohttp.ClientSession) -> None:
    for sender in (SMS_NUMBER, "whatsapp:+12025550100"):
        twilio.answer(201, accepted())
        await channel.send(part("*Bold*", NUMBER, plain="Bold"), twilio.account(sender), http)
    assert [seen.fields["Body"] for seen in twilio.requests] == ["Bold", "*Bold*"]


async def test_file_without_caption_has_no_body(twilio: Stand, http: aiohttp.ClientSession) -> None:
    twilio.answer(201, accepted())
    await channel.send(part("", NUMBER, file=file()), twilio.account(SMS_NUMBER), http)
    assert set(twilio.requests[0].fields) == {"To", "From", "MediaUrl", "StatusCallback"}
    check_schema(twilio.requests[0].form)


async def test_public_url_of_the_channel_is_called_back(twilio: Stand, http: aiohttp.ClientSession) -> None:
    twilio.answer(201, accepted())
    account = twilio.account(settings={"public_url": "https://outside.example.org"})
    await channel.send(part(), account, http)
    assert twilio.requests[0].fields["StatusCallback"].startswith("https://outside.example.org/webhooks/twilio/")


async def test_template_by_name_is_looked_up_once(twilio: Stand, http: aiohttp.ClientSession) -> None:
    contents = [{"sid": "HX" + "2" * 32, "friendly_name": "order_left", "language": "de", "variables": {}, "types": {}}]
    twilio.at("GET /v1/Content", 200, {"contents": contents, "meta": {"key": "contents"}})
    template = Template(name="order_left", language="de", header=("H",), body=("Alex", "1001"), named={"city": "Bonn"})
    account = twilio.account(account_sid="AC" + f"{new_id().int % 10**32:032d}")
    for _ in range(2):
        twilio.answer(201, accepted())
        result = await channel.send(part("", NUMBER, template=template), account, http)
        assert result.outcome == "sent"
    assert [seen.method for seen in twilio.requests] == ["GET", "POST", "POST"]
    assert twilio.requests[1].fields["ContentSid"] == "HX" + "2" * 32
    variables = json.loads(twilio.requests[1].fields["ContentVariables"])
    assert variables == {"1": "H", "2": "Alex", "3": "1001", "city": "Bonn"}


@pytest.mark.parametrize(
    ("status", "body", "outcome"),
    [(200, {"contents": [], "meta": {"key": "contents"}}, "failed"), (500, "", "retry"), (200, "<html>", "retry")],
)
async def test_template_that_is_not_found(
    twilio: Stand, http: aiohttp.ClientSession, status: int, body: Any, outcome: str
) -> None:
    twilio.at("GET /v1/Content", status, body)
    account = twilio.account(account_sid="AC" + f"{new_id().int % 10**32:032d}")
    result = await channel.send(part("", NUMBER, template=Template(name="unknown")), account, http)
    assert result.outcome == outcome
    assert len(twilio.requests) == 1


@pytest.mark.parametrize(
    ("status", "body", "outcome", "down"),
    [
        (201, "", "in_doubt", False),
        (201, "[]", "in_doubt", False),
        (201, "{}", "in_doubt", False),
        (201, {"sid": 7}, "in_doubt", False),
        (201, accepted(status="failed", error_code=21610), "failed", False),
        (500, "\x00", "retry", False),
        (502, "<html>Bad Gateway</html>", "retry", False),
        (503, "[]", "retry", False),
        (504, "", "in_doubt", False),
        (429, "", "retry", False),
        (401, "", "failed", True),
        (404, "not found", "failed", False),
        (400, {"code": "21211"}, "failed", False),
        (400, {"code": 99999, "message": "Something new"}, "failed", False),
        (400, {"code": 63016}, "held", False),
        (403, {"type": "t", "title": "Forbidden", "status": 403, "code": 20006}, "failed", True),
        (307, "", "failed", False),
    ],
)
async def test_any_answer_has_a_meaning(
    twilio: Stand, http: aiohttp.ClientSession, status: int, body: Any, outcome: str, down: bool
) -> None:
    twilio.answer(status, body)
    result = await channel.send(part(), twilio.account(), http)
    assert (result.outcome, result.account_down) == (outcome, down)
    assert result.reason


async def test_unknown_error_says_twilios_words(twilio: Stand, http: aiohttp.ClientSession) -> None:
    twilio.answer(400, {"code": 99999, "message": "Something new", "status": 400})
    result = await channel.send(part(), twilio.account(), http)
    assert (result.code, result.reason) == ("99999", "Something new")


async def test_retry_after_is_heeded(twilio: Stand, http: aiohttp.ClientSession) -> None:
    twilio.answer(429, {"code": 20429, "message": "Too Many Requests"}, **{"Retry-After": "17"})
    assert (await channel.send(part(), twilio.account(), http)).retry_after == 17


async def test_lost_answer_is_in_doubt(twilio: Stand, http: aiohttp.ClientSession) -> None:
    twilio.answer(None)
    result = await channel.send(part(), twilio.account(), http)
    assert (result.outcome, result.code) == ("in_doubt", "no_answer")


async def test_reaction_cannot_be_sent(http: aiohttp.ClientSession) -> None:
    result = await channel.send(part("", reaction=Reaction(target="SM1", emoji="👍")), make_account(), http)
    assert result.outcome == "failed"


@pytest.mark.parametrize("code", sorted(errors.MEANINGS))
def test_every_code_has_a_sentence(code: int) -> None:
    result = errors.refusal(400, code, "")
    assert result.code == str(code)
    assert (result.reason or "").endswith(".")
    assert (result.outcome == "retry") is (result.retry_after is not None)


def message(body: str, age: float = 0, **more: Any) -> dict[str, Any]:
    """A message as Twilio lists it."""
    made = format_datetime(datetime.fromtimestamp(time.time() - age, UTC))
    base = {"sid": "SM7", "body": body, "date_created": made, "num_media": "0", "direction": "outbound-api"}
    return base | more


@pytest.mark.parametrize(
    ("listed", "sid"),
    [
        ([{"body": "Your order has left."}], "SM7"),
        ([{"body": "Something else"}, {"body": "Your order has left. ", "sid": "SM8"}], "SM8"),
        ([{"body": "Your order has left.", "age": 60}], None),
        ([{"body": "Your order has left.", "direction": "inbound"}], None),
        ([{"body": "Your order has left.", "num_media": "1"}], None),
        ([], None),
    ],
)
async def test_find(twilio: Stand, http: aiohttp.ClientSession, listed: list[dict[str, Any]], sid: str | None) -> None:
    sought = part(message_id=str(new_id()))
    twilio.answer(200, {"messages": [message(**fields) for fields in listed], "next_page_uri": None})
    result = await channel.find(sought, twilio.account(), http)
    assert (result and result.external_id) == sid
    assert twilio.requests[0].path == MESSAGES
    wanted = {"To": "whatsapp:+12025550123", "From": "whatsapp:+12025550100", "PageSize": "50"}
    assert twilio.requests[0].query == wanted


async def test_find_while_twilio_is_silent(twilio: Stand, http: aiohttp.ClientSession) -> None:
    for status in (500, None, 200):
        twilio.at(f"GET {MESSAGES}", status)
        result = await channel.find(part(), twilio.account(), http)
        assert result is not None
        assert result.outcome == "in_doubt"


@pytest.mark.parametrize(
    "more", [{"template": Template(name="HX" + "0" * 32)}, {"text": "", "plain": "", "file": file()}]
)
async def test_find_tells_nothing_of_what_has_no_text(
    twilio: Stand, http: aiohttp.ClientSession, more: dict[str, Any]
) -> None:
    assert await channel.find(part(**more), twilio.account(), http) is None
    assert twilio.requests == []


def test_ids_tell_when_a_message_was_made() -> None:
    assert UUID(MESSAGE_ID).version == 7


@pytest.mark.parametrize(
    ("sender", "settings", "markdown", "window", "pace"),
    [
        (SMS_NUMBER, {}, "none", None, 1),
        ("+18005550100", {}, "none", None, 3),
        ("55555", {}, "none", None, 100),
        (SERVICE, {}, "none", None, 1),
        (SERVICE, {"messages_per_second": 30}, "none", None, 30),
        (SMS_NUMBER, {"messages_per_second": "many"}, "none", None, 1),
        ("whatsapp:+12025550100", {}, "whatsapp", 24, 80),
    ],
)
def test_capabilities_are_the_senders(
    sender: str, settings: dict[str, Any], markdown: str, window: float | None, pace: float
) -> None:
    can = channel.capabilities_for(make_account(sender, settings))
    assert (can.markdown, can.window_hours) == (markdown, window)
    assert can.account_rate is not None
    assert can.account_rate.per_second == pace


def signalled(kind: str = "typing", external_id: str | None = "SM5") -> Signal:
    return Signal(kind=kind, channel_config_id="c", recipient="whatsapp:+12025550123", external_id=external_id)


async def test_typing_on_whatsapp(twilio: Stand, http: aiohttp.ClientSession) -> None:
    twilio.answer(201, {"success": True})
    await channel.signal(signalled(), twilio.account(), http)
    [seen] = twilio.requests
    assert seen.path == "/v2/Indicators/Typing.json"
    assert seen.fields == {"channel": "whatsapp", "messageId": "SM5"}


async def test_other_signals_are_no_requests(twilio: Stand, http: aiohttp.ClientSession) -> None:
    await channel.signal(signalled("read"), twilio.account(), http)
    await channel.signal(signalled(external_id=None), twilio.account(), http)
    await channel.signal(signalled(), twilio.account(SMS_NUMBER), http)
    assert twilio.requests == []


async def test_signal_that_fails_is_of_no_consequence(twilio: Stand, http: aiohttp.ClientSession) -> None:
    twilio.answer(None)
    await channel.signal(signalled(), twilio.account(), http)
    assert len(twilio.requests) == 1


async def test_sends_of_one_session_run_at_once(twilio: Stand, http: aiohttp.ClientSession) -> None:
    for number in range(20):
        twilio.answer(201, accepted(f"SM{number}"))
    account: Account = twilio.account()
    results = await asyncio.gather(*(channel.send(part(), account, http) for _ in range(20)))
    assert {result.external_id for result in results} == {f"SM{number}" for number in range(20)}
