"""What the gateway hears of when a customer writes on WhatsApp."""

import asyncio
import re
import time

import httpx
import pytest

from tests.channel_gateway.simulator.conftest import Account, MakeAccount
from tests.channel_gateway.simulator.gateway_double import GatewayDouble, eventually

HELLO = {"text": "Hello", "from": "+1 202 555 0123", "name": "Alex"}


async def test_message_arrives_signed_in_metas_form(
    simulator: httpx.AsyncClient, account: Account, gateway: GatewayDouble
) -> None:
    answer = await simulator.post(f"/simulate/whatsapp/{account.id}", json=HELLO)
    assert answer.status_code == 202
    await eventually(lambda: gateway.webhooks)
    [webhook] = gateway.webhooks
    assert webhook.path == f"/webhooks/whatsapp/{account.id}"
    assert webhook.signed_with(account.app_secret)
    [value] = webhook.values
    assert value["metadata"] == {"display_phone_number": "15559990001", "phone_number_id": account.number_id}
    [contact] = value["contacts"]
    assert contact == {"profile": {"name": "Alex"}, "wa_id": "12025550123", "user_id": contact["user_id"]}
    assert re.fullmatch(r"US\.\d{20}", contact["user_id"])
    [message] = value["messages"]
    assert (message["from"], message["type"], message["text"]) == ("12025550123", "text", {"body": "Hello"})
    assert message["from_user_id"] == contact["user_id"]
    assert answer.json() == {"external_ids": [message["id"]]}
    assert message["id"].startswith("wamid.")
    assert abs(int(message["timestamp"]) - time.time()) < 10


async def test_body_is_ascii_with_metas_escapes(
    simulator: httpx.AsyncClient, account: Account, gateway: GatewayDouble
) -> None:
    text = "Größe 👍 a/b"
    await simulator.post(f"/simulate/whatsapp/{account.id}", json={**HELLO, "text": text})
    await eventually(lambda: gateway.webhooks)
    body = gateway.webhooks[0].body
    assert b"Gr\\u00f6\\u00dfe \\ud83d\\udc4d a\\/b" in body
    assert body.isascii()
    assert gateway.messages[0]["text"]["body"] == text
    assert gateway.webhooks[0].signed_with(account.app_secret)


async def test_repeated_until_200(simulator: httpx.AsyncClient, account: Account, gateway: GatewayDouble) -> None:
    gateway.answers = [503, 204, 302, 401]
    await simulator.post(f"/simulate/whatsapp/{account.id}", json=HELLO)
    await eventually(lambda: len(gateway.webhooks) == 5)
    await asyncio.sleep(0.3)
    assert len(gateway.webhooks) == 5
    assert len({webhook.body for webhook in gateway.webhooks}) == 1
    assert (await simulator.get("/pending")).json() == {"pending": 0}


async def test_repeated_until_the_gateway_is_back(
    simulator: httpx.AsyncClient, account: Account, gateway: GatewayDouble
) -> None:
    await gateway.stop()
    for number in range(5):
        await simulator.post(f"/simulate/whatsapp/{account.id}", json={**HELLO, "text": str(number)})
    await asyncio.sleep(0.2)
    assert (await simulator.get("/pending")).json() == {"pending": 5}
    await gateway.start()
    await eventually(lambda: len(gateway.webhooks) == 5)
    assert {message["text"]["body"] for message in gateway.messages} == set("01234")


async def test_duplicates_carry_the_same_id(
    simulator: httpx.AsyncClient, account: Account, gateway: GatewayDouble
) -> None:
    answer = await simulator.post(f"/simulate/whatsapp/{account.id}", json={**HELLO, "duplicates": 2})
    await eventually(lambda: len(gateway.webhooks) == 3)
    assert [message["id"] for message in gateway.messages] == answer.json()["external_ids"] * 3


async def test_callers_message_id_is_kept(
    simulator: httpx.AsyncClient, account: Account, gateway: GatewayDouble
) -> None:
    await simulator.post(f"/simulate/whatsapp/{account.id}", json={**HELLO, "external_id": "wamid.mine"})
    await eventually(lambda: gateway.webhooks)
    assert gateway.messages[0]["id"] == "wamid.mine"


async def test_batch_holds_items_of_several_accounts(
    simulator: httpx.AsyncClient, account: Account, make_account: MakeAccount, gateway: GatewayDouble
) -> None:
    other = await make_account()
    lines = [
        {"text": "one", "from": "12025550101"},
        {"text": "two", "from": "12025550102"},
        {"text": "three", "from": "12025550103", "channel_config_id": other.id},
    ]
    answer = await simulator.post(f"/simulate/whatsapp/{account.id}", json={"batch": lines})
    assert len(answer.json()["external_ids"]) == 3
    await eventually(lambda: gateway.webhooks)
    [webhook] = gateway.webhooks
    owners = [(value["metadata"]["phone_number_id"], len(value["messages"])) for value in webhook.values]
    assert owners == [(account.number_id, 2), (other.number_id, 1)]
    assert len({entry["id"] for entry in webhook.json["entry"]}) == 2
    assert webhook.signed_with(account.app_secret)


