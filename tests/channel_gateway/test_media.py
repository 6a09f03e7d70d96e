"""The downloader between a real database, a real store and a platform's file server."""

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import pytest_asyncio
from redis.asyncio import Redis
from sqlalchemy import text
from structlog.testing import capture_logs

from packages.core import jobs, streams
from packages.core.config import MediaSettings
from packages.core.crypto import SecretBox
from packages.core.db.base import now
from packages.core.db.repositories import media
from packages.core.db.session import Database
from packages.core.db.tables.channels import ChannelConfig
from packages.core.db.tables.media import Media
from packages.core.domain.messages import Attachment
from packages.core.storage import FolderStore
from services.channel_gateway import outside
from services.channel_gateway.directory import Directory
from services.channel_gateway.media import Downloader
from services.orchestrator.intake import Taken
from tests.conftest import Engines
from tests.factories.accounts import TenantWithBrand, make_tenant
from tests.factories.media import PNG, change_file, file_of, hear_file
from tests.factories.pipeline import SECRET_KEY
from tests.fakes.file_host import TOKEN, FileChannel, FileHost

LIMIT = 300_000


class Desk:
    """An account whose customers send files, and what fetches them."""

    def __init__(self, engines: Engines, database: Database, redis: Redis, folder: Path) -> None:
        self.engines, self.database, self.redis = engines, database, redis
        self.store = FolderStore(folder)
        self.host = FileHost()
        self.settings = MediaSettings(max_bytes=LIMIT, timeout_seconds=0.6, retry_seconds=0.05, max_attempts=3)
        self.allowed = ["127.0.0.0/8"]
        self.owner: TenantWithBrand
        self.channel = UUID(int=0)

    async def hear(self, name: str = "photo", *, kind: str = "image", **more: Any) -> Taken:
        attachment = Attachment(kind=kind, external_id=name, **more)
        return await hear_file(self.database, self.redis, self.owner, self.channel, attachment)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Downloader]:
        channels = {"files": FileChannel(self.host)}
        directory = Directory(self.database, self.redis, channels, SECRET_KEY)
        queue = await jobs.connect(self.engines.redis_url)
        async with outside.session(self.allowed) as http:
            downloader = Downloader(
                self.database, self.redis, queue, self.store, directory, channels, http, self.settings
            )
            task = asyncio.create_task(downloader.run())
            yield downloader
            await downloader.stop()
            await task
        await queue.aclose()

    async def until(self, taken: Taken, state: str) -> Media:
        async with asyncio.timeout(20):
            while (row := await file_of(self.database, taken.message_id)).state != state:
                await asyncio.sleep(0.02)
        return row

    async def fetched(self, taken: Taken, state: str) -> Media:
        async with self.running():
            return await self.until(taken, state)

    async def scalar(self, sql: str, **values: Any) -> Any:
        async with self.database.across_tenants() as session:
            return await session.scalar(text(sql), values)


@pytest_asyncio.fixture
async def desk(engines: Engines, database: Database, redis: Redis, tmp_path: Path) -> AsyncIterator[Desk]:
    made = Desk(engines, database, redis, tmp_path / "objects")
    await made.host.start()
    made.owner = await make_tenant(database)
    row = ChannelConfig(
        tenant_id=made.owner.tenant_id,
        brand_id=made.owner.brand_id,
        channel="files",
        name="Files",
        credentials=SecretBox(SECRET_KEY).seal({"token": TOKEN}),
    )
    async with database.tenant(made.owner.tenant_id) as session:
        session.add(row)
    made.channel = row.id
    made.host.files["photo"] = PNG
    yield made
    await made.host.stop()


