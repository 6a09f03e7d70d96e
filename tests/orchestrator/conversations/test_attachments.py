"""What agents see of customers' files: in their places, with what has become of each."""

from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import pytest_asyncio
from redis.asyncio import Redis

from packages.core.db.base import new_id
from packages.core.db.tables.conversations import MessageLog
from packages.core.domain.messages import Attachment
from packages.core.links import MediaLinks
from packages.core.storage import ObjectStore
from services.orchestrator.conversations.attachments import shown_files
from services.orchestrator.intake import Taken
from tests.factories.companies import Company, Installation
from tests.factories.media import change_file, file_of, hear_file, make_ready
from tests.factories.pipeline import SECRET_KEY, make_channel

PHOTO = Attachment(kind="image", external_id="media-1", media_type="image/jpeg", filename="x.jpg")


class Inbox:
    """An agent who looks at a customer's message with a file."""

    def __init__(self, installation: Installation, company: Company, taken: Taken) -> None:
        self.installation, self.company, self.taken = installation, company, taken
        self.database = installation.database

    async def shown(self) -> dict[str, Any]:
        answer = await self.company.viewer.get(f"/v1/conversations/{self.taken.conversation_id}")
        (attachment,) = answer.json()["messages"][0]["attachments"]
        return dict(attachment)

    async def change(self, **values: Any) -> None:
        await change_file(self.database, (await file_of(self.database, self.taken.message_id)).id, **values)

    async def ready(self, **values: Any) -> None:
        row = await file_of(self.database, self.taken.message_id)
        await make_ready(self.database, self.installation.parts.get(ObjectStore), row, **values)


@pytest_asyncio.fixture
async def inbox(acme: Company, installation: Installation, redis: Redis) -> Inbox:
    channel = await make_channel(installation.database, acme.owner)
    taken = await hear_file(installation.database, redis, acme.owner, channel, PHOTO)
    return Inbox(installation, acme, taken)


class TestShown:
    async def test_pending(self, inbox: Inbox) -> None:
        shown = await inbox.shown()
        assert (shown["status"], shown["kind"], shown["url"]) == ("pending", "image", None)
        assert (shown["external_id"], shown["filename"], shown["media_type"]) == ("media-1", "x.jpg", "image/jpeg")

    async def test_ready_with_a_link_that_the_gateway_takes(self, inbox: Inbox) -> None:
        await inbox.ready()
        shown = await inbox.shown()
        assert (shown["status"], shown["filename"]) == ("ready", "photo.png")
        split = urlsplit(shown["url"])
        query = parse_qs(split.query)
        assert split.path == f"/media/{shown['media_id']}/photo.png"
        MediaLinks("", SECRET_KEY).check(shown["media_id"], int(query["until"][0]), query["signature"][0])

    async def test_failed_with_the_reason(self, inbox: Inbox) -> None:
        await inbox.change(state="failed", error={"code": "file_unavailable", "message": "It is too large."})
        shown = await inbox.shown()
        assert (shown["status"], shown["url"]) == ("failed", None)
        assert shown["error"] == {"code": "file_unavailable", "message": "It is too large."}

    async def test_what_was_read_in_it_shortened(self, inbox: Inbox) -> None:
        await inbox.ready(reading="done", text="word " * 200)
        assert (await inbox.shown())["text"] == "word " * 100 + "…"

    async def test_gone_without_its_name(self, inbox: Inbox) -> None:
        await inbox.ready()
        await inbox.change(state="gone")
        shown = await inbox.shown()
        assert (shown["status"], shown["url"], shown["filename"], shown["external_id"]) == ("gone", None, None, None)


class TestShownFiles:
    def message(self, direction: str, *attachments: dict[str, Any]) -> MessageLog:
        return MessageLog(
            tenant_id=new_id(),
            conversation_id=new_id(),
            direction=direction,
            author="agent",
            content={"attachments": list(attachments)} if attachments else {},
        )

    @pytest.mark.parametrize(
        ("direction", "attachment", "status", "url"),
        [
            ("inbound", {"kind": "share", "url": "https://cdn.example/story"}, "gone", None),
            ("outbound", {"kind": "image", "url": "https://shop.example/a.png"}, "ready", "https://shop.example/a.png"),
            ("outbound", {"kind": "image", "media_id": str(new_id())}, "ready", None),
        ],
    )
    def test_files_that_are_not_kept_here(
        self, direction: str, attachment: dict[str, Any], status: str, url: str | None
    ) -> None:
        (shown,) = shown_files(self.message(direction, attachment), (), None)
        assert (shown.kind, shown.status, shown.url) == (attachment["kind"], status, url)

    def test_a_message_without_files(self) -> None:
        assert shown_files(self.message("inbound"), (), None) == []
