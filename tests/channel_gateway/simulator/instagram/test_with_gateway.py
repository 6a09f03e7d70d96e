"""Both sides at once: what the simulated platform sends, the real gateway takes in, each item for its own account."""

import httpx
from redis.asyncio import Redis

from packages.core.domain.messages import DeliveryStatus
from tests.channel_gateway.simulator.instagram.conftest import HEARD, MakeShop, text
from tests.channel_gateway.simulator.test_with_gateway import events


async def test_gateway_takes_a_message_and_the_echo_of_its_answer(
    inbound: Redis, simulator: httpx.AsyncClient, make_shop: MakeShop
) -> None:
    shop = await make_shop()
    answer = await shop.hears(**HEARD)
    assert [webhook["status"] for webhook in answer["webhooks"]] == [200]
    await shop.send(text(message={"text": "Hi", "metadata": shop.id}))
    heard, echo, read = await events(inbound, 3)
    assert heard.message is not None
    assert (heard.channel_config_id, heard.message.text) == (shop.id, "Hello")
    assert echo.status is not None
    assert (echo.status.status, echo.status.correlation_id) == (DeliveryStatus.SENT, shop.id)
    assert read.status is not None
    assert read.status.covers_earlier


async def test_one_app_serves_many_tenants(inbound: Redis, simulator: httpx.AsyncClient, make_shop: MakeShop) -> None:
    first, second = await make_shop(), await make_shop()
    line = {"text": "b", "from": "2", "channel_config_id": second.id}
    answer = await first.hears(text="a", batch=[line], mode="meta", **{"from": "1"})
    assert [webhook["status"] for webhook in answer["webhooks"]] == [200]
    found = {(event.channel_config_id, event.message.text) for event in await events(inbound, 2) if event.message}
    assert found == {(first.id, "a"), (second.id, "b")}


async def test_account_of_another_app_is_foreign(
    inbound: Redis, simulator: httpx.AsyncClient, make_shop: MakeShop
) -> None:
    first, second = await make_shop(), await make_shop("another-secret")
    line = {"text": "b", "from": "2", "channel_config_id": second.id}
    await first.hears(text="a", batch=[line], **{"from": "1"})
    taken, foreign = await events(inbound, 2)
    assert taken.message is not None
    assert (foreign.kind, foreign.message, foreign.channel_config_id) == ("foreign", None, first.id)


async def test_forged_webhook_changes_nothing(
    inbound: Redis, simulator: httpx.AsyncClient, make_shop: MakeShop
) -> None:
    shop = await make_shop()
    answer = await shop.hears(**HEARD, forged=True)
    assert [webhook["status"] for webhook in answer["webhooks"]] == [401]
    assert await events(inbound, 0) == []
