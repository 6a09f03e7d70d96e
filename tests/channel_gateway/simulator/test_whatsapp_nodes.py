"""The simulated Cloud API beside `messages`: the adapter runs against it as against Meta's, and so do its rules."""

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import httpx
import pytest
import pytest_asyncio
from aiohttp import web
from pydantic import SecretStr

from packages.core.domain.channels import Channel, Finding
from packages.core.domain.messages import Attachment, Button, Reaction, Signal, Template
from services.channel_gateway.channels import File, FileUnavailable
from services.channel_gateway.channels.whatsapp.channel import WhatsApp, WhatsAppCredentials
from tests.channel_gateway.simulator.conftest import Account, MakeAccount
from tests.channel_gateway.simulator.gateway_double import GatewayDouble, eventually
from tests.contracts.channel import part

EXCHANGES = Path(__file__).parents[1] / "channels" / "whatsapp" / "exchanges"
PNG = b"\x89PNG\r\n\x1a\n" + bytes(20)
CUSTOMER = "12025550123"


@pytest_asyncio.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


@pytest.fixture
def own(simulator: httpx.AsyncClient, account: Account) -> Channel:
    """The account as the adapter sees it."""
    credentials = WhatsAppCredentials(
        phone_number_id=account.number_id,
        access_token=SecretStr(account.token),
        app_secret=SecretStr(account.app_secret),
        verify_token=SecretStr("v"),
    )
    return Channel(
        id=account.id,
        tenant_id="t",
        brand_id="b",
        kind="whatsapp",
        name="Main line",
        account_id=account.number_id,
        credentials=credentials,
        settings={"api_base": str(simulator.base_url).rstrip("/")},
    )


async def _png() -> bytes:
    return PNG


def file(**more: Any) -> File:
    fields: dict[str, Any] = {
        "kind": "image",
        "media_type": "image/png",
        "filename": "a.png",
        "size": len(PNG),
        "url": "",
        "read": _png,
    }
    return File(**(fields | more))


def by_check(findings: list[Finding]) -> dict[str, Finding]:
    return {finding.check: finding for finding in findings}


@pytest.mark.parametrize(
    "sent",
    [
        {"text": "Look", "file": file()},
        {"text": "Which?", "file": file(), "buttons": (Button(title="Yes"), Button(title="No"))},
        {"text": "Which?", "buttons": tuple(Button(title=f"B{number}") for number in range(10))},
        {"text": "Track", "buttons": (Button(title="Open", url="https://x.example/"),)},
        {"text": "", "reaction": Reaction(target="wamid.1", emoji="👍")},
        {"text": "", "reaction": Reaction(target="wamid.1")},
        {"text": "", "template": Template(name="hello_world", language="en_US")},
        {"text": "", "template": Template(name="order_shipped", language="en_US", body=("7",), buttons=("7",))},
        {
            "text": "",
            "template": Template(
                name="order_update", language="en_US", header=("https://x.example/f",), body=("A", "B"), buttons=("p",)
            ),
        },
        {"text": "", "template": Template(name="appointment", language="en_US", named={"name": "A", "day": "B"})},
        {"text": "hi", "recipient": "US.13491208655302741918"},
        {"text": "hi", "recipient": "Y2FwaV9ncm91cDox"},
    ],
)
async def test_adapter_sends_whatever_it_can(
    simulator: httpx.AsyncClient, http: aiohttp.ClientSession, own: Channel, sent: dict[str, Any]
) -> None:
    result = await WhatsApp().send(part(**sent), own, http)
    assert (result.outcome, result.code) == ("sent", None)
    [item] = (await simulator.get("/sent")).json()["items"]
    assert item["external_id"] == result.external_id


