"""The messaging API that the brand's messages are sent to."""

import json
import time
from pathlib import Path
from typing import Any

import aiohttp
import httpx
import pytest

from packages.core.domain.messages import Button, Reaction, Signal
from services.channel_gateway.channels.instagram import channel
from services.channel_gateway.channels.instagram.setup import FIELDS
from services.channel_gateway.simulator.app import create_app
from services.channel_gateway.simulator.settings import SimulatorSettings
from tests.channel_gateway.simulator.gateway_double import GatewayDouble
from tests.channel_gateway.simulator.instagram.conftest import HEARD, PERSON, MakeShop, Shop, text
from tests.channel_gateway.simulator.serving import serving
from tests.contracts.channel import MESSAGE_ID, part

EXCHANGES = Path(__file__).parents[2] / "channels" / "instagram" / "exchanges"
ACCEPTED = sorted(path.stem for path in EXCHANGES.glob("*.json") if not path.stem.startswith("error_"))
# The other two are answers to what a request says, and are tested as such below.
ORDERED = [f"error_{name}" for name in ("551", "613", "4", "2", "190", "230", "10_2018278")]


def recorded(name: str) -> dict[str, Any]:
    exchange: dict[str, Any] = json.loads((EXCHANGES / f"{name}.json").read_text())
    return exchange


def error_of(answer: httpx.Response) -> dict[str, Any]:
    error: dict[str, Any] = answer.json()["error"]
    return error


def sending(attachment: dict[str, Any]) -> dict[str, Any]:
    return {"recipient": {"id": PERSON}, "message": {"attachment": attachment}}


def same_error(answer: httpx.Response, name: str) -> bool:
    """Whether an answer is the recorded one, but for the trace id."""
    wanted = recorded(name)["response"]
    given, expected = dict(error_of(answer)), dict(wanted["json"]["error"])
    given.pop("fbtrace_id"), expected.pop("fbtrace_id")
    return (answer.status_code, given) == (wanted["status"], expected)


@pytest.mark.parametrize("name", ACCEPTED)
async def test_recorded_request_gets_the_recorded_answer(shop: Shop, name: str) -> None:
    await shop.hears(**HEARD)
    comment = {"field": "comments", "value": {"text": "Price?"}}
    await shop.hears(message=comment, external_id="17900000000000001", **{"from": PERSON})
    exchange = recorded(name)
    answer = await shop.send(exchange["request"]["json"])
    expected = exchange["response"]["json"]
    assert answer.status_code == 200, answer.text
    assert answer.json().keys() == expected.keys()
    assert answer.json()["recipient_id"] == PERSON


@pytest.mark.parametrize("name", ORDERED)
async def test_ordered_error_is_the_platforms_own(shop: Shop, name: str) -> None:
    await shop.hears(**HEARD)
    code = str(recorded(name)["response"]["json"]["error"]["code"])
    await shop.client.put("/faults", json={"channel": "instagram", "errors": {code: 1}})
    answer = await shop.send(text())
    assert same_error(answer, name), answer.text
    assert await shop.sent() == []


async def test_stranger_is_unknown(shop: Shop) -> None:
    assert same_error(await shop.send(text()), "error_100_2018001")


async def test_text_is_limited_in_bytes(shop: Shop) -> None:
    await shop.hears(**HEARD)
    assert (await shop.send(text("й" * 500))).status_code == 200
    assert same_error(await shop.send(text("й" * 501)), "error_100_too_long")


@pytest.mark.parametrize(
    ("days", "tag", "accepted"), [(0.9, False, True), (1.1, False, False), (6.9, True, True), (7.1, True, False)]
)
async def test_reply_window(shop: Shop, days: float, tag: bool, accepted: bool) -> None:
    at = int((time.time() - days * 86_400) * 1000)
    await shop.hears(message={"message": {"text": "Hello"}, "timestamp": at}, **{"from": PERSON})
    tagged = {"messaging_type": "MESSAGE_TAG", "tag": "HUMAN_AGENT"} if tag else {}
    answer = await shop.send(text(**tagged))
    assert answer.status_code == 200 if accepted else same_error(answer, "error_10_2018278")


async def test_account_without_a_window(make_shop: MakeShop) -> None:
    shop = await make_shop(enforce_window=False)
    assert (await shop.send(text())).status_code == 200


async def test_window_opens_again(shop: Shop) -> None:
    await shop.hears(message={"message": {"text": "Hello"}, "timestamp": 1}, **{"from": PERSON})
    assert (await shop.send(text())).status_code == 403
    await shop.hears(**HEARD)
    assert (await shop.send(text())).status_code == 200


async def test_restarted_platform_knows_its_people(shop: Shop, settings: SimulatorSettings) -> None:
    await shop.hears(**HEARD)
    async with serving(create_app(settings)) as base:
        headers = {"Authorization": f"Bearer {shop.credentials['access_token']}"}
        async with httpx.AsyncClient(base_url=base, headers=headers) as client:
            assert (await client.post("/v26.0/me/messages", json=text())).status_code == 200


async def test_accepted_message_is_recorded(shop: Shop) -> None:
    await shop.hears(**HEARD)
    body = text(message={"text": "On its way", "metadata": "m-1"})
    answer = await shop.send(body)
    [item] = await shop.sent()
    assert (item["to"], item["text"], item["message_id"], item["payload"]) == (PERSON, "On its way", "m-1", body)
    assert (item["external_id"], item["channel_config_id"]) == (answer.json()["message_id"], shop.id)


@pytest.mark.parametrize(("headers", "code"), [({}, 0), ({"Authorization": "Bearer wrong"}, 190)])
async def test_false_token_is_refused(shop: Shop, headers: dict[str, str], code: int) -> None:
    answer = await shop.client.post("/v26.0/me/messages", json=text(), headers=headers)
    assert error_of(answer)["code"] == code


