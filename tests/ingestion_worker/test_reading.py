"""Customers' files are read on a queue of their own, and the answer waits for that, but not for ever."""

import asyncio
import json
from dataclasses import asdict, replace
from typing import Any
from uuid import UUID

import pytest
import pytest_asyncio
from arq.worker import Retry
from redis.asyncio import Redis
from sqlalchemy import text

from packages.core import jobs as queue
from packages.core import streams
from packages.core.db.repositories import media
from packages.core.db.session import Database
from packages.core.db.tables.media import Media
from packages.core.domain.messages import Attachment
from packages.core.jobs import ReadMediaJob
from services.ingestion_worker import jobs, reading
from services.ingestion_worker.ingestion import Worker
from services.ingestion_worker.reading import Reader
from services.ingestion_worker.worker import reading_options
from services.local.engines import free_port
from tests.factories.accounts import TenantWithBrand, make_tenant
from tests.factories.media import KNOWLEDGE, PNG, change_file, file_of, hear_file, make_ready
from tests.factories.pipeline import make_channel

BILL = Attachment(kind="document", external_id="media-1", media_type="application/pdf", filename="bill.pdf")
PDF = (KNOWLEDGE / "five_pages_headings.pdf").read_bytes()


class Post:
    """A conversation whose customer sends files, which are here already."""

    def __init__(self, worker: Worker, redis: Redis, owner: TenantWithBrand, channel: UUID) -> None:
        self.worker, self.redis, self.owner, self.channel = worker, redis, owner, channel
        self.database = worker.database

    async def file(self, data: bytes = PDF, **values: Any) -> Media:
        taken = await hear_file(self.database, self.redis, self.owner, self.channel, BILL)
        row = await file_of(self.database, taken.message_id)
        given = {"media_type": "application/pdf", "filename": "bill.pdf", **values}
        return await make_ready(self.database, self.worker.storage, row, data, **given)

    def job(self, row: Media) -> ReadMediaJob:
        return ReadMediaJob(tenant_id=str(row.tenant_id), media_id=str(row.id))

    async def read(self, row: Media) -> Media:
        await reading.read(self.worker, self.job(row))
        return await file_of(self.database, row.message_id)

    async def wait(self, row: Media) -> float:
        sql = "SELECT extract(epoch FROM due_at - now()) FROM pending_turn WHERE conversation_id = :id"
        async with self.database.across_tenants() as session:
            return float(await session.scalar(text(sql), {"id": row.conversation_id}))


@pytest_asyncio.fixture
async def post(worker: Worker, redis: Redis) -> Post:
    owner = await make_tenant(worker.database)
    return Post(worker, redis, owner, await make_channel(worker.database, owner))


class TestRead:
    async def test_keeps_the_words_of_a_document(self, post: Post) -> None:
        row = await post.read(await post.file())
        assert row.reading == "done"
        assert len(row.text or "") > 500

    async def test_keeps_so_many_words_and_no_more(self, post: Post) -> None:
        row = await post.read(await post.file(b"many words " * 10_000, media_type="text/plain", filename="a.txt"))
        assert len(row.text or "") == media.LONGEST_TEXT

    @pytest.mark.parametrize("data", [b"%PDF-1.4 broken", PNG])
    async def test_what_cannot_be_read_says_so(self, post: Post, data: bytes) -> None:
        row = await post.read(await post.file(data))
        assert (row.reading, row.text) == ("failed", None)

    async def test_an_object_that_is_missing_is_no_reason_to_wait(self, post: Post) -> None:
        row = await post.file()
        await post.worker.storage.delete(row.storage_key or "")
        assert (await post.read(row)).reading == "failed"

    @pytest.mark.parametrize("values", [{"state": "gone"}, {"reading": "done"}, {"reading": "none"}])
    async def test_reads_nothing_that_nobody_wants(self, post: Post, values: dict[str, str]) -> None:
        row = await post.file()
        await change_file(post.database, row.id, **values)
        assert (await post.read(row)).text is None

    async def test_reads_nothing_of_another_tenant(self, post: Post) -> None:
        row = await post.file()
        rival = await make_tenant(post.database, "rival")
        await reading.read(post.worker, replace(post.job(row), tenant_id=str(rival.tenant_id)))
        assert (await file_of(post.database, row.message_id)).reading == "wanted"

    async def test_tells_whoever_watches(self, post: Post) -> None:
        row = await post.file()
        async with post.redis.pubsub() as live:
            await live.subscribe(streams.live_channel(str(row.tenant_id)))
            await post.read(row)
            messages = [await live.get_message(timeout=0.2) for _ in range(4)]
        (event,) = [json.loads(item["data"]) for item in messages if item and item["type"] == "message"]
        assert (event["type"], event["data"]["reading"]) == ("media.updated", "done")


class TestTheAnswer:
    async def test_begins_once_the_file_is_read(self, post: Post) -> None:
        row = await post.file()
        assert await post.wait(row) > 3
        await post.read(row)
        assert await post.wait(row) < 2

    async def test_waits_for_the_other_file_too(self, post: Post) -> None:
        first, second = await post.file(), await post.file()
        await post.read(first)
        assert await post.wait(first) > 3
        await post.read(second)
        assert await post.wait(first) < 2

    async def test_is_not_begun_before_its_time_after_a_failure(self, post: Post) -> None:
        row = await post.file()
        async with post.database.across_tenants() as session:
            await session.execute(text("UPDATE pending_turn SET attempts = 1"))
        await post.read(row)
        assert await post.wait(row) > 3


class TestJob:
    async def test_runs_on_the_queue_for_files(self, post: Post) -> None:
        row = await post.file()
        await queue.enqueue_read(post.worker.queue, post.job(row))
        reader = Reader(reading_options(post.worker))
        async with asyncio.timeout(20):
            while (await file_of(post.database, row.message_id)).reading == "wanted":
                await asyncio.sleep(0.05)
        await reader.close()
        assert (await file_of(post.database, row.message_id)).reading == "done"

    async def test_comes_again_later_where_postgres_is_away(self, post: Post) -> None:
        row = await post.file()
        away = replace(post.worker, database=Database(f"postgresql://nobody:x@127.0.0.1:{free_port()}/none"))
        with pytest.raises(Retry):
            await jobs.read_media({"worker": away, "job_id": "x", "job_try": 1}, asdict(post.job(row)))

    async def test_is_given_up_after_several_tries(self, post: Post) -> None:
        row = await post.file()
        context = {"worker": post.worker, "job_id": "x", "job_try": jobs.READ_ATTEMPTS + 1}
        await jobs.read_media(context, asdict(post.job(row)))
        assert (await file_of(post.database, row.message_id)).reading == "failed"

    async def test_a_lost_job_is_enqueued_again(self, post: Post) -> None:
        row = await post.file()
        assert await reading.sweep(post.worker) == 0
        async with post.database.across_tenants() as session:
            await session.execute(text("UPDATE media SET next_attempt_at = now() - interval '2 minutes'"))
        assert await reading.sweep(post.worker) == 1
        assert await post.redis.zscore(queue.READING_QUEUE, post.job(row).job_id)


def test_knowledge_and_files_have_their_own_queues(worker: Worker) -> None:
    names = [function.name for function in reading_options(worker)["functions"]]
    assert (names, queue.READING_QUEUE != queue.QUEUE) == ([queue.READ], True)
