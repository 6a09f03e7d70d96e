"""What the gateway hears from the simulated platform."""

import time

import aiohttp
import httpx
import pytest

from packages.core.domain.messages import Attachment, DeliveryStatus
from services.channel_gateway.channels import WebhookRequest
from services.channel_gateway.channels.instagram import channel
from tests.channel_gateway.simulator.gateway_double import GatewayDouble, Webhook, eventually
from tests.channel_gateway.simulator.instagram.conftest import HEARD, PERSON, MakeShop, Shop, events, text


def as_request(webhook: Webhook) -> WebhookRequest:
    """A webhook as the gateway hands it to the adapter."""
    headers = {name.lower(): value for name, value in webhook.headers.items()}
    return WebhookRequest(method="POST", url=webhook.path, headers=headers, query={}, body=webhook.body)


async def test_message_arrives_signed_in_metas_form(shop: Shop, gateway: GatewayDouble) -> None:
    answer = await shop.hears(text="Größe? 👍", **{"from": PERSON})
    [webhook] = gateway.webhooks
    assert webhook.path == f"/webhooks/instagram/{shop.id}"
    assert webhook.signed_with(shop.app_secret)
    assert rb"\ud83d\udc4d" in webhook.body
    [entry] = webhook.json["entry"]
    [event] = entry["messaging"]
    assert (webhook.json["object"], entry["id"]) == ("instagram", shop.account_id)
    assert (event["sender"], event["recipient"]) == ({"id": PERSON}, {"id": shop.account_id})
    assert event["message"] == {"mid": answer["external_ids"][0], "text": "Größe? 👍"}
    assert abs(event["timestamp"] / 1000 - time.time()) < 10


async def test_adapter_takes_what_the_platform_sends(shop: Shop, gateway: GatewayDouble) -> None:
    answer = await shop.hears(**HEARD)
    request = as_request(gateway.webhooks[0])
    channel.verify(request, shop.account)
    [item] = channel.parse(request)
    assert item.message is not None
    assert (item.account_id, item.external_id, item.message.text) == (
        shop.account_id,
        answer["external_ids"][0],
        "Hello",
    )


async def test_batch_of_several_accounts_comes_in_one_webhook(make_shop: MakeShop, gateway: GatewayDouble) -> None:
    first, second = await make_shop(), await make_shop()
    line = {"text": "b", "from": "2", "channel_config_id": second.id}
    await first.hears(text="a", batch=[line, {"text": "c", "from": "3"}], **{"from": "1"})
    [webhook] = gateway.webhooks
    found = [
        (entry["id"], [event["message"]["text"] for event in entry["messaging"]]) for entry in webhook.json["entry"]
    ]
    assert found == [(first.account_id, ["a"]), (second.account_id, ["b"]), (first.account_id, ["c"])]


async def test_duplicates_are_the_same_message(shop: Shop, gateway: GatewayDouble) -> None:
    await shop.hears(**HEARD, duplicates=2)
    await eventually(lambda: len(gateway.webhooks) == 3)
    assert len({event["message"]["mid"] for event in events(gateway)}) == 1


async def test_forged_webhook_is_signed_with_a_false_secret(shop: Shop, gateway: GatewayDouble) -> None:
    gateway.answers = [401]
    answer = await shop.hears(**HEARD, forged=True)
    assert [webhook["status"] for webhook in answer["webhooks"]] == [401]
    assert not gateway.webhooks[0].signed_with(shop.app_secret)


async def test_unanswered_webhook_is_repeated(shop: Shop, gateway: GatewayDouble) -> None:
    gateway.answers = [500, 204]
    await shop.hears(**HEARD)
    await eventually(lambda: len(gateway.webhooks) == 3)
    assert len({webhook.body for webhook in gateway.webhooks}) == 1


async def test_operators_app_signs_with_its_own_secret(shop: Shop, gateway: GatewayDouble) -> None:
    await shop.hears(**HEARD, mode="meta")
    [webhook] = gateway.webhooks
    assert (webhook.path, webhook.signed_with("meta-app-secret")) == ("/webhooks/meta", True)