async def test_account_goes_by_its_id_too(shop: Shop) -> None:
    await shop.hears(**HEARD)
    assert (await shop.ask("POST", f"{shop.account_id}/messages", json=text())).status_code == 200


async def test_other_account_is_not_the_tokens(make_shop: MakeShop) -> None:
    shop, other = await make_shop(), await make_shop()
    answer = await shop.ask("POST", f"{other.account_id}/messages", json=text())
    assert (error_of(answer)["code"], error_of(answer)["error_subcode"]) == (100, 33)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"recipient": {"id": "1"}}'])
async def test_request_against_the_rules_is_refused(shop: Shop, content: bytes) -> None:
    answer = await shop.ask("POST", "me/messages", content=content)
    assert (answer.status_code, error_of(answer)["code"]) == (400, 100)
    assert await shop.sent() == []


async def test_audio_and_video_have_a_slower_pace(shop: Shop) -> None:
    await shop.hears(**HEARD)
    body = sending({"type": "video", "payload": {"url": "https://cdn.example.com/a"}})
    answers = [await shop.send(body) for _ in range(12)]
    assert [answer.status_code for answer in answers[:10]] == [200] * 10
    assert error_of(answers[-1])["code"] == 613


async def test_file_that_the_gateway_does_not_give_is_refused(shop: Shop, gateway: GatewayDouble) -> None:
    await shop.hears(**HEARD)
    body = sending({"type": "image", "payload": {"url": f"{gateway.url}/media/gone"}})
    error = error_of(await shop.send(body))
    assert (error["code"], error["error_subcode"]) == (100, 2018008)


@pytest.mark.parametrize(
    ("fault", "outcome", "reached"),
    [
        ("rate_429", "retry", 0),
        ("rate_500", "retry", 0),
        ("rate_502", "retry", 0),
        ("rate_reset", "in_doubt", 0),
        ("rate_reset_after", "in_doubt", 1),
    ],
)
async def test_adapter_under_faults(
    shop: Shop, http: aiohttp.ClientSession, fault: str, outcome: str, reached: int
) -> None:
    await shop.hears(**HEARD)
    await shop.client.put("/faults", json={"channel": "instagram", fault: 1})
    result = await channel.send(part(recipient=PERSON), shop.account, http)
    assert result.outcome == outcome
    assert len(await shop.sent()) == reached


BUTTONS = (Button(title="Yes"), Button(title="No"))


@pytest.mark.parametrize(
    "content",
    [
        {"text": "Hi"},
        {"text": "Deliver today?", "buttons": BUTTONS},
        {"text": "Track it", "buttons": (Button(title="Open", url="https://example.com/1"),)},
        {"text": "About that", "reply_to": "m-1"},
        {"text": "Sorry for the wait", "author": "agent", "outside_window": True},
        {"text": "", "reaction": Reaction(target="m-1", emoji="❤️")},
        {"text": "", "reaction": Reaction(target="m-1")},
    ],
)
async def test_platform_takes_what_the_adapter_sends(
    shop: Shop, http: aiohttp.ClientSession, content: dict[str, Any]
) -> None:
    await shop.hears(**HEARD)
    result = await channel.send(part(recipient=PERSON, **content), shop.account, http)
    assert result.outcome == "sent", result.reason
    [item] = await shop.sent()
    assert item["message_id"] == (None if "reaction" in content else MESSAGE_ID)


async def test_signals_leave_no_trace(shop: Shop, http: aiohttp.ClientSession) -> None:
    await shop.hears(**HEARD)
    for kind in ("typing", "read"):
        await channel.signal(Signal(kind=kind, channel_config_id=shop.id, recipient=PERSON), shop.account, http)
    assert await shop.sent() == []


@pytest.mark.parametrize("login", ["instagram", "facebook"])
async def test_adapter_connects_and_finds_everything_well(
    make_shop: MakeShop, http: aiohttp.ClientSession, login: str
) -> None:
    shop = await make_shop(login=login)
    before = await channel.diagnose(shop.account, http)
    connected = await channel.connect(shop.account, http)
    after = await channel.diagnose(shop.account, http)
    assert [finding.level for finding in before if finding.check == "subscription"] == ["error"]
    assert {finding.level for finding in (*connected, *after)} <= {"ok", "info"}
    await channel.disconnect(shop.account, http)
    assert (await shop.ask("GET", "me/subscribed_apps")).json() == {"data": []}


async def test_subscription_lists_the_fields(shop: Shop) -> None:
    fields = ",".join(FIELDS["instagram"])
    assert (await shop.ask("POST", f"me/subscribed_apps?subscribed_fields={fields}")).json() == {"success": True}
    [app] = (await shop.ask("GET", "me/subscribed_apps")).json()["data"]
    assert app["subscribed_fields"] == list(FIELDS["instagram"])


@pytest.mark.parametrize("fields", ["", "messages,unheard_of"])
async def test_unknown_subscription_is_refused(shop: Shop, fields: str) -> None:
    answer = await shop.ask("POST", f"me/subscribed_apps?subscribed_fields={fields}")
    assert error_of(answer)["code"] == 100


async def test_person_has_a_profile_once_they_wrote(shop: Shop) -> None:
    await shop.hears(**HEARD, name="Alex Example")
    answer = await shop.ask("GET", f"{PERSON}?fields=name,username")
    assert answer.json() == {"id": PERSON, "name": "Alex Example", "username": "alexexample"}


async def test_unknown_field_is_refused(shop: Shop) -> None:
    assert error_of(await shop.ask("GET", "me?fields=shoe_size"))["code"] == 100
