import pytest

from packages.core.egress import ForbiddenAddress, UnknownHost, is_public, resolve


@pytest.mark.parametrize(
    "address", ["8.8.8.8", "93.184.216.34", "2606:4700:4700::1111", "::ffff:8.8.8.8", "2002:0808:0808::1"]
)
def test_public_addresses(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "address",
    [
        "0.0.0.0",
        "10.0.0.1",
        "100.64.0.1",
        "127.0.0.1",
        "127.255.255.254",
        "169.254.169.254",
        "172.16.0.1",
        "192.168.1.1",
        "198.18.0.1",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "fe80::1",
        "fe80::1%eth0",
        "fc00::1",
        "ff02::1",
        "::ffff:127.0.0.1",
        "::ffff:169.254.169.254",
        "64:ff9b::7f00:1",
        "2002:7f00:0001::1",
        "2002:a9fe:a9fe::1",
    ],
)
def test_addresses_inside_somebodys_network(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.1", "2130706433", "0x7f000001", "0", "::1"])
async def test_every_spelling_of_this_machine_is_refused(host: str) -> None:
    with pytest.raises(ForbiddenAddress):
        await resolve(host, 80)


async def test_gives_the_address_to_connect_to() -> None:
    assert await resolve("8.8.8.8", 443) == "8.8.8.8"


async def test_the_operator_may_let_a_host_through() -> None:
    assert await resolve("127.0.0.1", 80, allowed_hosts={"127.0.0.1"}) == "127.0.0.1"


@pytest.mark.parametrize("host", ["no-such-host.invalid", "", "a" * 64 + ".example", "-.-"])
async def test_a_name_that_does_not_resolve(host: str) -> None:
    with pytest.raises((UnknownHost, ForbiddenAddress)):
        await resolve(host, 80)
