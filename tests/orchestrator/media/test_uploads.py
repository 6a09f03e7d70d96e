"""Agents upload files for a conversation: what its channel carries, and nothing that lies about itself."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

import httpx
import msgspec
import pytest
import pytest_asyncio
from redis.asyncio import Redis
from sqlalchemy import text

from packages.core.config import TurnSettings
from packages.core.db.base import new_id
from packages.core.db.repositories import media
from packages.core.db.tables.media import Media
from packages.core.domain.messages import OutboundResponse
from packages.core.errors import TooLarge, UnsupportedFormat
from packages.core.storage import ObjectStore
from services.orchestrator.channels.catalogue import Entry
from services.orchestrator.intake import Intake
from services.orchestrator.media.service import carried_as
from tests.factories.companies import Company, Installation
from tests.factories.media import PNG
from tests.factories.pipeline import make_channel, message_event

pytestmark = pytest.mark.usefixtures("gateway")


@dataclass(frozen=True)
class Talk:
    """A customer's open conversation."""

    installation: Installation
    company: Company
    conversation_id: UUID

    @property
    def path(self) -> str:
        return f"/v1/conversations/{self.conversation_id}/attachments"

    async def upload(self, data: bytes = PNG, name: str = "photo.png", kind: str = "image/png") -> httpx.Response:
        return await self.company.agent.post(self.path, files={"file": (name, data, kind)})

    async def row(self, media_id: str) -> Media:
        async with self.installation.database.across_tenants() as session:
            return await session.get_one(Media, UUID(media_id))

    async def queued(self) -> list[OutboundResponse]:
        async with self.installation.database.across_tenants() as session:
            rows = await session.execute(text("SELECT payload::text FROM delivery ORDER BY seq"))
            return [msgspec.json.decode(row[0], type=OutboundResponse) for row in rows]

    async def run(self, sql: str, **values: Any) -> None:
        async with self.installation.database.across_tenants() as session:
            await session.execute(text(sql), values)


@pytest_asyncio.fixture(params=["whatsapp"])
async def talk(request: Any, acme: Company, installation: Installation, redis: Redis) -> Talk:
    channel = await make_channel(installation.database, acme.owner, request.param)
    intake = Intake(installation.database, redis, TurnSettings(), lambda _seconds: None)
    (taken,) = await intake.take([message_event(acme.owner, channel)])
    assert taken.conversation_id
    return Talk(installation, acme, taken.conversation_id)


class TestUpload:
    async def test_is_kept_until_it_is_sent(self, talk: Talk) -> None:
        answer = await talk.upload()
        body = answer.json()
        assert answer.status_code == 201
        assert body == {
            "media_id": body["media_id"],
            "kind": "image",
            "media_type": "image/png",
            "filename": "photo.png",
            "size": len(PNG),
        }
        row = await talk.row(body["media_id"])
        assert (row.state, row.direction, row.message_id) == ("ready", "outbound", None)
        assert await talk.installation.parts.get(ObjectStore).get(row.storage_key or "") == PNG

    @pytest.mark.parametrize("talk", ["webchat"], indirect=True)
    async def test_works_in_the_web_chat(self, talk: Talk) -> None:
        assert (await talk.upload(b"words", "notes.txt", "text/plain")).json()["kind"] == "document"

    async def test_is_what_its_bytes_show(self, talk: Talk) -> None:
        body = (await talk.upload(b"%PDF-1.4 ...", "photo.png", "image/png")).json()
        assert (body["kind"], body["media_type"], body["filename"]) == (
            "document",
            "application/pdf",
            "photo.png.pdf",
        )

    @pytest.mark.parametrize(
        ("data", "status", "code"), [(b"MZ\x90\x00", 415, "unsupported_format"), (b"", 422, "invalid_input")]
    )
    async def test_refuses_programs_and_nothing(self, talk: Talk, data: bytes, status: int, code: str) -> None:
        answer = await talk.upload(data)
        assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)

    async def test_refuses_what_the_whole_installation_does_not_keep(self, talk: Talk) -> None:
        answer = await talk.upload(PNG + b"\x00" * 26 * 1024 * 1024)
        assert (answer.status_code, answer.json()["error"]["code"]) == (413, "too_large")

    async def test_one_file_at_a_time(self, talk: Talk) -> None:
        files = [("file", ("a.png", PNG)), ("file", ("b.png", PNG))]
        assert (await talk.company.agent.post(talk.path, files=files)).status_code == 400

    async def test_viewers_upload_nothing(self, talk: Talk) -> None:
        answer = await talk.company.viewer.post(talk.path, files={"file": ("a.png", PNG)})
        assert answer.status_code == 403

    async def test_not_into_another_tenants_conversation(self, talk: Talk, rival: Company) -> None:
        assert (await rival.agent.post(talk.path, files={"file": ("a.png", PNG)})).status_code == 404

    async def test_not_into_a_resolved_conversation(self, talk: Talk) -> None:
        await talk.run("UPDATE conversation SET status = 'resolved' WHERE id = :id", id=talk.conversation_id)
        assert (await talk.upload()).status_code == 409

    async def test_a_form_without_a_file_is_malformed(self, talk: Talk) -> None:
        assert (await talk.company.agent.post(talk.path, data={"x": "y"})).status_code == 422


