"""What the simulator shows: messages sent, threads, accounts, its page."""

import time

import httpx
import pytest

from services.channel_gateway.simulator.records import SCHEMA, Records, Sent
from services.channel_gateway.simulator.settings import SimulatorSettings
from services.channel_gateway.simulator.store import Store
from tests.channel_gateway.simulator.conftest import Account, MakeAccount
from tests.channel_gateway.simulator.test_send_api import text


async def send(simulator: httpx.AsyncClient, account: Account, body: str, to: str = "12025550123") -> None:
    answer = await simulator.post(account.messages, json=text(body) | {"to": to}, headers=account.authorization)
    assert answer.status_code == 200


async def texts(simulator: httpx.AsyncClient, **query: object) -> list[str]:
    answer = await simulator.get("/sent", params={key: str(value) for key, value in query.items()})
    return [item["text"] for item in answer.json()["items"]]


async def test_sent_is_in_order_and_filtered(
    simulator: httpx.AsyncClient, account: Account, make_account: MakeAccount
) -> None:
    other = await make_account()
    await send(simulator, account, "a", to="12025550101")
    await send(simulator, other, "b", to="12025550101")
    await send(simulator, account, "c", to="12025550102")
    assert await texts(simulator) == ["a", "b", "c"]
    assert await texts(simulator, channel="whatsapp", to="12025550101") == ["a", "b"]
    assert await texts(simulator, channel_config_id=account.id) == ["a", "c"]
    assert await texts(simulator, channel_config_id=other.id, to="12025550102") == []
    assert await texts(simulator, channel="webchat") == []


async def test_sent_comes_in_pages(simulator: httpx.AsyncClient, account: Account) -> None:
    for body in "abc":
        await send(simulator, account, body)
    first = (await simulator.get("/sent?limit=2")).json()
    assert [item["text"] for item in first["items"]] == ["a", "b"]
    rest = (await simulator.get(f"/sent?limit=2&cursor={first['next_cursor']}")).json()
    assert ([item["text"] for item in rest["items"]], rest["next_cursor"]) == (["c"], None)
    assert await texts(simulator, after=first["items"][0]["n"]) == ["b", "c"]


async def test_delete_clears_and_the_numbers_go_on(simulator: httpx.AsyncClient, account: Account) -> None:
    await send(simulator, account, "a")
    [before] = (await simulator.get("/sent")).json()["items"]
    assert (await simulator.delete("/sent")).status_code == 204
    assert await texts(simulator) == []
    await send(simulator, account, "b")
    [after] = (await simulator.get("/sent")).json()["items"]
    assert after["n"] > before["n"]


async def test_sent_is_cheap_with_ten_thousand_entries(
    settings: SimulatorSettings, simulator: httpx.AsyncClient
) -> None:
    store = Store(settings.database_path, SCHEMA)
    records = Records(store)
    await records.load()
    many = [
        Sent(
            channel="whatsapp",
            channel_config_id="c",
            to=str(number % 100),
            text="x",
            message_id=None,
            external_id=f"wamid.{number}",
            payload={"text": {"body": "x"}},
        )
        for number in range(10_000)
    ]
    await records.save(errands=[], sent=many, written=[])
    await records.close()
    started = time.perf_counter()
    assert len(await texts(simulator, channel="whatsapp", to="7")) == 100
    assert time.perf_counter() - started < 0.5
    assert len(await texts(simulator, limit=20_000)) == 10_000


async def test_thread_shows_both_sides(simulator: httpx.AsyncClient, account: Account) -> None:
    await simulator.post(f"/simulate/whatsapp/{account.id}", json={"text": "Where is it?", "from": "12025550123"})
    await send(simulator, account, "Here.")
    query = {"channel": "whatsapp", "channel_config_id": account.id, "customer": "12025550123"}
    items = (await simulator.get("/thread", params=query)).json()["items"]
    assert [(item["author"], item["text"]) for item in items] == [("customer", "Where is it?"), ("brand", "Here.")]


async def test_accounts_come_without_secrets(simulator: httpx.AsyncClient, account: Account) -> None:
    answer = await simulator.get("/accounts")
    expected = {"id": account.id, "channel": "whatsapp", "name": "Main line", "account_id": account.number_id}
    assert answer.json()["items"] == [expected]
    assert account.app_secret not in answer.text


async def test_page_needs_nothing_from_outside(simulator: httpx.AsyncClient) -> None:
    answer = await simulator.get("/")
    assert answer.headers["content-type"].startswith("text/html")
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert '<html lang="en">' in answer.text
    assert "://" not in answer.text


@pytest.mark.parametrize("query", ["limit=0", "limit=x", "after=-1"])
async def test_malformed_query_is_refused(simulator: httpx.AsyncClient, query: str) -> None:
    assert (await simulator.get(f"/sent?{query}")).status_code == 422
