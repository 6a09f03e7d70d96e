"""The Cloud API that the brand's messages are sent to."""

import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.channel_gateway.simulator.conftest import Account
from tests.channel_gateway.simulator.gateway_double import GatewayDouble, eventually

PAYLOADS = Path(__file__).parent / "payloads"
ACCEPTED = sorted(path.stem for path in PAYLOADS.glob("*.json") if "_error_" not in path.stem)
ERRORS = sorted(path.stem for path in PAYLOADS.glob("whatsapp_error_*.json"))


def recorded(name: str) -> dict[str, Any]:
    exchange: dict[str, Any] = json.loads((PAYLOADS / f"{name}.json").read_text())
    return exchange


def text(body: str = "Hi", **more: object) -> dict[str, Any]:
    return {
        "messaging_product": "whatsapp",
        "recipient_type": "individual",
        "to": "+12025550123",
        "type": "text",
        "text": {"body": body},
        **more,
    }


def shape(value: object) -> object:
    """The value with each leaf replaced by its type."""
    if isinstance(value, dict):
        return {key: shape(item) for key, item in value.items()}
    if isinstance(value, list):
        return [shape(item) for item in value]
    return type(value).__name__


@pytest.mark.parametrize("name", ACCEPTED)
async def test_recorded_request_gets_the_recorded_answer(
    simulator: httpx.AsyncClient, account: Account, name: str
) -> None:
    exchange = recorded(name)
    body = exchange["request"]["json"]
    content = body.get(body.get("type"))
    if isinstance(content, dict) and "id" in content:
        files = {"file": ("f.pdf", b"%PDF-1.7", "application/pdf")}
        media = account.messages.replace("/messages", "/media")
        up = await simulator.post(
            media, data={"messaging_product": "whatsapp"}, files=files, headers=account.authorization
        )
        content["id"] = up.json()["id"]
    answer = await simulator.post(account.messages, json=body, headers=account.authorization)
    expected = exchange["response"]["json"]
    assert answer.status_code == 200
    if exchange["request"]["json"].get("type") == "template":
        expected["messages"][0].setdefault("message_status", "accepted")
    assert shape(answer.json()) == shape(expected)
    assert answer.json().get("contacts") == expected.get("contacts")


@pytest.mark.parametrize("name", ERRORS)
async def test_ordered_error_is_the_platforms_own(simulator: httpx.AsyncClient, account: Account, name: str) -> None:
    exchange = recorded(name)
    expected = exchange["response"]["json"]["error"]
    await simulator.put("/faults", json={"channel": "whatsapp", "errors": {str(expected["code"]): 1}})
    answer = await simulator.post(account.messages, json=text(), headers=account.authorization)
    assert answer.status_code == exchange["response"]["status"]
    error = answer.json()["error"]
    assert (error["code"], error["message"], error["type"]) == (expected["code"], expected["message"], expected["type"])
    if expected["code"] != 132000:
        assert error.get("error_data") == expected.get("error_data")
    assert error["fbtrace_id"]
    assert (await simulator.get("/sent")).json()["items"] == []


async def test_accepted_message_is_recorded(simulator: httpx.AsyncClient, account: Account) -> None:
    body = text("Your order is on its way", biz_opaque_callback_data="m-1")
    answer = await simulator.post(account.messages, json=body, headers=account.authorization)
    [item] = (await simulator.get("/sent")).json()["items"]
    assert item["payload"] == body
    assert item["external_id"] == answer.json()["messages"][0]["id"]
    shown = {key: item[key] for key in ("channel", "channel_config_id", "to", "text", "message_id")}
    assert shown == {
        "channel": "whatsapp",
        "channel_config_id": account.id,
        "to": "12025550123",
        "text": "Your order is on its way",
        "message_id": "m-1",
    }
    assert item["at"].endswith("Z")


async def test_statuses_follow_in_order_signed_and_with_callback_data(
    simulator: httpx.AsyncClient, account: Account, gateway: GatewayDouble
) -> None:
    answer = await simulator.post(
        account.messages, json=text(biz_opaque_callback_data="m-2"), headers=account.authorization
    )
    await eventually(lambda: len(gateway.statuses) == 3)
    assert [status["status"] for status in gateway.statuses] == ["sent", "delivered", "read"]
    assert {status["id"] for status in gateway.statuses} == {answer.json()["messages"][0]["id"]}
    assert {status["recipient_id"] for status in gateway.statuses} == {"12025550123"}
    assert {status["biz_opaque_callback_data"] for status in gateway.statuses} == {"m-2"}
    assert all(webhook.signed_with(account.app_secret) for webhook in gateway.webhooks)
    assert {webhook.path for webhook in gateway.webhooks} == {f"/webhooks/whatsapp/{account.id}"}