class TestReady:
    async def test_keeps_the_file_under_its_tenant(self, desk: Desk) -> None:
        row = await desk.fetched(await desk.hear(), "ready")
        assert row.storage_key == f"{row.tenant_id}/media/{row.conversation_id}/{row.id}"
        assert await desk.store.get(row.storage_key) == PNG
        assert (row.size, row.sha256) == (len(PNG), hashlib.sha256(PNG).hexdigest())
        assert (row.media_type, row.filename, row.error) == ("image/png", "photo.png", None)

    async def test_a_file_too_large_for_memory_arrives_whole(self, desk: Desk) -> None:
        desk.settings = desk.settings.model_copy(update={"max_bytes": 6_000_000, "timeout_seconds": 10})
        desk.host.files["lying-large"] = data = PNG + bytes(range(256)) * 16_000
        row = await desk.fetched(await desk.hear("lying-large"), "ready")
        assert row.storage_key
        assert await desk.store.get(row.storage_key) == data

    async def test_what_the_bytes_show_beats_what_was_claimed(self, desk: Desk) -> None:
        desk.host.files["photo"] = b"<!doctype html><script>alert(1)</script>"
        row = await desk.fetched(await desk.hear(media_type="image/png", filename="x.png"), "ready")
        assert (row.media_type, row.filename, row.reading) == ("text/html", "x.png.html", "wanted")

    async def test_tells_whoever_watches(self, desk: Desk) -> None:
        async with desk.redis.pubsub() as live:
            await live.subscribe(streams.live_channel(str(desk.owner.tenant_id)))
            taken = await desk.hear()
            row = await desk.fetched(taken, "ready")
            messages = [await live.get_message(timeout=0.2) for _ in range(5)]
        events = [json.loads(message["data"]) for message in messages if message and message["type"] == "message"]
        (event,) = [event["data"] for event in events if event["type"] == "media.updated"]
        assert (event["media_id"], event["message_id"]) == (str(row.id), str(taken.message_id))
        assert (event["status"], event["media_type"]) == ("ready", "image/png")

    async def test_has_a_worker_read_what_can_be_read(self, desk: Desk) -> None:
        row = await desk.fetched(await desk.hear(), "ready")
        assert row.reading == "wanted"
        async with asyncio.timeout(5):
            while not await desk.redis.zscore(jobs.READING_QUEUE, f"{jobs.READ}:{row.id}"):
                await asyncio.sleep(0.02)

    async def test_what_turns_out_unreadable_holds_no_answer_up(self, desk: Desk) -> None:
        desk.host.files["voice"] = b"OggS\x00\x02" + b"\x00" * 100
        taken = await desk.hear("voice", kind="document")
        row = await desk.fetched(taken, "ready")
        assert row.reading == "none"
        wait = "SELECT extract(epoch FROM due_at - now()) FROM pending_turn WHERE conversation_id = :id"
        assert await desk.scalar(wait, id=taken.conversation_id) < 2

    async def test_two_processes_fetch_each_file_once(self, desk: Desk) -> None:
        taken = [await desk.hear() for _ in range(12)]
        async with desk.running(), desk.running():
            for one in taken:
                await desk.until(one, "ready")
        assert len(desk.host.asked) == 12

    async def test_a_flood_on_one_account_does_not_hold_up_the_others(self, desk: Desk) -> None:
        flood = [await desk.hear() for _ in range(6)]
        other = Desk(desk.engines, desk.database, desk.redis, Path("/nonexistent"))
        other.owner = desk.owner
        row = ChannelConfig(
            tenant_id=desk.owner.tenant_id, brand_id=desk.owner.brand_id, channel="files", name="2", credentials=b""
        )
        async with desk.database.tenant(desk.owner.tenant_id) as session:
            session.add(row)
        other.channel = row.id
        late = await other.hear()
        async with desk.database.single_across_tenants() as connection:
            claimed = await media.claim(connection, limit=2, lease_seconds=60)
        assert {file.message_id for file in claimed} == {flood[0].message_id, late.message_id}


class TestTryAgain:
    async def test_until_the_platform_gives_it(self, desk: Desk) -> None:
        desk.host.failures["photo"] = [503, 500]
        row = await desk.fetched(await desk.hear(), "ready")
        assert (row.attempts, row.error) == (3, None)

    async def test_the_reason_shows_meanwhile(self, desk: Desk) -> None:
        desk.host.failures["photo"] = [503]
        desk.settings = desk.settings.model_copy(update={"retry_seconds": 60})
        taken = await desk.hear()
        async with desk.running(), asyncio.timeout(10):
            while not (row := await file_of(desk.database, taken.message_id)).error:
                await asyncio.sleep(0.02)
        assert (row.state, row.error) == (
            "pending",
            {"code": "file_unavailable", "message": "The platform answered 503."},
        )
        assert row.next_attempt_at > now()

    async def test_until_there_are_no_more_attempts(self, desk: Desk) -> None:
        desk.host.failures["photo"] = [503] * 9
        row = await desk.fetched(await desk.hear(), "failed")
        assert row.attempts == 3

    @pytest.mark.parametrize(
        ("name", "reason"), [("slow", "did not send the file in time"), ("crash", "wrong on our side")]
    )
    async def test_a_platform_or_an_adapter_that_fails(self, desk: Desk, name: str, reason: str) -> None:
        desk.settings = desk.settings.model_copy(update={"timeout_seconds": 0.2})
        row = await desk.fetched(await desk.hear(name), "failed")
        assert row.attempts == 3
        assert reason in str((row.error or {})["message"])

    async def test_a_process_that_died_leaves_the_file_to_others(self, desk: Desk) -> None:
        taken = await desk.hear()
        async with desk.database.single_across_tenants() as connection:
            assert len(await media.claim(connection, limit=5, lease_seconds=0.4)) == 1
            assert await media.claim(connection, limit=5, lease_seconds=0.4) == []
        assert (await desk.fetched(taken, "ready")).attempts == 2

    async def test_attempts_that_all_died_end_it(self, desk: Desk) -> None:
        taken = await desk.hear()
        await change_file(desk.database, (await file_of(desk.database, taken.message_id)).id, attempts=3)
        row = await desk.fetched(taken, "failed")
        assert "every attempt broke off" in str(row.error)


