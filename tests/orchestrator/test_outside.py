"""The guarded way out: public addresses, limits, redirects, signatures."""

import time
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from packages.core.crypto import hmac_sha256
from services.local.engines import free_port
from services.orchestrator.outside import (
    MOST_REDIRECTS,
    SIGNATURE,
    Call,
    Outside,
    OutsideFailed,
    checked_url,
    signature,
)
from tests.fakes import shop_api
from tests.fakes.shop_api import ShopAPI


@pytest_asyncio.fixture
async def shop() -> AsyncIterator[ShopAPI]:
    async with shop_api.running() as shop:
        yield shop


@pytest_asyncio.fixture
async def outside() -> AsyncIterator[Outside]:
    """Let through to this machine, which stands for the public internet."""
    outside = Outside(["127.0.0.0/8"])
    yield outside
    await outside.close()


async def refusal(outside: Outside, call: Call) -> OutsideFailed:
    with pytest.raises(OutsideFailed) as caught:
        await outside.send(call)
    return caught.value


class TestSend:
    async def test_signs_what_it_sends(self, outside: Outside, shop: ShopAPI) -> None:
        call = Call(method="POST", url=f"{shop.url}/t%40x?q=a%2Fb", body={"a": "é"}, secret="s3cret")
        await outside.send(call)
        [heard] = shop.heard
        at, given = (part.partition("=")[2] for part in heard.headers[SIGNATURE.lower()].split(","))
        signed = f"{at}\nPOST\n/t%40x?q=a%2Fb\n".encode() + heard.body
        assert given == hmac_sha256(b"s3cret", signed)
        assert abs(int(at) - time.time()) < 5

    @pytest.mark.parametrize("url", ["http://127.0.0.1", "http://localhost", "http://[::1]", "http://[::ffff:127.0.0.1]",
                                     "http://0x7f000001", "http://2130706433"])  # fmt: skip
    async def test_private_addresses_are_refused_however_written(self, shop: ShopAPI, url: str) -> None:
        outside = Outside()
        failure = await refusal(outside, Call(method="GET", url=f"{url}:{shop.url.rpartition(':')[2]}/"))
        await outside.close()
        assert failure.reason in {"forbidden_address", "unreachable", "broken", "bad_url"}
        assert shop.heard == []

    async def test_a_redirect_inside_is_refused(self, outside: Outside, shop: ShopAPI) -> None:
        shop.fault, shop.target = "redirect", "http://10.0.0.1/secrets"
        assert (await refusal(outside, Call(method="GET", url=shop.url))).reason == "forbidden_address"

    async def test_secrets_stay_behind_when_it_redirects(self, outside: Outside, shop: ShopAPI) -> None:
        async with shop_api.running() as other:
            shop.fault, shop.target = "redirect", f"{other.url}/elsewhere"
            headers = {"Authorization": "Bearer shhh"}
            await outside.send(Call(method="GET", url=shop.url, headers=headers, secret="s3cret"))
            assert other.heard[0].headers.keys().isdisjoint({"authorization", SIGNATURE.lower()})
        assert shop.heard[0].headers["authorization"] == "Bearer shhh"

    async def test_a_write_is_never_redirected(self, outside: Outside, shop: ShopAPI) -> None:
        shop.fault, shop.target = "redirect", f"{shop.url}/again"
        assert (await outside.send(Call(method="POST", url=shop.url, body={}))).status == 302
        assert len(shop.heard) == 1

    async def test_redirects_end(self, outside: Outside, shop: ShopAPI) -> None:
        shop.fault, shop.target = "redirect", f"{shop.url}/again"
        assert (await refusal(outside, Call(method="GET", url=shop.url))).reason == "too_many_redirects"
        assert len(shop.heard) == MOST_REDIRECTS + 1

    @pytest.mark.parametrize(("fault", "reason"), [("hang", "timeout"), ("large", "too_large"), ("cut", "broken")])
    async def test_limits(self, outside: Outside, shop: ShopAPI, fault: str, reason: str) -> None:
        shop.fault = fault
        failure = await refusal(outside, Call(method="GET", url=shop.url, seconds=0.5))
        assert (failure.reason, failure.is_certain) == (reason, False)

    async def test_nobody_there_is_certain(self, outside: Outside) -> None:
        failure = await refusal(outside, Call(method="GET", url=f"http://127.0.0.1:{free_port()}/"))
        assert (failure.reason, failure.is_certain) == ("unreachable", True)


class TestCheckedURL:
    @pytest.mark.parametrize(
        "url", ["file:///etc/passwd", "http://", "http://u:p@a.test/", "ftp://a.test", "http://a b"]
    )
    def test_refuses(self, url: str) -> None:
        with pytest.raises(OutsideFailed):
            checked_url(url)


def test_a_signature_can_be_checked_by_hand() -> None:
    given = signature("key", "post", "https://a.test/x?y=1", b"{}", 1_700_000_000)
    expected = hmac_sha256(b"key", b"1700000000\nPOST\n/x?y=1\n{}")
    assert given == f"t=1700000000,v1={expected}"
