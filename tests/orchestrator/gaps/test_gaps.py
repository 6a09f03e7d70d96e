"""Gaps over the API."""

from typing import Any

import pytest
import pytest_asyncio

from packages.core.db.base import new_id
from packages.core.db.repository import get
from packages.core.db.tables.knowledge import KnowledgeSource
from services.orchestrator.gaps.collector import GapCollector
from tests.factories.companies import Company, Installation
from tests.factories.talks import make_talk

NORWAY = "Do you ship parcels to Norway?"
APPROVAL = {"question": NORWAY, "answer": "Yes, we ship parcels to Norway."}


def path(company: Company, *parts: object) -> str:
    return "/".join([f"/v1/brands/{company.brand_id}/gaps", *map(str, parts)])


async def listed(company: Company, **params: Any) -> list[dict[str, Any]]:
    answer = await company.viewer.get(path(company), params=params)
    assert answer.status_code == 200, answer.text
    items: list[dict[str, Any]] = answer.json()["items"]
    return items


@pytest_asyncio.fixture
async def gap_id(installation: Installation, acme: Company) -> str:
    """A gap of two questions; behind it, one of one question."""
    talk = await make_talk(installation.database, acme.owner)
    await talk.withheld("Is the Alpha grinder dishwasher safe?")
    await talk.withheld(NORWAY)
    await talk.withheld("Do you ship to Norway as well?")
    while await installation.parts.get(GapCollector).collect():
        pass
    return str((await listed(acme))[0]["id"])


class TestRead:
    async def test_the_last_asked_comes_first(self, acme: Company, gap_id: str) -> None:
        first, second = await listed(acme)
        assert (first["question"], first["count"], first["status"]) == (NORWAY, 2, "open")
        assert first["examples"] == ["Do you ship to Norway as well?", NORWAY]
        assert (second["count"], second["draft_answer"], second["check_state"]) == (1, None, None)

    @pytest.mark.parametrize(
        ("params", "count"), [({"min_count": 2}, 1), ({"status": "drafted"}, 0), ({"limit": 1}, 1)]
    )
    async def test_lists_are_narrowed(self, acme: Company, gap_id: str, params: dict[str, Any], count: int) -> None:
        assert len(await listed(acme, **params)) == count

    async def test_pages_follow_one_another(self, acme: Company, gap_id: str) -> None:
        page = (await acme.viewer.get(path(acme), params={"limit": 1})).json()
        following = await listed(acme, limit=1, cursor=page["next_cursor"])
        assert following[0]["id"] != page["items"][0]["id"]

    async def test_questions_say_where_and_why(self, acme: Company, gap_id: str) -> None:
        items = (await acme.viewer.get(path(acme, gap_id, "questions"))).json()["items"]
        assert [item["question"] for item in items] == ["Do you ship to Norway as well?", NORWAY]
        assert (items[0]["reason"], items[0]["confidence"], items[0]["trace_id"]) == ("withheld", 0.2, "t1")

    async def test_a_strange_status_is_refused(self, acme: Company) -> None:
        assert (await acme.viewer.get(path(acme), params={"status": "lost"})).status_code == 422

    async def test_another_tenants_gap_does_not_exist(self, acme: Company, rival: Company, gap_id: str) -> None:
        answers = [
            await rival.admin.get(path(acme, gap_id)),
            await rival.admin.get(path(rival, gap_id)),
            await rival.admin.get(path(rival, gap_id, "questions")),
            await rival.admin.patch(path(rival, gap_id), json={"status": "dismissed"}),
            await rival.admin.post(path(rival, gap_id, "approve"), json=APPROVAL),
        ]
        assert {answer.status_code for answer in answers} == {404}
        assert await listed(rival) == []
        assert (await rival.viewer.get(path(acme))).status_code == 404


class TestChange:
    async def test_dismissed_and_taken_up_again(self, acme: Company, gap_id: str) -> None:
        for status in ("dismissed", "open"):
            answer = await acme.admin.patch(path(acme, gap_id), json={"status": status})
            assert answer.json()["status"] == status

    async def test_a_draft_makes_it_drafted(self, acme: Company, gap_id: str) -> None:
        answer = await acme.admin.patch(path(acme, gap_id), json={"draft_answer": "We do."})
        assert (answer.json()["status"], answer.json()["draft_answer"]) == ("drafted", "We do.")

    @pytest.mark.parametrize("body", [{"status": "answered"}, {"draft_answer": " "}, {"count": 3}])
    async def test_nonsense_is_refused(self, acme: Company, gap_id: str, body: dict[str, Any]) -> None:
        assert (await acme.admin.patch(path(acme, gap_id), json=body)).status_code == 422

    async def test_is_for_admins(self, acme: Company, gap_id: str) -> None:
        for client in (acme.agent, acme.viewer):
            assert (await client.patch(path(acme, gap_id), json={"status": "dismissed"})).status_code == 403
            assert (await client.post(path(acme, gap_id, "approve"), json=APPROVAL)).status_code == 403


class TestApprove:
    async def test_makes_a_source_and_waits_for_it(
        self, installation: Installation, acme: Company, gap_id: str
    ) -> None:
        answer = await acme.admin.post(path(acme, gap_id, "approve"), json=APPROVAL)
        assert answer.status_code == 202
        gap = answer.json()
        assert (gap["status"], gap["check_state"]) == ("drafted", "waiting")
        async with installation.database.tenant(acme.tenant_id) as session:
            source = await get(session, KnowledgeSource, gap["source_id"])
        assert (source.kind, source.title, source.tags, source.status) == ("faq", NORWAY, ["gap"], "queued")

    async def test_once_more_replaces_what_was_approved(
        self, installation: Installation, acme: Company, gap_id: str
    ) -> None:
        first = (await acme.admin.post(path(acme, gap_id, "approve"), json=APPROVAL)).json()
        changed = APPROVAL | {"answer": "Yes, within five days."}
        second = (await acme.admin.post(path(acme, gap_id, "approve"), json=changed)).json()
        assert first["source_id"] != second["source_id"]
        sources = (await acme.admin.get(f"/v1/brands/{acme.brand_id}/knowledge")).json()["items"]
        assert [source["id"] for source in sources] == [second["source_id"]]

    async def test_the_same_again_changes_nothing(self, acme: Company, gap_id: str) -> None:
        answers = [(await acme.admin.post(path(acme, gap_id, "approve"), json=APPROVAL)).json() for _ in range(2)]
        assert answers[0]["source_id"] == answers[1]["source_id"]

    async def test_a_source_that_another_gap_rests_on_stays(self, acme: Company, gap_id: str) -> None:
        other = (await listed(acme))[1]["id"]
        for gap in (gap_id, other):
            await acme.admin.post(path(acme, gap, "approve"), json=APPROVAL)
        await acme.admin.post(path(acme, gap_id, "approve"), json=APPROVAL | {"answer": "Yes."})
        sources = (await acme.admin.get(f"/v1/brands/{acme.brand_id}/knowledge")).json()["items"]
        assert len(sources) == 2

    async def test_a_gap_that_is_not_there(self, acme: Company) -> None:
        assert (await acme.admin.post(path(acme, new_id(), "approve"), json=APPROVAL)).status_code == 404
