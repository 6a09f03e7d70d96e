"""Five channels at once while their platforms refuse, stall and drop a fifth of all sends: nothing lost, order kept.

A send is doubled only where the platform's answer to it was lost, and each such repeat is counted.
"""

import asyncio
from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import Any

import aiohttp
import httpx
import pytest

from tests.faults.conftest import Stage
from tests.faults.traffic import Traffic, settled
from tests.product import API

CUSTOMERS_PER_CHANNEL = 8
MESSAGES = 5
FAULTS = {
    "rate_429": 0.05,
    "rate_500": 0.05,
    "rate_reset": 0.05,
    "rate_reset_after": 0.025,
    "rate_timeout": 0.025,
    "timeout_seconds": 30,
    "rate_late": 0.2,
    "rate_duplicate": 0.2,
}
pytestmark = [pytest.mark.faults, pytest.mark.timeout(600)]


async def _accounts(stage: Stage) -> list[tuple[str, str]]:
    """The first tenant's WhatsApp and web chat, and an account on each of the other channels."""
    product = stage.product
    api = API(product.url("orchestrator"))
    await api.log_in(stage.first["email"], stage.first["password"])
    credentials = {
        "instagram": {
            "account_id": "17841400000000001",
            "access_token": "ig-token",
            "app_secret": "ig-secret",
            "verify_token": "verify",
        },
        "telegram": {"bot_token": "700000001:AAfaultsFaultsFaultsFaultsFaultsFaults0", "secret_token": "tg-secret"},
        "twilio": {"account_sid": "AC" + "0" * 31 + "1", "auth_token": "tw-token", "from": "+12025550100"},
    }
    accounts = [("whatsapp", stage.first["whatsapp"]), ("webchat", stage.first["webchat"])]
    for channel, secrets in credentials.items():
        body = {
            "channel": channel,
            "name": channel,
            "credentials": secrets,
            "settings": {"api_base": product.url("simulator")},
        }
        created = await api.post(f"/v1/brands/{stage.first['brand']}/channels", body)
        assert created["status"] == "active", (channel, created["status_reason"], created["checks"])
        accounts.append((channel, created["id"]))
    await api.client.aclose()
    return accounts


class Customers(Traffic):
    """Customers whose ids are in the form of their channel."""

    def name_of(self, number: int) -> str:
        """The customer's id."""
        channel, _ = self.accounts[number % len(self.accounts)]
        return {"twilio": f"+1202555{number:04d}", "whatsapp": f"4477009{number:05d}"}.get(channel, f"99{number:08d}")


@dataclass(frozen=True)
class Reached:
    """What reached the platforms, held against what PostgreSQL knows."""

    lost: list[str]
    out_of_order: list[str]
    extra: int
    repeated_in_doubt: int


async def _reached(stage: Stage, accounts: list[str]) -> Reached:
    rows = await stage.product.sql(
        "SELECT d.id::text, d.seq, d.conversation_id::text AS conversation, d.external_id, d.state, d.in_doubt, "
        "ARRAY(SELECT p.external_id FROM delivery_part p WHERE p.delivery_id = d.id) AS parts "
        "FROM delivery d WHERE d.channel_config_id::text = ANY($1) AND d.state <> 'void' ORDER BY d.seq",
        accounts,
    )
    async with (
        aiohttp.ClientSession() as http,
        http.get(stage.product.url("simulator") + "/sent", params={"limit": "20000"}) as answer,
    ):
        items = [item for item in (await answer.json())["items"] if item["channel_config_id"] in accounts]
    owner: dict[str, Any] = {}
    for row in rows:
        for external_id in (row["external_id"], *row["parts"]):
            owner[external_id] = row
    delivered = [owner[item["external_id"]] for item in items if item["external_id"] in owner]
    latest: defaultdict[str, int] = defaultdict(int)
    out_of_order = []
    for row in delivered:
        if row["seq"] < latest[row["conversation"]]:
            out_of_order.append(row["id"])
        latest[row["conversation"]] = max(latest[row["conversation"]], row["seq"])
    arrived = {row["id"] for row in delivered}
    return Reached(
        lost=[row["id"] for row in rows if row["id"] not in arrived],
        out_of_order=out_of_order,
        extra=sum(item["external_id"] not in owner for item in items),
        repeated_in_doubt=sum(row["in_doubt"] for row in rows),
    )


async def test_a_fifth_of_all_sends_fails_and_nothing_is_lost(stage: Stage) -> None:
    accounts = await _accounts(stage)
    platforms = [account for channel, account in accounts if channel != "webchat"]
    (row,) = await stage.product.sql("SELECT count(*) AS n FROM message_log WHERE direction = 'inbound'")
    async with httpx.AsyncClient(base_url=stage.product.url("simulator"), timeout=30) as simulator:
        for channel in {channel for channel, _ in accounts} - {"webchat"}:
            assert (await simulator.put("/faults", json={"channel": channel, **FAULTS})).is_success
        traffic = Customers(stage.product, accounts, CUSTOMERS_PER_CHANNEL * len(accounts), MESSAGES, seed=21)
        await traffic.run()
        assert sum(traffic.sent.values()) == CUSTOMERS_PER_CHANNEL * len(accounts) * MESSAGES
        await settled(stage.product, row["n"] + sum(traffic.sent.values()), 150)
        assert (await simulator.delete("/faults")).is_success
    await asyncio.sleep(1)
    reached = await _reached(stage, platforms)
    states = await stage.product.sql(
        "SELECT state, count(*) AS n FROM delivery WHERE channel_config_id::text = ANY($1) GROUP BY 1", platforms
    )
    assert Counter({row["state"]: row["n"] for row in states}).keys() <= {"sent", "void"}
    assert reached.lost == []
    assert reached.out_of_order == []
    assert reached.extra <= reached.repeated_in_doubt