async def test_read_marks_are_not_messages(
    simulator: httpx.AsyncClient, account: Account, gateway: GatewayDouble
) -> None:
    body = recorded("whatsapp_typing")["request"]["json"]
    answer = await simulator.post(account.messages, json=body, headers=account.authorization)
    assert answer.json() == {"success": True}
    assert (await simulator.get("/sent")).json()["items"] == []
    assert (await simulator.get("/pending")).json() == {"pending": 0}


@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        ({}, 401, 0),
        ({"Authorization": "Basic abc"}, 401, 0),
        ({"Authorization": "Bearer wrong"}, 401, 190),
        ({"Authorization": "Bearer w\u00f6rong".encode()}, 401, 190),
    ],
)
async def test_false_token_is_refused(
    simulator: httpx.AsyncClient, account: Account, headers: dict[str, Any], status: int, code: int
) -> None:
    answer = await simulator.post(account.messages, json=text(), headers=headers)
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)


async def test_unknown_number_is_refused(simulator: httpx.AsyncClient, account: Account) -> None:
    answer = await simulator.post("/v26.0/1234/messages", json=text(), headers=account.authorization)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["error_subcode"]) == (400, 100, 33)


BUTTON = {"type": "reply", "reply": {"id": "a", "title": "A"}}


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"messaging_product": None}, 100),
        ({"to": None}, 100),
        ({"to": "not a number"}, 131009),
        ({"to": "+1 555 999 0001"}, 131021),
        ({"type": "hologram"}, 100),
        ({"type": "image"}, 131008),
        ({"type": "image", "image": {}}, 131008),
        ({"type": "image", "image": {"id": "1", "caption": "c" * 1025}}, 100),
        ({"type": "audio", "audio": {"id": "1", "caption": "c"}}, 100),
        ({"text": {"body": ""}}, 100),
        ({"text": {"body": 5}}, 100),
        ({"text": {"body": "x" * 4097}}, 100),
        ({"text": "Hi"}, 131008),
        ({"biz_opaque_callback_data": "x" * 513}, 100),
        ({"type": "location", "location": {"latitude": "north"}}, 131008),
        ({"type": "location", "location": {"latitude": 91, "longitude": 0}}, 131009),
        ({"type": "contacts", "contacts": []}, 131009),
        ({"type": "contacts", "contacts": ["Robin"]}, 131008),
        ({"type": "template", "template": {"name": "n", "language": "en"}}, 131008),
        ({"type": "reaction", "reaction": {"message_id": "wamid.1"}}, 131008),
        ({"type": "interactive", "interactive": {"type": "button"}}, 131008),
        ({"type": "interactive", "interactive": {"type": "button", "body": "b", "action": {}}}, 131008),
        (
            {
                "type": "interactive",
                "interactive": {"type": "button", "body": {"text": "b"}, "action": {"buttons": [1]}},
            },
            100,
        ),
        (
            {
                "type": "interactive",
                "interactive": {"type": "button", "body": {"text": "b"}, "action": {"buttons": [BUTTON] * 4}},
            },
            131009,
        ),
        (
            {
                "type": "interactive",
                "interactive": {"type": "button", "body": {"text": "b"}, "action": {"buttons": [BUTTON] * 2}},
            },
            131009,
        ),
        (
            {
                "type": "interactive",
                "interactive": {"type": "list", "body": {"text": "b"}, "action": {"button": "Go", "sections": "s"}},
            },
            131009,
        ),
    ],
)
async def test_invalid_message_is_refused(
    simulator: httpx.AsyncClient, account: Account, change: dict[str, Any], code: int
) -> None:
    answer = await simulator.post(account.messages, json=text(**change), headers=account.authorization)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, code)


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"\xff"])
async def test_body_that_is_no_object_is_refused(simulator: httpx.AsyncClient, account: Account, body: bytes) -> None:
    answer = await simulator.post(account.messages, content=body, headers=account.authorization)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, 100)


async def test_longest_text_is_accepted(simulator: httpx.AsyncClient, account: Account) -> None:
    answer = await simulator.post(account.messages, json=text("x" * 4096), headers=account.authorization)
    assert answer.status_code == 200
