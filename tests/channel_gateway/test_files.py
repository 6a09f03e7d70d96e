"""Files that go out: our own by id, others by a public address; each refusal in words for agents."""

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import pytest_asyncio
from redis.asyncio import Redis

from packages.core.config import MediaSettings
from packages.core.db.base import new_id
from packages.core.db.session import Database
from packages.core.db.tables.media import Media
from packages.core.domain.messages import Attachment, OutboundResponse
from packages.core.storage import FolderStore
from services.channel_gateway import outside
from services.channel_gateway.channels import File, FileUnavailable
from services.channel_gateway.files import Files
from tests.factories.accounts import TenantWithBrand, make_tenant
from tests.factories.media import PNG, change_file, file_of, hear_file, make_ready
from tests.factories.pipeline import SECRET_KEY, make_channel
from tests.fakes.file_host import FileHost


class Desk:
    """A tenant with a stored file, and a file server."""

    def __init__(self, database: Database, store: FolderStore, owner: TenantWithBrand, row: Media) -> None:
        self.database, self.store, self.owner, self.row = database, store, owner, row
        self.host = FileHost()
        self.allowed = ["127.0.0.0/8"]

    async def prepare(
        self,
        *attachments: Attachment,
        tenant_id: UUID | None = None,
        then: Callable[[File], Awaitable[Any]] | None = None,
    ) -> list[File]:
        response = OutboundResponse(
            message_id=str(new_id()),
            tenant_id=str(tenant_id or self.owner.tenant_id),
            brand_id=str(self.owner.brand_id),
            conversation_id=str(self.row.conversation_id),
            channel_config_id=str(self.row.channel_config_id),
            recipient="1",
            author="agent",
            text="",
            attachments=attachments,
        )
        settings = MediaSettings(max_bytes=100_000, timeout_seconds=0.5)
        async with outside.session(self.allowed) as http:
            files = Files(self.database, self.store, "https://chat.example.com", SECRET_KEY, http, settings)
            prepared = await files.prepare(response)
            for file in prepared:
                if then:
                    await then(file)
            return prepared

    def own(self, **values: Any) -> Attachment:
        return Attachment(kind="image", media_id=str(self.row.id), **values)

    def named(self, name: str, **values: Any) -> Attachment:
        return Attachment(kind="image", url=f"{self.host.url}/{name}", **values)


@pytest_asyncio.fixture
async def desk(database: Database, redis: Redis, tmp_path: Path) -> AsyncIterator[Desk]:
    owner = await make_tenant(database)
    photo = Attachment(kind="image", external_id="media-1")
    taken = await hear_file(database, redis, owner, await make_channel(database, owner), photo)
    store = FolderStore(tmp_path)
    row = await make_ready(database, store, await file_of(database, taken.message_id))
    made = Desk(database, store, owner, row)
    await made.host.start()
    made.host.files["logo"] = PNG
    yield made
    await made.host.stop()


async def check_bytes(file: File) -> None:
    assert await file.read() == PNG


class TestOwn:
    async def test_is_linked_to_and_read_when_needed(self, desk: Desk) -> None:
        (file,) = await desk.prepare(desk.own(), then=check_bytes)
        assert (file.kind, file.media_type, file.filename, file.size) == ("image", "image/png", "photo.png", len(PNG))
        assert file.url.startswith(f"https://chat.example.com/media/{desk.row.id}/photo.png?until=")

    async def test_several_keep_their_order(self, desk: Desk) -> None:
        files = await desk.prepare(desk.named("logo", filename="a"), desk.own(filename="b"))
        assert [file.filename for file in files] == ["a.png", "b.png"]

    @pytest.mark.parametrize(
        ("state", "reason", "retryable"),
        [("gone", "deleted", False), ("failed", "not stored", False), ("pending", "not stored", True)],
    )
    async def test_that_is_not_here(self, desk: Desk, state: str, reason: str, retryable: bool) -> None:
        await change_file(desk.database, desk.row.id, state=state)
        with pytest.raises(FileUnavailable, match=reason) as refusal:
            await desk.prepare(desk.own())
        assert refusal.value.retryable is retryable

    async def test_of_another_tenant_is_not_there(self, desk: Desk) -> None:
        rival = await make_tenant(desk.database, "rival")
        with pytest.raises(FileUnavailable, match="deleted"):
            await desk.prepare(desk.own(), tenant_id=rival.tenant_id)

    async def test_whose_object_is_missing(self, desk: Desk) -> None:
        await desk.store.delete(desk.row.storage_key or "")
        (file,) = await desk.prepare(desk.own())
        with pytest.raises(FileUnavailable, match="deleted"):
            await file.read()

    @pytest.mark.parametrize("attachment", [Attachment(kind="image"), Attachment(kind="image", media_id="nonsense")])
    async def test_that_names_nothing(self, desk: Desk, attachment: Attachment) -> None:
        with pytest.raises(FileUnavailable):
            await desk.prepare(attachment)


class TestNamed:
    async def test_keeps_its_address(self, desk: Desk) -> None:
        (file,) = await desk.prepare(desk.named("logo"), then=check_bytes)
        assert (file.url, file.media_type, file.size) == (f"{desk.host.url}/logo", "image/png", len(PNG))
        assert file.filename == "logo.png"

    async def test_whose_length_nobody_states_is_counted(self, desk: Desk) -> None:
        desk.host.files["lying"] = PNG * 500
        (file,) = await desk.prepare(desk.named("lying"))
        assert file.size == len(PNG) * 500

    @pytest.mark.parametrize(
        ("name", "reason", "retryable"),
        [
            ("absent", "status 404", False),
            ("busy", "status 503", True),
            ("large", "too large", False),
            ("lying-large", "too large", False),
            ("slow", "in time", True),
            ("elsewhere", "not a public one", False),
            ("program", "a program", False),
        ],
    )
    async def test_is_refused(self, desk: Desk, name: str, reason: str, retryable: bool) -> None:
        desk.host.files |= {"large": PNG * 5_000, "lying-large": PNG * 5_000, "program": b"MZ\x90"}
        desk.host.failures["busy"] = [503]
        with pytest.raises(FileUnavailable, match=reason) as refusal:
            await desk.prepare(desk.named(name))
        assert refusal.value.retryable is retryable

    async def test_at_a_private_address(self, desk: Desk) -> None:
        desk.allowed = []
        with pytest.raises(FileUnavailable, match="not a public one"):
            await desk.prepare(desk.named("logo"))
        assert desk.host.asked == []

    @pytest.mark.parametrize(
        "url", ["file:///etc/passwd", "ftp://example.com/a", "https://user:pass@example.com/a", "https://", "http://[x"]
    )
    async def test_at_what_is_no_address(self, desk: Desk, url: str) -> None:
        with pytest.raises(FileUnavailable, match="address"):
            await desk.prepare(Attachment(kind="image", url=url))
