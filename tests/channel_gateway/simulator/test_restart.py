"""The simulator as a process: killed at any moment, it goes on where it stopped."""

import asyncio
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import httpx
import pytest

from services.channel_gateway.simulator.settings import SimulatorSettings
from services.local.engines import Command
from tests.channel_gateway.simulator.conftest import SECRET_KEY, Account
from tests.channel_gateway.simulator.gateway_double import GatewayDouble, eventually
from tests.channel_gateway.simulator.test_send_api import text
from tests.processes import running

Start = Callable[[], AbstractContextManager[tuple[subprocess.Popen[bytes], str]]]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


@pytest.fixture
def start(settings: SimulatorSettings) -> Start:
    """Runs `uvicorn --factory …simulator.app:create_app` on the same data folder each time."""

    @contextmanager
    def started() -> Iterator[tuple[subprocess.Popen[bytes], str]]:
        port = _free_port()
        url = f"http://127.0.0.1:{port}"

        def ready() -> bool:
            try:
                return bool(urllib.request.urlopen(f"{url}/healthz", timeout=1).status == 200)
            except (urllib.error.URLError, OSError):
                return False

        factory = "services.channel_gateway.simulator.app:create_app"
        command = Command(
            "simulator",
            [sys.executable, "-m", "uvicorn", "--factory", factory, "--port", str(port), "--no-access-log"],
            ready,
            env={
                "PARLEY_DATA_DIR": str(settings.data_dir),
                "PARLEY_POSTGRES__URL": settings.postgres_url,
                "PARLEY_SECRET_KEY": SECRET_KEY,
                "PARLEY_PUBLIC_GATEWAY_URL": settings.gateway_base_url,
                "PARLEY_SIMULATOR_LONGEST_PAUSE": "0.5",
            },
            log=settings.data_dir / "simulator.log",
        )
        with running(command) as process:
            yield process, url

    return started


def _kill(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGKILL)
    process.wait(10)


async def test_webhooks_survive_kill_9(start: Start, account: Account, gateway: GatewayDouble) -> None:
    await gateway.stop()
    with start() as (process, url):
        async with httpx.AsyncClient(base_url=url) as client:
            answers = await asyncio.gather(
                *(
                    client.post(f"/simulate/whatsapp/{account.id}", json={"text": str(n), "from": f"1202555{n:04d}"})
                    for n in range(30)
                )
            )
        _kill(process)
    await gateway.start()
    with start():
        await eventually(lambda: len({message["id"] for message in gateway.messages}) == 30, 20)
    expected = {answer.json()["external_ids"][0] for answer in answers}
    assert {message["id"] for message in gateway.messages} == expected


async def test_sent_messages_statuses_and_faults_survive_kill_9(
    start: Start, account: Account, gateway: GatewayDouble
) -> None:
    await gateway.stop()
    with start() as (process, url):
        async with httpx.AsyncClient(base_url=url) as client:
            await client.put("/faults", json={"status_delay_ms": 1})
            for number in range(3):
                body = text(str(number), biz_opaque_callback_data=f"m-{number}")
                assert (await client.post(account.messages, json=body, headers=account.authorization)).is_success
        _kill(process)
    await gateway.start()
    with start() as (_process, url):
        async with httpx.AsyncClient(base_url=url) as client:
            items = (await client.get("/sent")).json()["items"]
            assert [item["message_id"] for item in items] == ["m-0", "m-1", "m-2"]
            assert (await client.get("/faults")).json()["*"]["status_delay_ms"] == 1
            await client.post(account.messages, json=text("next"), headers=account.authorization)
            numbers = [item["n"] for item in (await client.get("/sent")).json()["items"]]
            assert numbers == sorted(set(numbers))
            assert len(numbers) == 4
        await eventually(lambda: len(gateway.statuses) >= 12, 20)


async def test_sigterm_ends_it_cleanly(start: Start, account: Account, gateway: GatewayDouble) -> None:
    with start() as (process, url):
        async with httpx.AsyncClient(base_url=url) as client:
            await client.post(f"/simulate/whatsapp/{account.id}", json={"text": "Hi", "from": "12025550123"})
        await eventually(lambda: gateway.webhooks)
        process.terminate()
        assert process.wait(10) in (0, -signal.SIGTERM)
