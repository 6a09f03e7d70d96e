"""Faults to order."""

import asyncio
import time

import httpx
import pytest

from tests.channel_gateway.simulator.conftest import Account
from tests.channel_gateway.simulator.gateway_double import GatewayDouble, eventually
from tests.channel_gateway.simulator.test_send_api import text


async def send(simulator: httpx.AsyncClient, account: Account) -> httpx.Response:
    return await simulator.post(account.messages, json=text(), headers=account.authorization, timeout=1)


async def recorded(simulator: httpx.AsyncClient) -> int:
    return len((await simulator.get("/sent")).json()["items"])


@pytest.mark.parametrize(
    ("fault", "status", "code"), [("rate_429", 400, 130429), ("rate_500", 500, 131000), ("rate_502", 502, None)]
)
async def test_refusal_comes_in_the_platforms_form_and_nothing_is_accepted(
    simulator: httpx.AsyncClient, account: Account, fault: str, status: int, code: int | None
) -> None:
    await simulator.put("/faults", json={"channel": "whatsapp", fault: 1})
    answer = await send(simulator, account)
    assert answer.status_code == status
    assert (answer.json()["error"]["code"] if code else answer.text) == (
        code or "<html><body>Bad Gateway</body></html>"
    )
    assert await recorded(simulator) == 0


async def test_timeout_hangs_after_having_accepted(simulator: httpx.AsyncClient, account: Account) -> None:
    await simulator.put("/faults", json={"rate_timeout": 1})
    with pytest.raises(httpx.ReadTimeout):
        await send(simulator, account)
    assert await recorded(simulator) == 1


async def test_hanging_ends_with_the_answer(simulator: httpx.AsyncClient, account: Account) -> None:
    await simulator.put("/faults", json={"rate_timeout": 1, "timeout_seconds": 0.2})
    started = time.monotonic()
    assert (await send(simulator, account)).status_code == 200
    assert time.monotonic() - started > 0.2


@pytest.mark.parametrize(("fault", "accepted"), [("rate_reset", 0), ("rate_reset_after", 1)])
async def test_connection_is_reset(simulator: httpx.AsyncClient, account: Account, fault: str, accepted: int) -> None:
    await simulator.put("/faults", json={fault: 1})
    with pytest.raises((httpx.ReadError, httpx.RemoteProtocolError)):
        await send(simulator, account)
    assert await recorded(simulator) == accepted


async def test_rate_strikes_its_share(simulator: httpx.AsyncClient, account: Account) -> None:
    await simulator.put("/faults", json={"rate_500": 0.3, "statuses": []})
    statuses = [answer.status_code for answer in await asyncio.gather(*(send(simulator, account) for _ in range(150)))]
    assert 15 <= statuses.count(500) <= 80
    assert await recorded(simulator) == statuses.count(200)


async def test_failed_status_has_the_platforms_error(
    simulator: httpx.AsyncClient, account: Account, gateway: GatewayDouble
) -> None:
    await simulator.put("/faults", json={"rate_failed": 1})
    await send(simulator, account)
    await eventually(lambda: gateway.statuses)
    [status] = gateway.statuses
    assert (status["status"], status["errors"][0]["code"]) == ("failed", 131026)


async def test_statuses_can_be_doubled(simulator: httpx.AsyncClient, account: Account, gateway: GatewayDouble) -> None:
    await simulator.put("/faults", json={"rate_duplicate": 1, "statuses": ["delivered"]})
    await send(simulator, account)
    await eventually(lambda: len(gateway.statuses) == 2)
    assert gateway.statuses[0]["id"] == gateway.statuses[1]["id"]


async def test_statuses_can_share_a_webhook(
    simulator: httpx.AsyncClient, account: Account, gateway: GatewayDouble
) -> None:
    await simulator.put("/faults", json={"rate_batched": 1, "status_delay_ms": 0, "statuses": ["sent", "delivered"]})
    await send(simulator, account)
    await eventually(lambda: len(gateway.statuses) == 2)
    assert len(gateway.webhooks) == 1
    assert [status["status"] for status in gateway.statuses] == ["sent", "delivered"]


async def test_delay_of_statuses_is_to_order(
    simulator: httpx.AsyncClient, account: Account, gateway: GatewayDouble
) -> None:
    await simulator.put("/faults", json={"status_delay_ms": 400, "statuses": ["read"]})
    await send(simulator, account)
    await asyncio.sleep(0.2)
    assert gateway.statuses == []
    await eventually(lambda: gateway.statuses)


async def test_delete_ends_them(simulator: httpx.AsyncClient, account: Account) -> None:
    await simulator.put("/faults", json={"rate_500": 1})
    assert (await simulator.delete("/faults")).status_code == 204
    assert (await send(simulator, account)).status_code == 200
    assert (await simulator.get("/faults")).json() == {}


async def test_a_channels_own_faults_replace_the_general_ones(simulator: httpx.AsyncClient, account: Account) -> None:
    await simulator.put("/faults", json={"rate_500": 1})
    await simulator.put("/faults", json={"channel": "whatsapp", "statuses": []})
    assert (await send(simulator, account)).status_code == 200


@pytest.mark.parametrize(
    "order",
    [
        {"rate_500": 2},
        {"rate_500": 0.6, "rate_429": 0.6},
        {"rate_418": 1},
        {"channel": "pigeon"},
        {"errors": {"x": -1}},
    ],
)
async def test_impossible_order_is_refused(simulator: httpx.AsyncClient, order: dict[str, object]) -> None:
    answer = await simulator.put("/faults", json=order)
    assert answer.status_code == 422
    assert (await simulator.get("/faults")).json() == {}
