"""The page shows when the brand types on Telegram."""

import httpx

from tests.channel_gateway.simulator.telegram.conftest import BotAccount


async def test_typing_shows(simulator: httpx.AsyncClient, account: BotAccount, chat: int) -> None:
    query = {"channel": "telegram", "channel_config_id": account.id, "customer": str(chat)}
    assert (await simulator.get("/thread", params=query)).json()["typing"] is False
    call = {"chat_id": chat, "action": "typing"}
    assert (await simulator.post(f"/bot{account.token}/sendChatAction", json=call)).json() == {
        "ok": True,
        "result": True,
    }
    assert (await simulator.get("/thread", params=query)).json()["typing"] is True
