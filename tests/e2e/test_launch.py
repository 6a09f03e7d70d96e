"""The one command inside this process, over real engines and services."""

import asyncio
import os
import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from services.local import launch, schema
from services.local.engines import EmbeddedPostgres, free_port
from services.local.launch import Options
from tests.e2e.conftest import reachable_folder
from tests.processes import running
from tests.product import API

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def data() -> Iterator[Path]:
    """A data directory that the starts of this module share."""
    folder = reachable_folder()
    yield folder / "data"
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def ports(data: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """Free ports, set in the environment with the data directory and nothing else."""
    for name in [name for name in os.environ if name.startswith("PARLEY_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PARLEY_DATA_DIR", str(data))
    ports = {name: free_port() for name in ("ORCHESTRATOR", "GATEWAY", "SIMULATOR")}
    for name, port in ports.items():
        monkeypatch.setenv(f"PARLEY_{name}_PORT", str(port))
    return ports


async def started(capsys: pytest.CaptureFixture[str]) -> tuple[asyncio.Task[int], str]:
    """The command running as a task, and what it printed until it was ready."""
    task = asyncio.create_task(launch.main(Options()))
    printed, deadline = "", time.monotonic() + 120
    while "Ctrl-C ends it" not in printed:
        assert time.monotonic() < deadline, printed
        assert not task.done(), printed + capsys.readouterr().err
        await asyncio.sleep(0.1)
        printed += capsys.readouterr().out
    return task, printed


async def stopped(task: asyncio.Task[int]) -> int:
    """Its exit status after SIGTERM."""
    os.kill(os.getpid(), signal.SIGTERM)
    async with asyncio.timeout(30):
        return await task


async def what_the_demo_has(port: int, password: str) -> dict[str, int]:
    """How much there is of each thing of the demo tenant."""
    api = API(f"http://127.0.0.1:{port}")
    await api.log_in("admin@fernhill.example", password)
    brands = (await api.get("/v1/brands"))["items"]
    path = f"/v1/brands/{brands[0]['id']}"
    counts = {"brands": len(brands)}
    for name, items in (("channels", f"{path}/channels"), ("knowledge", f"{path}/knowledge"), ("users", "/v1/users")):
        counts[name] = len((await api.get(items))["items"])
    await api.client.aclose()
    return counts


class TestDemo:
    async def test_is_made_once(self, data: Path, ports: dict[str, int], capsys: pytest.CaptureFixture[str]) -> None:
        task, printed = await started(capsys)
        kept = dict(line.split("=", 1) for line in (data / "secrets.env").read_text().splitlines())
        first = await what_the_demo_has(ports["ORCHESTRATOR"], kept["DEMO_PASSWORD"])
        assert await stopped(task) == 0

        task, again = await started(capsys)
        second = await what_the_demo_has(ports["ORCHESTRATOR"], kept["DEMO_PASSWORD"])
        assert await stopped(task) == 0

        assert first == second == {"brands": 1, "channels": 5, "knowledge": 10, "users": 2}
        assert kept["DEMO_PASSWORD"] in printed
        assert "schema" in printed
        assert "schema" not in again

    async def test_moves_with_the_simulator(
        self, data: Path, ports: dict[str, int], capsys: pytest.CaptureFixture[str]
    ) -> None:
        task, _ = await started(capsys)
        api = API(f"http://127.0.0.1:{ports['ORCHESTRATOR']}")
        kept = dict(line.split("=", 1) for line in (data / "secrets.env").read_text().splitlines())
        await api.log_in("admin@fernhill.example", kept["DEMO_PASSWORD"])
        brand = (await api.get("/v1/brands"))["items"][0]["id"]
        channels = (await api.get(f"/v1/brands/{brand}/channels"))["items"]
        await api.client.aclose()
        assert await stopped(task) == 0
        whatsapp = next(channel for channel in channels if channel["channel"] == "whatsapp")
        assert whatsapp["settings"]["api_base"] == f"http://127.0.0.1:{ports['SIMULATOR']}"


class TestRefusals:
    async def test_a_taken_port(
        self, ports: dict[str, int], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        server = await asyncio.start_server(lambda _reader, _writer: None, "127.0.0.1", ports["GATEWAY"])
        async with server:
            assert await launch.main(Options()) == 1
        assert "PARLEY_GATEWAY_PORT" in capsys.readouterr().err

    async def test_a_schema_from_the_future(
        self, data: Path, ports: dict[str, int], capsys: pytest.CaptureFixture[str]
    ) -> None:
        postgres = EmbeddedPostgres(data / "postgres")
        with running(postgres.command()):
            await postgres.create_database()
            await asyncio.to_thread(schema.migrate, postgres.admin_url)
            owner = await asyncpg.connect(postgres.admin_url)
            await owner.execute("UPDATE alembic_version SET version_num = '9999'")
        assert await launch.main(Options()) == 1
        assert "9999" in capsys.readouterr().err

    async def test_a_database_that_is_away(
        self, ports: dict[str, int], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setenv("PARLEY_POSTGRES__URL", f"postgresql://nobody@127.0.0.1:{free_port()}/parley")
        assert await launch.main(Options()) == 1
        assert "PARLEY_POSTGRES__URL" in capsys.readouterr().err
