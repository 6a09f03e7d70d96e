"""The directory: what it serves, how it hears of changes, and how little a flood of unknown ids costs."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from redis.asyncio import Redis
from sqlalchemy import event
from sqlalchemy.exc import SQLAlchemyError

from packages.core import plugins
from packages.core.db.base import new_id
from packages.core.db.session import Database
from packages.core.db.tables.channels import ChannelConfig
from packages.core.errors import Unavailable
from services.channel_gateway import channels as channel_folder
from services.channel_gateway.channels import Channel
from services.channel_gateway.directory import MISSES_PER_SECOND, Directory
from services.local.engines import free_port
from tests.channel_gateway.conftest import SECRET_KEY, MakeChannel, as_uuid, whatsapp_credentials
from tests.conftest import Engines

CHANNELS = plugins.load(channel_folder, "channel", Channel)
NUMBER = "200000000000201"


@pytest_asyncio.fixture
async def directory(database: Database, redis: Redis) -> Directory:
    return Directory(database, redis, CHANNELS, SECRET_KEY)


@pytest_asyncio.fixture
async def queries(database: Database) -> AsyncIterator[list[str]]:
    """The statements that reach PostgreSQL."""
    seen: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        seen.append(statement)

    engine = database._system.sync_engine
    event.listen(engine, "before_cursor_execute", note)
    yield seen
    event.remove(engine, "before_cursor_execute", note)


async def change(database: Database, config_id: str, **columns: Any) -> None:
    async with database.across_tenants() as session:
        row = await session.get(ChannelConfig, as_uuid(config_id))
        assert row is not None
        for name, value in columns.items():
            setattr(row, name, value)


class TestServe:
    async def test_credentials_are_opened(self, directory: Directory, make_channel: MakeChannel) -> None:
        config_id = await make_channel(settings={"api_base": "http://x"})
        await directory.refresh()
        account = directory.by_id(config_id)
        assert account is not None
        assert account.credentials.access_token.get_secret_value() == "EXAMPLE-ACCESS-TOKEN"
        assert account.settings == {"api_base": "http://x"}
        assert directory.by_account("whatsapp", NUMBER) is account
        assert directory.by_account("instagram", NUMBER) is None

    @pytest.mark.parametrize("status", ["active", "error"])
    async def test_served(self, directory: Directory, make_channel: MakeChannel, status: str) -> None:
        config_id = await make_channel(status=status)
        assert await directory.find(config_id) is not None

    async def test_disabled_is_not_served(self, directory: Directory, make_channel: MakeChannel) -> None:
        config_id = await make_channel(status="disabled")
        assert await directory.find(config_id) is None
        assert await directory.find_account("whatsapp", NUMBER) is None

    async def test_unknown_channel_is_not_served(self, directory: Directory, make_channel: MakeChannel) -> None:
        assert await directory.find(await make_channel("pigeon", {})) is None

    async def test_sealed_under_another_key(self, database: Database, redis: Redis, make_channel: MakeChannel) -> None:
        directory = Directory(database, redis, CHANNELS, "another-key-of-32-characters-or-more")
        assert await directory.find(await make_channel()) is None


class TestRefresh:
    async def test_changes_removals_and_new_accounts(
        self, directory: Directory, make_channel: MakeChannel, database: Database
    ) -> None:
        kept, gone = await make_channel(), await make_channel(credentials=whatsapp_credentials("2"))
        await directory.refresh()
        await change(database, kept, account_id="3")
        async with database.across_tenants() as session:
            await session.delete(await session.get(ChannelConfig, as_uuid(gone)))
        await directory.refresh()
        assert directory.by_account("whatsapp", NUMBER) is None
        assert directory.by_account("whatsapp", "3") is directory.by_id(kept)
        assert directory.by_id(gone) is None
        assert directory.by_account("whatsapp", "2") is None

    async def test_account_that_moves_to_another_config(
        self, directory: Directory, make_channel: MakeChannel, database: Database
    ) -> None:
        old = await make_channel()
        await directory.refresh()
        await change(database, old, account_id=None, status="disabled")
        new = await make_channel()
        await directory.refresh()
        account = directory.by_account("whatsapp", NUMBER)
        assert account is not None
        assert account.id == new

    async def test_unchanged_rows_are_not_opened_again(self, directory: Directory, make_channel: MakeChannel) -> None:
        config_id = await make_channel()
        await directory.refresh()
        before = directory.by_id(config_id)
        await directory.refresh()
        assert directory.by_id(config_id) is before


class TestMiss:
    async def test_same_unknown_id_is_asked_for_once(self, directory: Directory, queries: list[str]) -> None:
        unknown = str(new_id())
        for _ in range(50):
            assert await directory.find(unknown) is None
            assert await directory.find_account("whatsapp", unknown) is None
        assert len(queries) == 2

    async def test_random_ids_cost_few_queries(self, directory: Directory, queries: list[str]) -> None:
        found = await asyncio.gather(*(directory.find(str(new_id())) for _ in range(500)), return_exceptions=True)
        assert len(queries) <= MISSES_PER_SECOND * 3
        assert {type(item) for item in found} == {type(None), Unavailable}

    async def test_all_who_ask_at_once_for_a_new_account_find_it(
        self, directory: Directory, make_channel: MakeChannel, queries: list[str]
    ) -> None:
        config_id = await make_channel()
        queries.clear()
        found = await asyncio.gather(*(directory.find(config_id) for _ in range(10)))
        assert {account.id for account in found if account} == {config_id}
        assert None not in found
        assert len(queries) == 1

    @pytest.mark.parametrize("config_id", ["", "x", "../..", "%00", "A" * 5000, "01A1FC1E-3E68-716B-9ECF-351634002FC7"])
    async def test_what_cannot_be_an_id_costs_nothing(
        self, directory: Directory, queries: list[str], config_id: str
    ) -> None:
        assert await directory.find(config_id) is None
        assert queries == []


class TestDatabaseAway:
    @pytest_asyncio.fixture
    async def away(self, directory: Directory, make_channel: MakeChannel) -> AsyncIterator[tuple[Directory, str]]:
        """A directory whose database went away after it was loaded."""
        config_id = await make_channel()
        await directory.refresh()
        dead = Database(f"postgresql://nobody:x@127.0.0.1:{free_port()}/none")
        directory._database = dead
        yield directory, config_id
        await dead.close()

    async def test_what_is_known_is_served(self, away: tuple[Directory, str]) -> None:
        directory, config_id = away
        with pytest.raises((SQLAlchemyError, OSError)):
            await directory.refresh()
        assert directory.by_id(config_id) is not None

    async def test_a_miss_is_not_taken_for_an_answer(self, away: tuple[Directory, str]) -> None:
        with pytest.raises(Unavailable):
            await away[0].find(str(new_id()))


async def test_announcements_are_heard_and_rubbish_is_not_fatal(
    engines: Engines, directory: Directory, make_channel: MakeChannel, database: Database, redis: Redis
) -> None:
    running = asyncio.create_task(directory.run())
    async with asyncio.timeout(10):
        while not directory.loaded or not (await redis.pubsub_numsub("parley:channels-changed"))[0][1]:
            await asyncio.sleep(0.02)
        config_id = await make_channel()
        await redis.publish("parley:channels-changed", b"{")
        await redis.publish("parley:channels-changed", b'"x"')
        await redis.publish("parley:channels-changed", f'"{config_id}"')
        while directory.by_id(config_id) is None:
            await asyncio.sleep(0.02)
    running.cancel()
    await asyncio.wait([running])