async def test_reordered_batch_comes_backwards(
    simulator: httpx.AsyncClient, account: Account, gateway: GatewayDouble
) -> None:
    lines = [{"text": text, "from": "12025550101"} for text in "abc"]
    await simulator.post(f"/simulate/whatsapp/{account.id}", json={"batch": lines, "reorder": True})
    await eventually(lambda: gateway.webhooks)
    assert [message["text"]["body"] for message in gateway.messages] == ["c", "b", "a"]


async def test_delayed_message_is_overtaken(
    simulator: httpx.AsyncClient, account: Account, gateway: GatewayDouble
) -> None:
    await simulator.post(f"/simulate/whatsapp/{account.id}", json={**HELLO, "text": "late", "delay_ms": 300})
    await simulator.post(f"/simulate/whatsapp/{account.id}", json={**HELLO, "text": "soon"})
    await eventually(lambda: len(gateway.webhooks) == 2)
    assert [message["text"]["body"] for message in gateway.messages] == ["soon", "late"]


async def test_forged_reports_the_gateways_answer_and_is_not_repeated(
    simulator: httpx.AsyncClient, account: Account, gateway: GatewayDouble
) -> None:
    gateway.answers = [401]
    answer = await simulator.post(f"/simulate/whatsapp/{account.id}", json={**HELLO, "forged": True})
    assert answer.status_code == 200
    assert answer.json()["webhooks"] == [{"status": 401, "body": "taken"}]
    await asyncio.sleep(0.3)
    assert len(gateway.webhooks) == 1
    assert not gateway.webhooks[0].signed_with(account.app_secret)


@pytest.mark.parametrize(("query", "headers"), [("?wait=true", {}), ("", {"Prefer": "wait=5"})])
async def test_wait_reports_the_first_attempt_and_goes_on(
    simulator: httpx.AsyncClient, account: Account, gateway: GatewayDouble, query: str, headers: dict[str, str]
) -> None:
    gateway.answers = [503]
    answer = await simulator.post(f"/simulate/whatsapp/{account.id}{query}", json=HELLO, headers=headers)
    assert (answer.status_code, answer.json()["webhooks"]) == (200, [{"status": 503, "body": "taken"}])
    await eventually(lambda: len(gateway.webhooks) == 2)


async def test_meta_mode_uses_the_apps_url_and_secret_from_then_on(
    simulator: httpx.AsyncClient, account: Account, gateway: GatewayDouble
) -> None:
    for body in ({**HELLO, "mode": "meta"}, HELLO):
        await simulator.post(f"/simulate/whatsapp/{account.id}", json=body)
    await eventually(lambda: len(gateway.webhooks) == 2)
    assert {webhook.path for webhook in gateway.webhooks} == {"/webhooks/meta"}
    assert all(webhook.signed_with("meta-app-secret") for webhook in gateway.webhooks)


async def test_other_kinds_and_people_without_a_number(
    simulator: httpx.AsyncClient, account: Account, gateway: GatewayDouble
) -> None:
    location = {"type": "location", "location": {"latitude": 1.5, "longitude": 2.5}}
    await simulator.post(
        f"/simulate/whatsapp/{account.id}", json={"from": "US.13491208655302741918", "message": location}
    )
    await eventually(lambda: gateway.webhooks)
    [message] = gateway.messages
    assert message["from_user_id"] == "US.13491208655302741918"
    assert "from" not in message
    assert message["location"] == location["location"]


async def test_headers_can_be_replaced(simulator: httpx.AsyncClient, account: Account, gateway: GatewayDouble) -> None:
    body = {**HELLO, "headers": {"X-Hub-Signature-256": "sha256=ü"}}
    await simulator.post(f"/simulate/whatsapp/{account.id}", json=body)
    await eventually(lambda: gateway.webhooks)
    assert not re.fullmatch("sha256=[0-9a-f]{64}", gateway.webhooks[0].headers["X-Hub-Signature-256"])


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"from": "12025550123"}, "body"),
        ({"text": "no sender"}, "body"),
        ({**HELLO, "unknown": 1}, "body.unknown"),
        ({**HELLO, "duplicates": 1000}, "body.duplicates"),
        ({"batch": [{"from": "1"}]}, "body"),
    ],
)
async def test_malformed_order_is_refused(
    simulator: httpx.AsyncClient, account: Account, body: dict[str, object], field: str
) -> None:
    answer = await simulator.post(f"/simulate/whatsapp/{account.id}", json=body)
    assert answer.status_code == 422
    assert [item["field"] for item in answer.json()["error"]["details"]] == [field]


@pytest.mark.parametrize("path", ["/simulate/whatsapp/0199-none", "/simulate/pigeon/{id}", "/simulate/webchat/{id}"])
async def test_unknown_account_or_channel_is_not_found(
    simulator: httpx.AsyncClient, account: Account, path: str
) -> None:
    answer = await simulator.post(path.format(id=account.id), json=HELLO)
    assert answer.status_code == 404
    assert answer.json()["error"]["code"] == "not_found"


async def test_account_made_later_is_found(
    simulator: httpx.AsyncClient, account: Account, make_account: MakeAccount
) -> None:
    await simulator.post(f"/simulate/whatsapp/{account.id}", json=HELLO)
    await asyncio.sleep(0.35)
    later = await make_account()
    assert (await simulator.post(f"/simulate/whatsapp/{later.id}", json=HELLO)).status_code == 202
