"""Sends go to public addresses and to networks that the operator allows, whatever a tenant names."""

import aiohttp
import pytest

from services.channel_gateway import outside
from tests.fakes.graph_api import GraphAPI


@pytest.mark.parametrize("allowed", [["127.0.0.0/8"], ["10.0.0.0/8", "127.0.0.1/32"]])
async def test_an_allowed_network_is_reached(allowed: list[str]) -> None:
    api = GraphAPI()
    base = await api.start()
    async with outside.session(allowed) as http, http.post(f"{base}/v26.0/1/messages", json={}) as answer:
        assert answer.status == 200
    await api.stop()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "10.0.0.1", "169.254.169.254", "[::1]"])
async def test_a_private_address_is_not(host: str) -> None:
    async with outside.session([]) as http:
        with pytest.raises(aiohttp.ClientConnectorError, match="not public"):
            await http.post(f"http://{host}:9/v26.0/1/messages", json={}, timeout=aiohttp.ClientTimeout(5))


async def test_what_is_no_network_is_refused_at_start() -> None:
    with pytest.raises(ValueError, match="does not appear to be"):
        outside.session(["everywhere"])
