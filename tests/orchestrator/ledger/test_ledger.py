"""The ledger over the API, and replay."""

from typing import Any
from uuid import UUID

import msgspec
import pytest
import pytest_asyncio
from sqlalchemy import select, text
from sqlmodel import col

from packages.core.db.tables.conversations import MessageLog, PendingTurn
from packages.core.db.tables.ledger import InboundLedger
from packages.core.domain.messages import InboundEvent
from services.orchestrator.intake import Intake, Taken
from tests.factories.companies import Company, Installation
from tests.factories.pipeline import make_channel, message_event


class Books:
    """acme's ledger."""

    def __init__(self, installation: Installation, company: Company, channel: UUID) -> None:
        self.installation, self.company, self.channel = installation, company, channel

    def event(self, words: str = "Where is my order?") -> InboundEvent:
        return message_event(self.company.owner, self.channel, words)

    async def take(self, event: InboundEvent) -> Taken:
        return (await self.installation.parts.get(Intake).take([event]))[0]

    async def keep(self, event: InboundEvent | dict[str, Any], state: str, reason: str | None = None) -> UUID:
        """An item without a message."""
        row = InboundLedger(
            tenant_id=self.company.tenant_id,
            channel_config_id=self.channel,
            external_id=event.external_id if isinstance(event, InboundEvent) else "broken",
            kind="message",
            state=state,
            reason=reason,
            event=msgspec.to_builtins(event),
        )
        async with self.installation.database.tenant(self.company.tenant_id) as session:
            session.add(row)
        return row.id

    async def items(self, **params: str) -> list[dict[str, Any]]:
        answer = await self.company.agent.get("/v1/ledger", params=params)
        assert answer.status_code == 200
        items: list[dict[str, Any]] = answer.json()["items"]
        return items

    async def replay(self, ledger_id: UUID | str) -> Any:
        return await self.company.admin.post(f"/v1/ledger/{ledger_id}/replay")

    async def run(self, statement: str) -> None:
        async with self.installation.database.tenant(self.company.tenant_id) as session:
            await session.execute(text(statement))

    async def count(self, table: type[Any]) -> int:
        async with self.installation.database.tenant(self.company.tenant_id) as session:
            return len((await session.execute(select(col(table.id)))).all())


@pytest_asyncio.fixture
async def books(installation: Installation, acme: Company) -> Books:
    return Books(installation, acme, await make_channel(installation.database, acme.owner))


class TestList:
    async def test_shows_what_became_of_it(self, books: Books) -> None:
        event = books.event()
        for _ in range(3):
            taken = await books.take(event)
        items = await books.items()
        assert [(item["state"], item["repeats"], item["message_id"]) for item in items] == [
            ("received", 2, str(taken.message_id))
        ]
        assert items[0]["event"]["message"]["text"] == "Where is my order?"

    async def test_filters(self, books: Books) -> None:
        await books.take(books.event())
        await books.keep(books.event(), "failed", "the database refuses it")
        assert [item["reason"] for item in await books.items(state="failed")] == ["the database refuses it"]
        assert len(await books.items(channel_config_id=str(books.channel))) == 2

    async def test_unknown_state(self, acme: Company) -> None:
        assert (await acme.agent.get("/v1/ledger", params={"state": "lost"})).status_code == 422


class TestReplay:
    async def test_of_what_failed_takes_it_in(self, books: Books) -> None:
        failed = await books.keep(books.event("Hello?"), "failed", "was too new")
        answer = await books.replay(failed)
        assert answer.status_code == 200
        assert answer.json()["state"] == "received"
        items = await books.items()
        assert [(item["id"], item["message_id"]) for item in items] == [
            (answer.json()["id"], answer.json()["message_id"])
        ]
        assert await books.count(MessageLog) == await books.count(PendingTurn) == 1

    async def test_of_what_waits_is_due_now(self, books: Books) -> None:
        await books.take(books.event())
        await books.run("DELETE FROM pending_turn")
        ledger_id = (await books.items())[0]["id"]
        assert (await books.replay(ledger_id)).status_code == 200
        assert (await books.replay(ledger_id)).status_code == 200
        assert await books.count(MessageLog) == 1

    async def test_of_what_was_answered(self, books: Books) -> None:
        await books.take(books.event())
        await books.run("UPDATE inbound_ledger SET state = 'answered'")
        assert (await books.replay((await books.items())[0]["id"])).status_code == 409

    @pytest.mark.parametrize("change", ["owner = 'human'", "status = 'resolved'"])
    async def test_of_what_a_person_has(self, books: Books, change: str) -> None:
        await books.take(books.event())
        await books.run(f"UPDATE conversation SET {change}")
        assert (await books.replay((await books.items())[0]["id"])).status_code == 409

    async def test_of_what_still_fails_keeps_it(self, books: Books) -> None:
        event = msgspec.to_builtins(books.event()) | {"channel_config_id": str(UUID(int=0))}
        failed = await books.keep(event, "failed", "unknown account")
        answer = await books.replay(failed)
        assert answer.status_code == 409
        assert [item["id"] for item in await books.items()] == [str(failed)]

    async def test_of_what_cannot_be_read(self, books: Books) -> None:
        assert (await books.replay(await books.keep({"a": 1}, "failed"))).status_code == 409

    async def test_of_what_needs_no_action(self, books: Books) -> None:
        event = msgspec.to_builtins(books.event()) | {"message": None, "ignored": "a kind we do not know"}
        answer = await books.replay(await books.keep(event, "ignored", "a kind we do not know"))
        assert (answer.status_code, "a kind we do not know" in answer.text) == (409, True)

    async def test_is_for_admins(self, books: Books, acme: Company) -> None:
        failed = await books.keep(books.event(), "failed")
        assert (await acme.agent.post(f"/v1/ledger/{failed}/replay")).status_code == 403
