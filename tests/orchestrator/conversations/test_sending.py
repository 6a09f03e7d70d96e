"""Agents' buttons, templates and remote files, and whether the platform lets their answers through now."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest
import pytest_asyncio
from sqlalchemy import text

from services.orchestrator.channels.catalogue import Catalogue
from services.orchestrator.intake import Intake
from tests.factories.companies import Company, Installation
from tests.factories.pipeline import make_channel, message_event

Conversation = tuple[str, UUID]


@pytest_asyncio.fixture
async def conversation(installation: Installation, acme: Company) -> Conversation:
    channel = await make_channel(installation.database, acme.owner)
    (taken,) = await installation.parts.get(Intake).take([message_event(acme.owner, channel)])
    return f"/v1/conversations/{taken.conversation_id}", channel


async def queued(installation: Installation) -> dict[str, Any]:
    async with installation.database.across_tenants() as session:
        query = "SELECT payload, m.kind, m.content FROM delivery d JOIN message_log m USING (id) WHERE author = 'agent'"
        return dict((await session.execute(text(query))).mappings().one())


async def test_buttons_and_a_remote_file(installation: Installation, acme: Company, conversation: Conversation) -> None:
    file = {"url": "https://files.example/map.png", "kind": "image", "caption": "The way"}
    buttons = [{"title": "Yes"}, {"title": "Our site", "url": "https://shop.example/"}]
    body = {"text": "Coming?", "buttons": buttons, "attachments": [file]}
    answer = await acme.agent.post(f"{conversation[0]}/messages", json=body)
    assert answer.status_code == 201
    assert [button["title"] for button in answer.json()["buttons"]] == ["Yes", "Our site"]
    row = await queued(installation)
    assert row["kind"] == "image"
    assert row["payload"]["attachments"][0]["url"] == "https://files.example/map.png"
    assert row["payload"]["buttons"][1]["url"] == "https://shop.example/"


async def test_a_template_without_words(installation: Installation, acme: Company, conversation: Conversation) -> None:
    body = {"template": {"name": "order_ready", "language": "de", "body": ["4711"]}}
    answer = await acme.agent.post(f"{conversation[0]}/messages", json=body)
    assert (answer.status_code, answer.json()["kind"], answer.json()["text"]) == (201, "template", None)
    row = await queued(installation)
    assert row["payload"]["template"]["body"] == ["4711"]
    assert row["content"]["template"]["name"] == "order_ready"


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"text": ""},
        {"private": True, "text": "x", "buttons": [{"title": "Yes"}]},
        {"template": {"name": "x"}, "buttons": [{"title": "Yes"}]},
        {"attachments": [{"url": "ftp://files.example/x", "kind": "image"}]},
        {"attachments": [{"url": "https://files.example/x"}]},
        {"attachments": [{"caption": "nothing"}]},
        {"buttons": [{"title": "x", "url": "javascript:alert(1)"}]},
    ],
)
async def test_what_says_nothing_or_cannot_be(acme: Company, conversation: Conversation, body: dict[str, Any]) -> None:
    assert (await acme.agent.post(f"{conversation[0]}/messages", json=body)).status_code == 422


class TestReplyWindow:
    @pytest.fixture(autouse=True)
    def rules(self, installation: Installation) -> None:
        """A gateway with one channel, whose windows are a day, and a week for people."""
        capabilities = {"window_hours": 24, "agent_window_hours": 168, "templates": True}
        entry = {"channel": "whatsapp", "credentials_schema": {}, "capabilities": capabilities}
        transport = httpx.MockTransport(lambda _request: httpx.Response(200, json={"items": [entry]}))
        catalogue = Catalogue(httpx.AsyncClient(transport=transport), "http://gateway.test/channels")
        installation.parts.put(Catalogue, catalogue)

    @pytest.mark.parametrize(
        ("hours", "is_open", "note"),
        [(1, True, None), (30, True, "Only a person may answer now"), (200, False, "waits until the customer writes")],
    )
    async def test_by_the_clock(
        self,
        installation: Installation,
        acme: Company,
        conversation: Conversation,
        hours: int,
        is_open: bool,
        note: str | None,
    ) -> None:
        heard = datetime.now(UTC) - timedelta(hours=hours)
        async with installation.database.across_tenants() as session:
            await session.execute(text("UPDATE conversation SET last_customer_message_at = :heard"), {"heard": heard})
        window = (await acme.agent.get(conversation[0])).json()["reply_window"]
        assert window["open"] is is_open
        assert (note or "") in (window["note"] or "")
        assert datetime.fromisoformat(window["until"]) == heard + timedelta(hours=24 if hours < 24 else 168)

    async def test_the_accounts_template_is_announced(
        self, installation: Installation, acme: Company, conversation: Conversation
    ) -> None:
        async with installation.database.across_tenants() as session:
            await session.execute(text("UPDATE conversation SET last_customer_message_at = NULL"))
            await session.execute(
                text("""UPDATE channel_config SET settings = '{"template_fallback": {"name": "x"}}'""")
            )
        window = (await acme.agent.get(conversation[0])).json()["reply_window"]
        assert (window["open"], window["until"]) == (False, None)
        assert "goes as the account's template" in window["note"]

    async def test_unknown_while_the_gateway_is_away(
        self, installation: Installation, acme: Company, conversation: Conversation
    ) -> None:
        away = httpx.AsyncClient(transport=httpx.MockTransport(lambda _request: httpx.Response(503)))
        installation.parts.put(Catalogue, Catalogue(away, "http://gateway.test/channels"))
        assert (await acme.agent.get(conversation[0])).json()["reply_window"] is None