class TestSend:
    async def send(self, talk: Talk, *media_ids: str, **more: Any) -> httpx.Response:
        body = {"text": "See here", "attachments": [{"media_id": one} for one in media_ids]} | more
        return await talk.company.agent.post(talk.path.replace("attachments", "messages"), json=body)

    async def test_goes_out_with_the_words(self, talk: Talk) -> None:
        upload = (await talk.upload()).json()["media_id"]
        answer = await self.send(talk, attachments=[{"media_id": upload, "caption": "Our logo"}])
        (shown,) = answer.json()["attachments"]
        assert (answer.status_code, shown["media_id"], shown["status"]) == (201, upload, "ready")
        assert shown["url"]
        (file,) = (await talk.queued())[-1].attachments
        assert (file.media_id, file.kind, file.caption) == (upload, "image", "Our logo")

    async def test_needs_no_words(self, talk: Talk) -> None:
        answer = await self.send(talk, (await talk.upload()).json()["media_id"], text="")
        assert (answer.status_code, answer.json()["kind"], answer.json()["text"]) == (201, "image", None)

    async def test_is_sent_once(self, talk: Talk) -> None:
        upload = (await talk.upload()).json()["media_id"]
        assert [(await self.send(talk, upload)).status_code for _ in range(2)] == [201, 409]

    async def test_what_is_not_there_sends_nothing(self, talk: Talk) -> None:
        answer = await self.send(talk, str(uuid4()))
        assert (answer.status_code, answer.json()["error"]["code"]) == (409, "conflict")
        assert await talk.queued() == []

    @pytest.mark.parametrize(
        "change", [{"private": True}, {"attachments": [{"media_id": "x"}]}, {"text": "", "attachments": []}]
    )
    async def test_malformed(self, talk: Talk, change: dict[str, Any]) -> None:
        assert (await self.send(talk, (await talk.upload()).json()["media_id"], **change)).status_code == 422

    async def test_twice_in_one_message_is_malformed(self, talk: Talk) -> None:
        upload = (await talk.upload()).json()["media_id"]
        assert (await self.send(talk, upload, upload)).status_code == 422


class TestCarriedAs:
    ENTRY = Entry(
        channel="x", label="X", credentials_schema={}, capabilities={"media": {"image": 100, "document": 5_000}}
    )

    @pytest.mark.parametrize(
        ("kind", "size", "carried"), [("image", 100, "image"), ("image", 101, "document"), ("video", 9, "document")]
    )
    def test_its_own_kind_or_a_document(self, kind: str, size: int, carried: str) -> None:
        assert carried_as(kind, size, self.ENTRY, 10_000) == carried

    @pytest.mark.parametrize("largest", [10_000, 4_000])
    def test_too_large_for_either(self, largest: int) -> None:
        with pytest.raises(TooLarge, match="on X") as refusal:
            carried_as("image", 5_001, self.ENTRY, largest)
        assert refusal.value.details == {"limit": min(5_000, largest)}

    @pytest.mark.parametrize("capabilities", [{}, {"media": {}}, {"media": {"audio": 10}}])
    def test_a_channel_that_carries_none(self, capabilities: dict[str, Any]) -> None:
        entry = Entry(channel="x", credentials_schema={}, capabilities=capabilities)
        with pytest.raises(UnsupportedFormat, match="x does not carry"):
            carried_as("image", 1, entry, 10_000)


class TestAttach:
    async def attached(self, talk: Talk, *ids: str, conversation_id: UUID | None = None) -> set[str]:
        message_id = new_id()
        await talk.run(
            "INSERT INTO message_log (id, tenant_id, conversation_id, direction, author, kind, content, status,"
            " citations, context, sent_at, created_at)"
            " VALUES (:id, :tenant, :talk, 'outbound', 'agent', 'image', '{}', 'queued', '[]', '[]', now(), now())",
            id=message_id,
            tenant=talk.company.tenant_id,
            talk=talk.conversation_id,
        )
        async with talk.installation.database.tenant(talk.company.tenant_id) as session:
            found = await media.attach(
                session, conversation_id or talk.conversation_id, message_id, [UUID(one) for one in ids]
            )
        return {str(one) for one in found}

    async def test_makes_uploads_part_of_a_message_in_their_order(self, talk: Talk) -> None:
        first, second = [(await talk.upload()).json()["media_id"] for _ in range(2)]
        assert await self.attached(talk, second, first) == {first, second}
        assert [(await talk.row(one)).place for one in (second, first)] == [1, 2]

    async def test_an_upload_is_sent_once(self, talk: Talk) -> None:
        upload = (await talk.upload()).json()["media_id"]
        await self.attached(talk, upload)
        assert await self.attached(talk, upload) == set()

    async def test_nothing_of_another_conversation(self, talk: Talk) -> None:
        upload = (await talk.upload()).json()["media_id"]
        assert await self.attached(talk, upload, conversation_id=uuid4()) == set()