class TestFailed:
    async def fails(self, desk: Desk, name: str, reason: str, **more: Any) -> Media:
        row = await desk.fetched(await desk.hear(name, **more), "failed")
        assert reason in str((row.error or {})["message"])
        assert (row.attempts, row.storage_key, row.reading, row.url) == (1, None, "none", None)
        return row

    async def test_missing(self, desk: Desk) -> None:
        await self.fails(desk, "absent", "answered 404")

    async def test_too_large_as_the_webhook_said(self, desk: Desk) -> None:
        await self.fails(desk, "photo", "too large", size=LIMIT + 1)
        assert desk.host.asked == []

    async def test_too_large_as_the_platform_says(self, desk: Desk) -> None:
        desk.host.files["large"] = PNG * 10_000
        await self.fails(desk, "large", "too large: it has")

    async def test_too_large_although_nobody_says_so(self, desk: Desk) -> None:
        desk.host.files["lying"] = PNG * 10_000
        await self.fails(desk, "lying", "too large: at most")

    async def test_a_redirect_into_somebodys_network(self, desk: Desk) -> None:
        await self.fails(desk, "elsewhere", "not public")

    async def test_a_private_address(self, desk: Desk) -> None:
        desk.allowed = []
        await self.fails(desk, "photo", "not public")
        assert desk.host.asked == []

    async def test_a_program(self, desk: Desk) -> None:
        desk.host.files["photo"] = b"MZ\x90\x00" + b"\x00" * 100
        await self.fails(desk, "photo", "a program")

    async def test_a_type_that_the_operator_does_not_want(self, desk: Desk) -> None:
        desk.settings = desk.settings.model_copy(update={"allowed_types": ["audio/"]})
        await self.fails(desk, "photo", "type image/png")

    async def test_the_answer_does_not_wait_for_it(self, desk: Desk) -> None:
        taken = await desk.hear("absent")
        wait = "SELECT extract(epoch FROM due_at - now()) FROM pending_turn WHERE conversation_id = :id"
        assert await desk.scalar(wait, id=taken.conversation_id) > 3
        await desk.fetched(taken, "failed")
        assert await desk.scalar(wait, id=taken.conversation_id) < 2


class TestSecrets:
    @pytest.mark.parametrize("name", ["photo", "absent", "slow", "crash", "talkative", "elsewhere"])
    async def test_a_token_is_neither_stored_nor_logged(self, desk: Desk, name: str) -> None:
        desk.settings = desk.settings.model_copy(update={"timeout_seconds": 0.2})
        with capture_logs() as logs:
            await desk.fetched(await desk.hear(name), "ready" if name == "photo" else "failed")
        assert TOKEN not in str(logs)
        assert TOKEN not in await desk.scalar("SELECT string_agg(m::text, '') FROM media m")


class TestForget:
    async def test_a_deleted_file_is_not_kept_though_it_is_under_way(self, desk: Desk) -> None:
        taken = await desk.hear()
        row = await file_of(desk.database, taken.message_id)
        async with desk.database.single_across_tenants() as connection:
            (claimed,) = await media.claim(connection, limit=5, lease_seconds=60)
            assert await media.forget(connection, [claimed.message_id or UUID(int=0)]) == []
        async with desk.running() as downloader:
            await downloader._settle(claimed, await downloader._fetch(claimed))
        assert not await desk.store.exists(media.storage_key(row.tenant_id, row.conversation_id, row.id))

    @pytest.mark.parametrize("days", [3.0, None])
    async def test_the_sweep_deletes_what_is_gone(self, desk: Desk, days: float | None) -> None:
        taken = await desk.hear()
        row = await desk.fetched(taken, "ready")
        assert row.storage_key
        async with desk.database.single_across_tenants() as connection:
            assert await media.forget(connection, [row.message_id or UUID(int=0)]) == [row.storage_key]
        async with desk.running() as downloader:
            await downloader.sweep(days=days)
        assert not await desk.store.exists(row.storage_key)
        swept = await file_of(desk.database, taken.message_id)
        assert (swept.state, swept.storage_key, swept.filename) == ("gone", None, None)

    @pytest.mark.parametrize(("age", "left"), [("25 hours", 0), ("23 hours", 1)])
    async def test_the_sweep_deletes_uploads_that_nobody_sent(self, desk: Desk, age: str, left: int) -> None:
        row = await desk.fetched(await desk.hear(), "ready")
        await desk.scalar(f"UPDATE media SET message_id = NULL, created_at = now() - interval '{age}' RETURNING 1")
        async with desk.running() as downloader:
            await downloader.sweep()
        assert await desk.scalar("SELECT count(*) FROM media") == left
        assert await desk.store.exists(row.storage_key or "") is bool(left)