@pytest.mark.parametrize(
    ("template", "code"),
    [
        (Template(name="unknown", language="en_US"), "132001"),
        (Template(name="hello_world", language="de"), "132001"),
        (Template(name="abandoned_cart", language="en_US"), "132001"),
        (Template(name="summer_sale", language="en_US"), "132015"),
        (Template(name="we_miss_you", language="en"), "132000"),
        (Template(name="we_miss_you", language="en", body=("a", "b")), "132000"),
        (Template(name="we_miss_you", language="en", body=("",)), "131008"),
        (Template(name="order_shipped", language="en_US", body=("7",)), "131008"),
        (Template(name="appointment", language="en_US", body=("A", "B")), "100"),
        (Template(name="order_update", language="en_US", body=("A", "B")), "132000"),
    ],
)
async def test_template_that_does_not_fit_is_refused(
    http: aiohttp.ClientSession, own: Channel, template: Template, code: str
) -> None:
    result = await WhatsApp().send(part("", template=template), own, http)
    assert (result.outcome, result.code) == ("failed", code)


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"media_type": "image/jpeg"}, "131053"),
        ({"media_type": "application/octet-stream", "kind": "document"}, "100"),
    ],
)
async def test_file_that_is_not_allowed_is_refused(
    http: aiohttp.ClientSession, own: Channel, given: dict[str, Any], code: str
) -> None:
    result = await WhatsApp().send(part("", file=file(**given)), own, http)
    assert (result.outcome, result.code) == ("failed", code)


def recorded(name: str) -> Any:
    return json.loads((EXCHANGES / name).read_text())["response"]["json"]


async def test_answers_have_the_recorded_form(simulator: httpx.AsyncClient, account: Account) -> None:
    path, fields = account.messages.replace("/messages", "/media"), {"messaging_product": "whatsapp"}
    files = {"file": ("a.png", PNG, "image/png")}
    up = (await simulator.post(path, data=fields, files=files, headers=account.authorization)).json()
    assert {key: type(value) for key, value in up.items()} == {
        key: type(value) for key, value in recorded("media_upload.json").items()
    }
    query = {"phone_number_id": account.number_id}
    found = (await simulator.get(f"/v26.0/{up['id']}", params=query, headers=account.authorization)).json()
    assert {key: type(value) for key, value in found.items()} == {
        key: type(value) for key, value in recorded("media_lookup.json").items()
    }
    assert (found["mime_type"], found["file_size"]) == ("image/png", str(len(PNG)))


async def test_file_too_large_is_refused(simulator: httpx.AsyncClient, account: Account) -> None:
    files = {"file": ("a.png", PNG + bytes(5 * 1024 * 1024), "image/png")}
    path = account.messages.replace("/messages", "/media")
    data = {"messaging_product": "whatsapp", "type": "image/png"}
    answer = await simulator.post(path, data=data, files=files, headers=account.authorization)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, 131053)


async def test_file_of_another_account_cannot_be_named(
    simulator: httpx.AsyncClient, account: Account, make_account: MakeAccount
) -> None:
    other = await make_account()
    files, data = {"file": ("a.png", PNG, "image/png")}, {"messaging_product": "whatsapp"}
    path = other.messages.replace("/messages", "/media")
    up = await simulator.post(path, data=data, files=files, headers=other.authorization)
    body = {"messaging_product": "whatsapp", "to": CUSTOMER, "type": "image", "image": {"id": up.json()["id"]}}
    answer = await simulator.post(account.messages, json=body, headers=account.authorization)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, 100)
    assert "media attachment ID" in answer.json()["error"]["message"]


async def received(gateway: GatewayDouble) -> dict[str, Any]:
    await eventually(lambda: gateway.messages)
    return gateway.messages[0]


