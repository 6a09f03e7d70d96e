"""Messages in over HTTP, answered by the real loops."""

from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import msgspec
import pytest
import pytest_asyncio

from packages.core import crypto
from packages.core.config import TurnSettings
from packages.rag.documents import Scope
from packages.rag.ingest import Upload, ingest_document
from packages.rag.retrieval import Knowledge
from services.orchestrator.settings import OrchestratorSettings
from tests.conftest import Engines
from tests.factories.companies import Company, Installation
from tests.factories.knowledge import document, make_source
from tests.factories.pipeline import SECRET_KEY, make_channel, message_event
from tests.orchestrator.conftest import make_settings


@pytest.fixture(scope="module")
def settings(engines: Engines, tmp_path_factory: pytest.TempPathFactory) -> OrchestratorSettings:
    """Turns are due almost at once."""
    folder: Path = tmp_path_factory.mktemp("data")
    return make_settings(engines, folder, turn=TurnSettings(debounce_seconds=0.05))


@pytest_asyncio.fixture
async def channel(installation: Installation, acme: Company) -> UUID:
    scope = Scope(tenant_id=acme.tenant_id, brand_id=acme.brand_id)
    source_id = await make_source(installation.database, scope, "Forgot your password")
    upload = Upload(data=document("forgot-your-password.md"), media_type="text/markdown", title="Forgot your password")
    await ingest_document(installation.parts.get(Knowledge), scope, source_id, upload)
    return await make_channel(installation.database, acme.owner)


def message(channel: UUID, **wishes: Any) -> dict[str, Any]:
    body = {
        "channel_config_id": str(channel),
        "external_id": "m-1",
        "sender": {"external_id": "15550009", "name": "Kim"},
        "text": "How do I reset my password?",
        "sent_at": "2026-01-02T03:04:05Z",
    }
    return body | wishes


async def post(client: httpx.AsyncClient, body: dict[str, Any], prefer: str | None = None) -> httpx.Response:
    return await client.post("/v1/messages/inbound", json=body, headers={"Prefer": prefer} if prefer else {})


class TestOneMessage:
    async def test_is_durable_when_accepted(self, acme: Company, channel: UUID) -> None:
        answer = await post(acme.agent, message(channel))
        assert answer.status_code == 202
        assert answer.json()["duplicate"] is False
        shown = (await acme.viewer.get(f"/v1/conversations/{answer.json()['conversation_id']}")).json()
        assert shown["messages"][0]["id"] == answer.json()["message_id"]
        assert shown["messages"][0]["sent_at"] == "2026-01-02T03:04:05Z"
        assert shown["customer"]["name"] == "Kim"

    async def test_repeat_has_the_ids_of_the_first(self, acme: Company, channel: UUID) -> None:
        first = (await post(acme.agent, message(channel))).json()
        again = (await post(acme.agent, message(channel, text="changed"))).json()
        assert again == first | {"duplicate": True}

    async def test_waits_for_the_reply(self, acme: Company, channel: UUID) -> None:
        answer = await post(acme.agent, message(channel), "wait=20")
        assert answer.status_code == 200
        assert answer.headers["Preference-Applied"] == "wait=20"
        reply = answer.json()["reply"]
        assert (reply["author"], reply["direction"]) == ("bot", "outbound")
        assert reply["citations"][0]["title"] == "Forgot your password"
        assert reply["context"]

    async def test_repeat_gets_the_same_reply(self, acme: Company, channel: UUID) -> None:
        first = (await post(acme.agent, message(channel), "respond-async, wait=20")).json()
        again = (await post(acme.agent, message(channel), "wait=20")).json()
        assert again["reply"]["id"] == first["reply"]["id"]

    async def test_reply_that_is_late(self, acme: Company, channel: UUID) -> None:
        first = (await post(acme.agent, message(channel), "wait=20")).json()
        await acme.agent.post(f"/v1/conversations/{first['conversation_id']}/takeover")
        answer = await post(acme.agent, message(channel, external_id="m-2"), "wait=0")
        assert answer.status_code == 202
        assert "reply" not in answer.json()

    @pytest.mark.parametrize(
        "change",
        [
            {"external_id": ""},
            {"sender": {}},
            {"sent_at": "yesterday"},
            {"sent_at": "2026-01-02T03:04:05"},
            {"kind": "Not A Kind"},
            {"channel_config_id": "x"},
            {"surprise": 1},
            {"text": "x" * 16_001},
        ],
    )
    async def test_malformed(self, acme: Company, channel: UUID, change: dict[str, Any]) -> None:
        assert (await post(acme.agent, message(channel, **change))).status_code == 422

    async def test_null_characters_are_dropped(self, acme: Company, channel: UUID) -> None:
        answer = await post(acme.agent, message(channel, text="Hel\0lo", extra={"a": "\0"}))
        assert answer.status_code == 202
        shown = (await acme.viewer.get(f"/v1/conversations/{answer.json()['conversation_id']}")).json()
        assert shown["messages"][0]["text"] == "Hello"

    async def test_attachments_are_shown(self, acme: Company, channel: UUID) -> None:
        attachment = {"kind": "image", "external_id": "9", "media_type": "image/png"}
        answer = await post(acme.agent, message(channel, kind="image", text=None, attachments=[attachment]))
        shown = (await acme.viewer.get(f"/v1/conversations/{answer.json()['conversation_id']}")).json()
        assert attachment.items() <= shown["messages"][0]["attachments"][0].items()

    async def test_disabled_channel(self, acme: Company, channel: UUID) -> None:
        await acme.admin.delete(f"/v1/brands/{acme.brand_id}/channels/{channel}")
        assert (await post(acme.agent, message(channel))).status_code == 409

    async def test_viewers_send_nothing(self, acme: Company, channel: UUID) -> None:
        assert (await post(acme.viewer, message(channel))).status_code == 403


class TestBatch:
    def client(self, installation: Installation) -> httpx.AsyncClient:
        return installation.client(**{"X-Parley-Service": crypto.derive_key(SECRET_KEY, "service").hex()})

    async def send(self, installation: Installation, events: list[Any]) -> httpx.Response:
        content = msgspec.json.encode({"events": events})
        return await self.client(installation).post("/v1/messages/inbound/batch", content=content)

    async def test_one_answer_per_event(self, installation: Installation, acme: Company, channel: UUID) -> None:
        events = [message_event(acme.owner, channel, words) for words in ("One", "Two")]
        answer = await self.send(installation, [*events, events[0]])
        assert answer.status_code == 202
        items = answer.json()["items"]
        assert [item["external_id"] for item in items] == [event.external_id for event in (*events, events[0])]
        assert [item["duplicate"] for item in items] == [False, False, True]

    async def test_an_event_that_cannot_be_stored_blocks_nothing(
        self, installation: Installation, acme: Company, rival: Company, channel: UUID
    ) -> None:
        stolen = message_event(rival.owner, channel, "Not yours")
        good = message_event(acme.owner, channel, "Mine")
        items = (await self.send(installation, [stolen, good])).json()["items"]
        assert [item["state"] for item in items] == ["failed", "received"]
        assert (await self.send(installation, [stolen])).json()["items"][0]["state"] == "failed"

    @pytest.mark.parametrize("content", [b"{", b"[]", b'{"events": [{}]}', b""])
    async def test_malformed(self, installation: Installation, content: bytes) -> None:
        answer = await self.client(installation).post("/v1/messages/inbound/batch", content=content)
        assert (answer.status_code, answer.json()["error"]["code"]) == (422, "invalid_input")
