"""The whole way: a question in vain, an agent's answer, its approval, and the question answered.

Real turns, the real embedder and the extractive answerer; only the customer and the agent are played.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any
from uuid import UUID

import pytest
import pytest_asyncio

from packages.core.config import TurnSettings
from packages.core.db.repository import get
from packages.core.db.tables.knowledge import KnowledgeSource
from packages.core.storage import ObjectStore
from packages.rag.documents import Scope
from packages.rag.ingest import Upload, ingest_document
from packages.rag.retrieval import Knowledge
from services.orchestrator.gaps.collector import GapCollector
from services.orchestrator.gaps.regression import Regression
from services.orchestrator.intake import Intake
from services.orchestrator.settings import OrchestratorSettings
from tests.conftest import Engines
from tests.factories.companies import Company, Installation
from tests.factories.knowledge import document, make_source
from tests.factories.pipeline import make_channel, message_event
from tests.orchestrator.conftest import make_settings

ARTICLE = "forgot-your-password.md"
ASKED = "Can I bring my dog into your office in Oslo?"
ANSWER = "Dogs are welcome in our Oslo office, as long as they are on a leash."


@pytest.fixture(scope="module")
def settings(engines: Engines, tmp_path_factory: pytest.TempPathFactory) -> OrchestratorSettings:
    return make_settings(engines, tmp_path_factory.mktemp("data"), turn=TurnSettings(debounce_seconds=0.05))


async def index(installation: Installation, company: Company, source_id: UUID, upload: Upload) -> None:
    """Do as the worker does."""
    scope = Scope(tenant_id=company.tenant_id, brand_id=company.brand_id)
    await ingest_document(installation.parts.get(Knowledge), scope, source_id, upload)


async def read_source(installation: Installation, company: Company, source_id: str) -> None:
    async with installation.database.tenant(company.tenant_id) as session:
        source = await get(session, KnowledgeSource, source_id)
    assert source.storage_key
    data = await installation.parts.get(ObjectStore).get(source.storage_key)
    await index(installation, company, source.id, Upload(data=data, media_type=source.media_type, title=source.title))


async def eventually(look: Callable[[], Any], seconds: float = 15) -> Any:
    """What `look` finds, once it finds anything."""
    async with asyncio.timeout(seconds):
        while not (found := await look()):
            await asyncio.sleep(0.05)
    return found


class Shop:
    """A brand with one article, its customer, its agent, and the loop behind its turns."""

    def __init__(self, installation: Installation, company: Company, channel: UUID) -> None:
        self.installation, self.company, self.channel = installation, company, channel
        parts = installation.parts
        regression = parts.get(GapCollector)._regression
        assert isinstance(regression, Regression)
        self.collector = GapCollector(
            installation.database,
            parts.get(GapCollector)._redis,
            parts.get(Knowledge).embedder,
            regression,
            settle_seconds=0,
        )

    async def ask(self, text: str, sender: str) -> dict[str, Any]:
        """The customer asks; the conversation once the bot has replied."""
        event = message_event(self.company.owner, self.channel, text, sender=sender)
        taken = (await self.installation.parts.get(Intake).take([event]))[0]

        async def replied() -> dict[str, Any] | None:
            found = (await self.company.agent.get(f"/v1/conversations/{taken.conversation_id}")).json()
            return found if any(message["author"] == "bot" for message in found["messages"]) else None

        found: dict[str, Any] = await eventually(replied)
        return found

    async def gaps(self) -> list[dict[str, Any]]:
        answer = await self.company.viewer.get(f"/v1/brands/{self.company.brand_id}/gaps")
        items: list[dict[str, Any]] = answer.json()["items"]
        return items

    async def checked(self) -> dict[str, Any]:
        """The gap once its questions have been asked again, by whoever was first to claim that."""

        async def done() -> dict[str, Any] | None:
            await self.collector._regression.check()
            gap = (await self.gaps())[0]
            return gap if gap["check_state"] in {"passed", "failed"} else None

        found: dict[str, Any] = await eventually(done)
        return found


@pytest_asyncio.fixture
async def shop(installation: Installation, acme: Company) -> AsyncIterator[Shop]:
    scope = Scope(tenant_id=acme.tenant_id, brand_id=acme.brand_id)
    source_id = await make_source(installation.database, scope, "Forgot your password", filename=ARTICLE)
    upload = Upload(data=document(ARTICLE), media_type="text/markdown", title="Forgot your password")
    await index(installation, acme, source_id, upload)
    yield Shop(installation, acme, await make_channel(installation.database, acme.owner))


async def drafted_gap(shop: Shop) -> dict[str, Any]:
    """Two customers ask in vain, an agent answers one of them."""
    conversation = await shop.ask(ASKED, "15550001")
    await shop.ask("Is my dog allowed in the Oslo office?", "15550002")
    answer = await shop.company.agent.post(f"/v1/conversations/{conversation['id']}/messages", json={"text": ANSWER})
    assert answer.status_code in {200, 201}, answer.text
    while await shop.collector.collect():
        pass
    await shop.collector.draft()
    return (await shop.gaps())[0]


async def approve(shop: Shop, gap: dict[str, Any], answer: str) -> dict[str, Any]:
    body = {"question": gap["draft_question"], "answer": answer}
    taken = await shop.company.admin.post(f"/v1/brands/{shop.company.brand_id}/gaps/{gap['id']}/approve", json=body)
    assert taken.status_code == 202, taken.text
    found: dict[str, Any] = taken.json()
    return found


async def test_from_a_withheld_answer_to_an_answer(shop: Shop) -> None:
    gap = await drafted_gap(shop)
    assert (gap["count"], gap["status"], gap["draft_answer"]) == (2, "drafted", ANSWER)

    approved = await approve(shop, gap, gap["draft_answer"])
    await shop.collector._regression.check()
    assert (await shop.gaps())[0]["check_state"] == "waiting"
    await read_source(shop.installation, shop.company, approved["source_id"])
    checked = await shop.checked()
    assert (checked["status"], checked["check_state"]) == ("answered", "passed")
    assert (checked["outcome"]["questions"], checked["outcome"]["passed"]) == (2, 2)

    conversation = await shop.ask(ASKED, "15550003")
    reply = next(message for message in conversation["messages"] if message["author"] == "bot")
    assert "leash" in reply["text"]
    assert {citation["source_id"] for citation in reply["citations"]} == {approved["source_id"]}


async def test_an_answer_to_something_else_leaves_the_gap_open(shop: Shop) -> None:
    gap = await drafted_gap(shop)
    body = gap | {"draft_question": "How are invoices paid?"}
    approved = await approve(shop, body, "Invoices are paid by bank transfer within thirty days.")
    await read_source(shop.installation, shop.company, approved["source_id"])
    checked = await shop.checked()
    assert (checked["status"], checked["check_state"], checked["outcome"]["passed"]) == ("drafted", "failed", 0)


async def test_a_source_that_could_not_be_read_is_told(shop: Shop) -> None:
    gap = await drafted_gap(shop)
    approved = await approve(shop, gap, ANSWER)
    async with shop.installation.database.tenant(shop.company.tenant_id) as session:
        source = await get(session, KnowledgeSource, approved["source_id"])
        source.status, source.error = "failed", {"code": "unreadable", "message": "It holds no text."}
    checked = await shop.checked()
    assert (checked["status"], checked["outcome"]["error"]["code"]) == ("drafted", "unreadable")
    assert checked["check_state"] == "failed"