async def test_customers_file_is_downloaded_by_the_adapter(
    simulator: httpx.AsyncClient, gateway: GatewayDouble, http: aiohttp.ClientSession, own: Channel
) -> None:
    message = {"type": "image", "image": {"data": "iVBORw0KGgo=", "mime_type": "image/png", "caption": "See"}}
    await simulator.post(f"/simulate/whatsapp/{own.id}", json={"from": CUSTOMER, "message": message})
    image = (await received(gateway))["image"]
    assert image.keys() == {"id", "mime_type", "sha256", "caption"}
    attachment = Attachment(kind="image", external_id=image["id"], media_type=image["mime_type"])
    async with WhatsApp().download(attachment, own, http) as download:
        assert (download.media_type, download.size) == ("image/png", 8)
        assert b"".join([chunk async for chunk in download.chunks]) == b"\x89PNG\r\n\x1a\n"


@pytest.mark.parametrize("kind", ["image", "audio", "video", "document", "sticker"])
async def test_customers_file_without_content_is_a_sample(
    simulator: httpx.AsyncClient, gateway: GatewayDouble, account: Account, kind: str
) -> None:
    await simulator.post(
        f"/simulate/whatsapp/{account.id}", json={"from": CUSTOMER, "message": {"type": kind, kind: {}}}
    )
    content = (await received(gateway))[kind]
    looked_up = (await simulator.get(f"/v26.0/{content['id']}", headers=account.authorization)).json()
    assert looked_up["mime_type"] == content["mime_type"]
    assert isinstance(looked_up["file_size"], str)
    data = await simulator.get(looked_up["url"], headers=account.authorization)
    assert (data.status_code, len(data.content)) == (200, int(looked_up["file_size"]))
    assert (await simulator.get(looked_up["url"])).status_code == 404
    assert (await simulator.get(looked_up["url"] + "0", headers=account.authorization)).status_code == 404


async def test_deleted_file_is_gone(
    simulator: httpx.AsyncClient, http: aiohttp.ClientSession, own: Channel, account: Account
) -> None:
    files, data = {"file": ("a.png", PNG, "image/png")}, {"messaging_product": "whatsapp"}
    path = account.messages.replace("/messages", "/media")
    media_id = (await simulator.post(path, data=data, files=files, headers=account.authorization)).json()["id"]
    assert (await simulator.delete(f"/v26.0/{media_id}", headers=account.authorization)).json() == {"success": True}
    with pytest.raises(FileUnavailable):
        async with WhatsApp().download(Attachment(kind="image", external_id=media_id), own, http):
            pytest.fail("a deleted file was given")


async def test_connection_and_diagnosis(http: aiohttp.ClientSession, own: Channel) -> None:
    async def shake_hands(request: web.Request) -> web.Response:
        assert request.query["hub.verify_token"] == "v"
        return web.Response(text=request.query["hub.challenge"])

    app = web.Application()
    app.router.add_get("/hook", shake_hands)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    hooked = replace(own, webhook_url=f"http://127.0.0.1:{runner.addresses[0][1]}/hook")
    whatsapp = WhatsApp()
    found = by_check(await whatsapp.connect(hooked, http))
    assert {check: finding.level for check, finding in found.items()} == dict.fromkeys(
        ("token", "subscription", "webhook"), "ok"
    )
    found = by_check(await whatsapp.diagnose(hooked, http))
    assert {finding.level for finding in found.values()} == {"ok", "info"}
    await whatsapp.disconnect(hooked, http)
    await runner.cleanup()
    found = by_check(await whatsapp.connect(hooked, http))
    assert found["webhook"].level == "warning"
    assert "Callback verification failed" in found["webhook"].message


async def test_false_token_is_definite(http: aiohttp.ClientSession, own: Channel) -> None:
    credentials = own.credentials.model_copy(update={"access_token": SecretStr("false")})
    [finding] = await WhatsApp().connect(replace(own, credentials=credentials), http)
    assert (finding.check, finding.level, finding.definite) == ("token", "error", True)


async def test_nobody_subscribed(
    simulator: httpx.AsyncClient, http: aiohttp.ClientSession, own: Channel, account: Account
) -> None:
    known = await simulator.get(
        f"/v26.0/{account.number_id}", params={"fields": "health_status"}, headers=account.authorization
    )
    business = known.json()["health_status"]["entities"][1]["id"]
    await simulator.delete(f"/v26.0/{business}/subscribed_apps", headers=account.authorization)
    found = by_check(await WhatsApp().diagnose(own, http))
    assert found["subscription"].level == "error"
    found = by_check(await WhatsApp().connect(own, http))
    assert found["subscription"].level == "ok"


