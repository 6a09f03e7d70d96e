"""Dead letters: seen by agents, sent after all by admins, and never by another tenant's."""

from uuid import UUID

import pytest
import pytest_asyncio
from sqlalchemy import text

from packages.core.db.repositories.deliveries import Draft, queue
from services.orchestrator.intake import Intake
from tests.factories.companies import Company, Installation
from tests.factories.pipeline import make_channel, message_event


class Outbox:
    """A conversation of a company, and its messages."""

    def __init__(self, installation: Installation, company: Company, channel: UUID, conversation_id: UUID) -> None:
        self.installation, self.company = installation, company
        self.channel, self.conversation_id = channel, conversation_id

    async def message(self, words: str, state: str, *, code: str = "131026", parts_sent: int = 0) -> str:
        draft = Draft(
            tenant_id=self.company.tenant_id,
            brand_id=self.company.brand_id,
            conversation_id=self.conversation_id,
            channel_config_id=self.channel,
            recipient="15550001",
            author="bot",
            text=words,
            epoch=0,
        )
        async with self.installation.database.tenant(self.company.tenant_id) as session:
            await queue(session, draft, republish_seconds=3600)
        await self.sql(
            f"UPDATE delivery SET state = '{state}', attempts = 3, parts_sent = {parts_sent}, external_id = 'wamid.x',"
            f" error = jsonb_build_object('code', '{code}', 'message', 'not on WhatsApp') WHERE id = '{draft.id}'"
        )
        await self.sql(f"UPDATE message_log SET status = '{state}' WHERE id = '{draft.id}'")
        return str(draft.id)

    async def sql(self, query: str) -> None:
        async with self.installation.database.across_tenants() as session:
            await session.execute(text(query))

    async def row(self, message_id: str) -> dict[str, object]:
        query = (
            "SELECT d.state, m.status, d.attempts, d.epoch, d.external_id, d.error FROM delivery d"
            f" JOIN message_log m USING (id) WHERE d.id = '{message_id}'"
        )
        async with self.installation.database.across_tenants() as session:
            return dict((await session.execute(text(query))).mappings().one())


@pytest_asyncio.fixture
async def outbox(installation: Installation, acme: Company) -> Outbox:
    channel = await make_channel(installation.database, acme.owner)
    (taken,) = await installation.parts.get(Intake).take([message_event(acme.owner, channel)])
    assert taken.conversation_id
    return Outbox(installation, acme, channel, taken.conversation_id)


async def test_dead_letters_say_what_and_why(outbox: Outbox, acme: Company) -> None:
    await outbox.message("on its way", "sent")
    failed = await outbox.message("Your order " + "x" * 400, "failed")
    (item,) = (await acme.agent.get("/v1/deliveries", params={"state": "failed"})).json()["items"]
    assert (item["id"], item["conversation_id"]) == (failed, str(outbox.conversation_id))
    assert item["error"] == {"code": "131026", "message": "not on WhatsApp"}
    assert item["text"].startswith("Your order x")
    assert len(item["text"]) == 280
    assert (item["attempts"], item["author"], item["status"]) == (3, "bot", "failed")


async def test_the_list_is_narrowed_and_paged(outbox: Outbox, acme: Company) -> None:
    made = [await outbox.message(f"{number}", "failed") for number in range(3)]
    found: list[str] = []
    cursor = None
    while True:
        wanted = {"state": "failed", "channel_config_id": str(outbox.channel), "limit": "2"}
        answer = (await acme.agent.get("/v1/deliveries", params=wanted | ({"cursor": cursor} if cursor else {}))).json()
        found += [item["id"] for item in answer["items"]]
        cursor = answer["next_cursor"]
        if cursor is None:
            break
    assert found == made[::-1]
    assert (await acme.agent.get("/v1/deliveries", params={"state": "held"})).json()["items"] == []


@pytest.mark.parametrize(("parts_sent", "external_id"), [(0, None), (1, "wamid.x")])
async def test_requeue(outbox: Outbox, acme: Company, parts_sent: int, external_id: str | None) -> None:
    message_id = await outbox.message("again", "failed", parts_sent=parts_sent)
    answer = await acme.admin.post(f"/v1/deliveries/{message_id}/requeue")
    assert (answer.status_code, answer.json()["attempts"]) == (200, 0)
    row = await outbox.row(message_id)
    assert row["state"] in {"retry", "published"}
    assert (row["status"], row["epoch"], row["external_id"]) == ("queued", None, external_id)


async def test_what_was_sent_is_not_sent_again(outbox: Outbox, acme: Company) -> None:
    message_id = await outbox.message("there", "sent")
    answer = await acme.admin.post(f"/v1/deliveries/{message_id}/requeue")
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "conflict")
    assert (await outbox.row(message_id))["state"] == "sent"


async def test_all_of_one_cause_go_again(outbox: Outbox, acme: Company) -> None:
    down = [await outbox.message(f"{number}", "failed", code="needs_attention") for number in range(3)]
    other = await outbox.message("blocked", "failed")
    held = await outbox.message("held", "held", code="needs_attention")
    wanted = {"channel_config_id": str(outbox.channel), "code": "needs_attention"}
    assert (await acme.admin.post("/v1/deliveries/requeue", json=wanted)).json() == {"count": 3}
    assert [(await outbox.row(one))["status"] for one in down] == ["queued"] * 3
    assert [(await outbox.row(one))["state"] for one in (other, held)] == ["failed", "held"]


async def test_only_admins_send_again(outbox: Outbox, acme: Company) -> None:
    message_id = await outbox.message("again", "failed")
    assert (await acme.agent.post(f"/v1/deliveries/{message_id}/requeue")).status_code == 403
    assert (await acme.agent.post("/v1/deliveries/requeue", json={})).status_code == 403
    assert (await acme.viewer.get("/v1/deliveries")).status_code == 403


async def test_another_tenants_messages_stay_as_they_are(outbox: Outbox, rival: Company) -> None:
    message_id = await outbox.message("again", "failed")
    assert (await rival.admin.post(f"/v1/deliveries/{message_id}/requeue")).status_code == 404
    assert (await rival.admin.post("/v1/deliveries/requeue", json={})).json() == {"count": 0}
    params = {"channel_config_id": str(outbox.channel)}
    assert (await rival.admin.post("/v1/deliveries/requeue", json=params)).status_code == 404
    assert (await outbox.row(message_id))["state"] == "failed"
