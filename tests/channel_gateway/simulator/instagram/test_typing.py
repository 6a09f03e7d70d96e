"""The page shows when the brand types on Instagram."""

from tests.channel_gateway.simulator.instagram.conftest import PERSON, Shop


async def test_typing_shows(shop: Shop) -> None:
    await shop.hears(text="Hi", **{"from": PERSON})
    query = {"channel": "instagram", "channel_config_id": shop.id, "customer": PERSON}
    for action, shown in (("mark_seen", False), ("typing_on", True)):
        answer = await shop.send({"recipient": {"id": PERSON}, "sender_action": action})
        assert answer.status_code == 200, answer.text
        assert (await shop.client.get("/thread", params=query)).json()["typing"] is shown