STORY = {"text": "Nice", "reply_to": {"story": {"id": "1", "url": "https://lookaside.fbsbx.com/x"}}}


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        (STORY, "text"),
        ({"attachments": [{"type": "story_mention", "payload": {"url": "https://x.example/s"}}]}, "share"),
        ({"reaction": {"mid": "m-1", "action": "react", "emoji": "❤️"}}, "reaction"),
        ({"postback": {"title": "Track", "payload": "TRACK"}}, "postback"),
        ({"message_edit": {"mid": "m-1", "text": "b", "num_edit": 1}}, "edit"),
        ({"message": {"mid": "m-1", "is_deleted": True}}, "delete"),
        ({"referral": {"ref": "r", "source": "ADS", "type": "OPEN_THREAD"}}, "referral"),
        ({"field": "comments", "value": {"text": "Price?", "media": {"id": "9"}}}, "comment"),
    ],
)
async def test_every_kind_can_be_played(shop: Shop, gateway: GatewayDouble, message: object, kind: str) -> None:
    await shop.hears(message=message, **{"from": PERSON})
    [item] = channel.parse(as_request(gateway.webhooks[0]))
    assert item.message is not None
    assert (item.message.kind, item.message.sender.external_id) == (kind, PERSON)


async def test_conversation_of_another_app_is_on_standby(shop: Shop, gateway: GatewayDouble) -> None:
    await shop.hears(message={"standby": True, "message": {"text": "Hello"}}, **{"from": PERSON})
    [item] = channel.parse(as_request(gateway.webhooks[0]))
    assert item.message is not None
    assert item.message.standby


async def test_echo_and_read_mark_follow_a_send(shop: Shop, gateway: GatewayDouble) -> None:
    await shop.hears(**HEARD)
    body = text("Hi", message={"text": "Hi", "metadata": "01890000-0000-7000-8000-00000000000a"})
    mid = (await shop.send(body)).json()["message_id"]
    await eventually(lambda: len(gateway.webhooks) == 3)
    assert all(webhook.signed_with(shop.app_secret) for webhook in gateway.webhooks)
    found = [item.status for webhook in gateway.webhooks[1:] for item in channel.parse(as_request(webhook))]
    assert [status.status for status in found if status] == [DeliveryStatus.SENT, DeliveryStatus.READ]
    assert {status.external_id for status in found if status} == {mid}
    assert found[0] is not None
    assert found[0].correlation_id == "01890000-0000-7000-8000-00000000000a"


@pytest.mark.parametrize("statuses", [[], ["delivered"]])
async def test_there_is_no_delivered_status(
    shop: Shop, simulator: httpx.AsyncClient, gateway: GatewayDouble, statuses: list[str]
) -> None:
    await simulator.put("/faults", json={"channel": "instagram", "statuses": statuses})
    await shop.hears(**HEARD)
    await shop.send(text())
    assert (await simulator.get("/pending")).json() == {"pending": 0}


async def test_customers_file_comes_from_the_content_host(
    shop: Shop, gateway: GatewayDouble, http: aiohttp.ClientSession
) -> None:
    await shop.hears(message={"attachments": [{"type": "image"}]}, **{"from": PERSON})
    [item] = channel.parse(as_request(gateway.webhooks[0]))
    assert item.message is not None
    [attachment] = item.message.attachments
    async with channel.download(attachment, shop.account, http) as download:
        content = b"".join([chunk async for chunk in download.chunks])
    assert (download.media_type, content[:4]) == ("image/png", b"\x89PNG")


async def test_file_of_ones_own(shop: Shop, gateway: GatewayDouble, http: aiohttp.ClientSession) -> None:
    payload = {"base64": "SGVsbG8=", "media_type": "text/plain"}
    await shop.hears(message={"attachments": [{"type": "file", "payload": payload}]}, **{"from": PERSON})
    [event] = events(gateway)
    url = event["message"]["attachments"][0]["payload"]["url"]
    async with channel.download(Attachment(kind="document", url=url), shop.account, http) as download:
        assert b"".join([chunk async for chunk in download.chunks]) == b"Hello"
    async with http.get(url[:-3]) as response:
        assert response.status == 403


async def test_broken_file_is_refused(shop: Shop) -> None:
    message = {"attachments": [{"type": "image", "payload": {"base64": "not base64!"}}]}
    answer = await shop.client.post(f"/simulate/instagram/{shop.id}", json={"message": message, "from": PERSON})
    assert answer.status_code == 422