async def test_templates_are_listed_page_by_page(
    simulator: httpx.AsyncClient, http: aiohttp.ClientSession, own: Channel, account: Account
) -> None:
    found = {template.name: template for template in await WhatsApp().templates(own, http)}
    assert found["order_update"].body == 2
    assert found["appointment"].named == ("name", "day")
    assert found["summer_sale"].status == "paused"


async def test_unknown_nodes_and_fields(simulator: httpx.AsyncClient, account: Account) -> None:
    for path in ("/v26.0/4711", "/v26.0/4711/message_templates", "/v26.0/4711/subscribed_apps"):
        answer = await simulator.get(path, headers=account.authorization)
        assert (answer.status_code, answer.json()["error"]["error_subcode"]) == (400, 33)
    answer = await simulator.get(f"/v26.0/{account.number_id}?fields=shoe_size", headers=account.authorization)
    assert "nonexisting field (shoe_size)" in answer.json()["error"]["message"]


async def test_typing_and_read_marks(http: aiohttp.ClientSession, own: Channel, simulator: httpx.AsyncClient) -> None:
    for kind in ("typing", "read"):
        signal = Signal(kind=kind, channel_config_id=own.id, recipient=CUSTOMER, external_id="wamid.1")
        await WhatsApp().signal(signal, own, http)
    assert (await simulator.get("/sent")).json()["items"] == []


@pytest.mark.parametrize("code", [131026, 131047, 131049])
async def test_scripted_number_fails_afterwards(
    http: aiohttp.ClientSession, own: Channel, gateway: GatewayDouble, code: int
) -> None:
    result = await WhatsApp().send(part("hi", f"12025{code}"), own, http)
    assert result.outcome == "sent"
    await eventually(lambda: gateway.statuses)
    [status] = gateway.statuses
    assert (status["status"], status["id"]) == ("failed", result.external_id)
    assert [error["code"] for error in status["errors"]] == [code]


async def test_window_is_enforced_where_the_account_says_so(
    simulator: httpx.AsyncClient, make_account: MakeAccount, gateway: GatewayDouble
) -> None:
    account = await make_account(enforce_window=True)
    body = {"messaging_product": "whatsapp", "to": CUSTOMER, "type": "text", "text": {"body": "hi"}}
    await simulator.post(account.messages, json=body, headers=account.authorization)
    await eventually(lambda: gateway.statuses)
    assert [status["errors"][0]["code"] for status in gateway.statuses] == [131047]
    await simulator.post(f"/simulate/whatsapp/{account.id}", json={"from": CUSTOMER, "text": "Hello"})
    await simulator.post(account.messages, json=body, headers=account.authorization)
    await eventually(lambda: len(gateway.statuses) == 4)
    assert [status["status"] for status in gateway.statuses][1:] == ["sent", "delivered", "read"]


async def test_change_of_another_field(simulator: httpx.AsyncClient, gateway: GatewayDouble, account: Account) -> None:
    echo = {"from": "15559990001", "to": CUSTOMER, "id": "wamid.e", "type": "text", "text": {"body": "from the phone"}}
    change = {"field": "smb_message_echoes", "value": {"message_echoes": [echo]}}
    await simulator.post(f"/simulate/whatsapp/{account.id}", json={"from": CUSTOMER, "message": change})
    await eventually(lambda: gateway.webhooks)
    [entry] = gateway.webhooks[0].json["entry"]
    [found] = entry["changes"]
    assert found["field"] == "smb_message_echoes"
    assert found["value"]["message_echoes"] == [echo]
    assert found["value"]["metadata"]["phone_number_id"] == account.number_id
