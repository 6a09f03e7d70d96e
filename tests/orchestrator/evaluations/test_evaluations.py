"""Sets, runs, comparisons and gates over the API, with the real embedder and the extractive answerer."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
import pytest_asyncio
from redis.asyncio import Redis

from packages.core.db.base import new_id, now
from packages.core.db.repository import get
from packages.core.db.tables.evaluations import EvaluationRun
from packages.core.db.tables.gaps import KnowledgeGap
from packages.core.streams import live_channel
from packages.rag.documents import Scope
from packages.rag.ingest import Upload, ingest_document
from packages.rag.retrieval import Knowledge
from services.orchestrator.evaluations.runner import MOST_ATTEMPTS, EvaluationRunner
from services.orchestrator.gaps.collector import GapCollector
from tests.factories.companies import Company, Installation
from tests.factories.knowledge import document, make_source
from tests.factories.talks import make_talk

ARTICLE = "forgot-your-password.md"
QUESTION = "How do I reset my password?"
JSONL = "application/x-ndjson"


@pytest_asyncio.fixture
async def learned(installation: Installation, acme: Company) -> AsyncIterator[str]:
    """The id of a source that says how to reset a password."""
    scope = Scope(tenant_id=acme.tenant_id, brand_id=acme.brand_id)
    source_id = await make_source(installation.database, scope, "Forgot your password", filename=ARTICLE)
    upload = Upload(data=document(ARTICLE), media_type="text/markdown", title="Forgot your password")
    await ingest_document(installation.parts.get(Knowledge), scope, source_id, upload)
    yield str(source_id)


def path(company: Company, *parts: object) -> str:
    return "/".join([f"/v1/brands/{company.brand_id}/evaluations", *map(str, parts)])


async def make_set(company: Company, *items: dict[str, Any]) -> str:
    answer = await company.admin.post(path(company), json={"name": "Before we publish"})
    assert answer.status_code == 201, answer.text
    set_id = str(answer.json()["id"])
    if items:
        added = await company.admin.post(path(company, set_id, "items"), json={"items": list(items)})
        assert added.status_code == 201, added.text
    return set_id


async def start(company: Company, set_id: str, **body: Any) -> dict[str, Any]:
    answer = await company.admin.post(path(company, set_id, "runs"), json=body)
    assert answer.status_code == 202, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def finished(company: Company, set_id: str, **body: Any) -> dict[str, Any]:
    """A run once the loop of the process has worked it off."""
    run = await start(company, set_id, **body)
    async with asyncio.timeout(30):
        while run["status"] in {"queued", "running"}:
            await asyncio.sleep(0.05)
            run = (await company.viewer.get(path(company, set_id, "runs", run["id"]))).json()
    return run


def items(source_id: str) -> list[dict[str, Any]]:
    return [
        {"question": QUESTION, "source_ids": [source_id]},
        {"question": "Which bus goes to the airport?", "abstain": True},
        {"question": "and what if that fails?", "abstain": True, "history": [{"author": "customer", "text": "Hi"}]},
    ]


class TestSets:
    async def test_are_listed_with_their_size(self, acme: Company, learned: str) -> None:
        set_id = await make_set(acme, *items(learned))
        assert [(found["id"], found["items"]) for found in (await acme.viewer.get(path(acme))).json()["items"]] == [
            (set_id, 3)
        ]
        assert (await acme.viewer.get(path(acme, set_id))).json()["name"] == "Before we publish"

    async def test_items_come_as_files(self, acme: Company) -> None:
        set_id = await make_set(acme)
        lines = b'{"question": "Who won?", "abstain": true}\n{"question": "Is it free?", "answer": "Yes."}'
        sent = await acme.admin.post(path(acme, set_id, "items"), content=lines, headers={"Content-Type": JSONL})
        assert sent.json() == {"added": 2, "known": 0, "items": 2}
        upload = {"file": ("set.csv", b"question,abstain\nWho  WON?,yes\nWhen?,yes\n")}
        again = await acme.admin.post(path(acme, set_id, "items"), files=upload)
        assert again.json() == {"added": 1, "known": 1, "items": 3}

    async def test_a_faulty_file_changes_nothing(self, acme: Company) -> None:
        set_id = await make_set(acme)
        lines = b'{"question": "Who won?", "abstain": true}\n{"question": ""}'
        sent = await acme.admin.post(path(acme, set_id, "items"), content=lines, headers={"Content-Type": JSONL})
        assert sent.status_code == 422
        assert sent.json()["error"]["details"]["faults"][0]["line"] == 2
        assert (await acme.viewer.get(path(acme, set_id))).json()["items"] == 0

    async def test_strange_sources_are_refused(self, acme: Company) -> None:
        set_id = await make_set(acme)
        body = {"items": [{"question": "x", "source_ids": [str(new_id())]}]}
        assert (await acme.admin.post(path(acme, set_id, "items"), json=body)).status_code == 422

    async def test_items_and_sets_are_deleted(self, acme: Company, learned: str) -> None:
        set_id = await make_set(acme, *items(learned))
        item_id = (await acme.viewer.get(path(acme, set_id, "items"))).json()["items"][0]["id"]
        assert (await acme.admin.delete(path(acme, set_id, "items", item_id))).status_code == 204
        assert (await acme.viewer.get(path(acme, set_id))).json()["items"] == 2
        assert (await acme.admin.delete(path(acme, set_id))).status_code == 204
        assert (await acme.viewer.get(path(acme, set_id))).status_code == 404


class TestRuns:
    async def test_a_run_tells_what_is_right(self, acme: Company, learned: str) -> None:
        set_id = await make_set(acme, *items(learned), {"question": "How do I delete my account?", "answer": "No."})
        run = await finished(acme, set_id, prices={"input_per_million": 1, "output_per_million": 2})
        assert (run["status"], run["done"], run["total"], run["error"]) == ("done", 4, 4, None)
        assert run["metrics"]["pass_rate"] == 0.75
        assert (run["metrics"]["right_source_cited"], run["metrics"]["withheld_rightly"]) == (1.0, 1.0)
        assert run["state"]["models"] == ["extractive"]
        results = (await acme.viewer.get(path(acme, set_id, "runs", run["id"], "results"))).json()["items"]
        by_question = {result["item"]["question"]: result for result in results}
        right = by_question[QUESTION]
        assert (right["passed"], right["abstained"], right["checks"]["source"]) == (True, False, True)
        assert right["citations"][0]["source_id"] == learned
        assert right["latency_ms"] > 0
        failed = await acme.viewer.get(path(acme, set_id, "runs", run["id"], "results"), params={"passed": False})
        assert [result["item"]["question"] for result in failed.json()["items"]] == ["How do I delete my account?"]

    async def test_progress_is_announced(self, acme: Company, learned: str, redis: Redis) -> None:
        set_id = await make_set(acme, *items(learned))
        async with redis.pubsub() as watching:
            await watching.subscribe(live_channel(str(acme.tenant_id)))
            await finished(acme, set_id)
            heard: list[bytes] = []
            async with asyncio.timeout(10):
                while not any(b'"status":"done"' in data for data in heard):
                    message = await watching.get_message(ignore_subscribe_messages=True, timeout=1)
                    heard.extend([message["data"]] if message else [])
        assert all(b"evaluation.progress" in data for data in heard)

    @pytest.mark.parametrize(
        ("body", "status"),
        [
            ({"draft": {"model": "unheard of"}}, 422),
            ({"draft": {"without_sources": [str(new_id())]}}, 422),
            ({"draft": {"settings": {"answer_threshold": 7}}}, 422),
            ({"draft": {"colour": "red"}}, 422),
        ],
    )
    async def test_drafts_that_cannot_be(self, acme: Company, learned: str, body: dict[str, Any], status: int) -> None:
        set_id = await make_set(acme, *items(learned))
        assert (await acme.admin.post(path(acme, set_id, "runs"), json=body)).status_code == status

    async def test_an_empty_set_is_not_run(self, acme: Company) -> None:
        assert (await acme.admin.post(path(acme, await make_set(acme), "runs"), json={})).status_code == 409

    async def test_a_cancelled_run_stays_cancelled(
        self, installation: Installation, acme: Company, learned: str
    ) -> None:
        set_id = await make_set(acme, *items(learned))
        run_id = await self._waiting_run(installation, acme, set_id)
        for _ in range(2):
            answer = await acme.admin.post(path(acme, set_id, "runs", run_id, "cancel"))
            assert answer.json()["status"] == "cancelled"
        await installation.parts.get(EvaluationRunner).work_one()
        assert (await acme.viewer.get(path(acme, set_id, "runs", run_id))).json()["status"] == "cancelled"

    async def test_a_finished_run_cannot_be_cancelled(self, acme: Company, learned: str) -> None:
        set_id = await make_set(acme, *items(learned))
        run = await finished(acme, set_id)
        assert (await acme.admin.post(path(acme, set_id, "runs", run["id"], "cancel"))).status_code == 409

    async def test_a_run_whose_process_died_is_taken_up(
        self, installation: Installation, acme: Company, learned: str
    ) -> None:
        set_id = await make_set(acme, *items(learned))
        died = {"status": "running", "attempts": 1, "lease_token": new_id(), "lease_until": now() - timedelta(1)}
        run = await self._until_over(installation, acme, set_id, died)
        assert (run["status"], run["done"]) == ("done", 3)

    async def test_a_run_that_kills_its_processes_fails(
        self, installation: Installation, acme: Company, learned: str
    ) -> None:
        set_id = await make_set(acme, *items(learned))
        run = await self._until_over(installation, acme, set_id, {"attempts": MOST_ATTEMPTS})
        assert (run["status"], run["error"]["code"]) == ("failed", "gave_up")

    async def _waiting_run(self, installation: Installation, acme: Company, set_id: str, **values: Any) -> str:
        """A run that nobody takes up, for its lease is held, unless the values say otherwise."""
        held: dict[str, Any] = {"lease_until": now() + timedelta(hours=1), "total": 3}
        run = EvaluationRun(
            tenant_id=acme.tenant_id, brand_id=acme.brand_id, set_id=set_id, **(held | values)  # type: ignore[arg-type]
        )
        async with installation.database.tenant(acme.tenant_id) as session:
            session.add(run)
        return str(run.id)

    async def _until_over(
        self, installation: Installation, acme: Company, set_id: str, values: dict[str, Any]
    ) -> dict[str, Any]:
        run_id = await self._waiting_run(installation, acme, set_id, **({"lease_until": None} | values))
        async with asyncio.timeout(30):
            while True:
                await installation.parts.get(EvaluationRunner).work_one()
                run: dict[str, Any] = (await acme.viewer.get(path(acme, set_id, "runs", run_id))).json()
                if run["status"] not in {"queued", "running"}:
                    return run
                await asyncio.sleep(0.05)


class TestComparison:
    async def test_a_draft_beside_what_is_live(self, acme: Company, learned: str) -> None:
        set_id = await make_set(acme, *items(learned))
        live = await finished(acme, set_id)
        draft = await finished(acme, set_id, draft={"without_sources": [learned]})
        answer = await acme.viewer.get(path(acme, set_id, "runs", draft["id"], "diff"), params={"against": live["id"]})
        found = answer.json()
        assert found["counts"] == {"regressed": 1, "same": 2}
        assert [side["item"]["question"] for side in found["items"]] == [QUESTION]
        side = found["items"][0]
        assert (side["before"]["abstained"], side["after"]["abstained"]) == (False, True)
        assert found["metrics_before"]["pass_rate"] > found["metrics_after"]["pass_rate"]

        gate = (await acme.admin.post(path(acme, set_id, "runs", draft["id"], "gate"), json={})).json()
        assert (gate["passed"], gate["regressions"], gate["against"]) == (False, 1, live["id"])
        assert len(gate["reasons"]) == 2
        lenient = {"min_pass_rate": 0.5, "max_regressions": 1, "against": live["id"]}
        assert (await acme.admin.post(path(acme, set_id, "runs", draft["id"], "gate"), json=lenient)).json()["passed"]
        run = (await acme.viewer.get(path(acme, set_id, "runs", draft["id"]))).json()
        assert run["gate"]["passed"] is True

    async def test_without_an_earlier_run_there_is_nothing_to_compare(self, acme: Company, learned: str) -> None:
        set_id = await make_set(acme, *items(learned))
        live = await finished(acme, set_id)
        assert (await acme.viewer.get(path(acme, set_id, "runs", live["id"], "diff"))).status_code == 409
        again = await finished(acme, set_id)
        found = (await acme.viewer.get(path(acme, set_id, "runs", again["id"], "diff"))).json()
        assert (found["against"], found["counts"]) == (live["id"], {"same": 3})

    async def test_a_threshold_decides_what_is_withheld(self, acme: Company, learned: str) -> None:
        set_id = await make_set(acme, *items(learned))
        run = await finished(acme, set_id, draft={"settings": {"answer_threshold": 1}})
        assert (run["metrics"]["withheld_wrongly"], run["metrics"]["withheld_rightly"]) == (1.0, 1.0)

    async def test_comparisons_have_pages(self, acme: Company, learned: str) -> None:
        set_id = await make_set(acme, *items(learned))
        one, other = await finished(acme, set_id), await finished(acme, set_id)
        where = path(acme, set_id, "runs", other["id"], "diff")
        page = (await acme.viewer.get(where, params={"against": one["id"], "only": "same", "limit": 2})).json()
        rest = (
            await acme.viewer.get(where, params={"against": one["id"], "only": "same", "cursor": page["next_cursor"]})
        ).json()
        assert (len(page["items"]), len(rest["items"]), rest["next_cursor"]) == (2, 1, None)

    async def test_the_first_run_passes_without_one_to_compare_with(self, acme: Company, learned: str) -> None:
        set_id = await make_set(acme, *items(learned))
        run = await finished(acme, set_id)
        gate = (await acme.admin.post(path(acme, set_id, "runs", run["id"], "gate"), json={})).json()
        assert (gate["passed"], gate["regressions"], gate["pass_rate"]) == (True, None, 1.0)


class TestGrowth:
    async def test_from_what_agents_answered(self, installation: Installation, acme: Company) -> None:
        talk = await make_talk(installation.database, acme.owner)
        await talk.withheld("Do you ship parcels to Norway? Write to robin@example.com.")
        await talk.agent("Yes, we ship parcels to Norway.")
        collector = installation.parts.get(GapCollector)
        while await collector.collect():
            pass
        collector._settle = 0
        await collector.draft()
        set_id = await make_set(acme)
        grown = await acme.admin.post(path(acme, set_id, "grow"), json={"origins": ["gaps"]})
        assert grown.json() == {"added": 1, "known": 0, "items": 1}
        item = (await acme.viewer.get(path(acme, set_id, "items"))).json()["items"][0]
        assert (item["answer"], item["abstain"]) == ("Yes, we ship parcels to Norway.", False)
        assert "robin@" not in item["question"]
        assert item["conversation_id"] == str(talk.conversation_id)
        again = await acme.admin.post(path(acme, set_id, "grow"), json={})
        assert again.json() == {"added": 0, "known": 1, "items": 1}

    async def test_a_dismissed_gap_expects_no_answer(self, installation: Installation, acme: Company) -> None:
        await (await make_talk(installation.database, acme.owner)).withheld("Which team wins the league?")
        while await installation.parts.get(GapCollector).collect():
            pass
        gap = (await acme.viewer.get(f"/v1/brands/{acme.brand_id}/gaps")).json()["items"][0]
        async with installation.database.tenant(acme.tenant_id) as session:
            (await get(session, KnowledgeGap, gap["id"])).status = "dismissed"
        set_id = await make_set(acme)
        await acme.admin.post(path(acme, set_id, "grow"), json={})
        assert (await acme.viewer.get(path(acme, set_id, "items"))).json()["items"][0]["abstain"] is True

    async def test_from_answers_that_were_enough(self, installation: Installation, acme: Company, learned: str) -> None:
        talk = await make_talk(installation.database, acme.owner)
        cited = {"citations": [{"source_id": learned, "quote": "x"}]}
        await talk.exchange("Hello", reply="Hello!")
        await talk.answered(QUESTION, "Select the link. [1]", **cited)
        helped = await make_talk(installation.database, acme.owner)
        await helped.answered("Where is the reset button?", "At the bottom. [1]", **cited)
        await helped.agent("Let me help you there.")
        set_id = await make_set(acme)
        await acme.admin.post(path(acme, set_id, "grow"), json={"origins": ["answers"]})
        found = (await acme.viewer.get(path(acme, set_id, "items"))).json()["items"]
        assert [(item["question"], item["answer"], item["source_ids"]) for item in found] == [
            (QUESTION, "Select the link.", [learned])
        ]
        assert found[0]["history"] == [["customer", "Hello"], ["bot", "Hello!"]]


class TestAccess:
    async def test_another_tenants_do_not_exist(self, acme: Company, rival: Company, learned: str) -> None:
        set_id = await make_set(acme, *items(learned))
        run = await finished(acme, set_id)
        item_id = (await acme.viewer.get(path(acme, set_id, "items"))).json()["items"][0]["id"]
        own_set = await make_set(rival)
        new = {"items": [{"question": "x", "abstain": True}]}
        for company, mine in ((acme, set_id), (rival, set_id), (rival, own_set)):
            calls = [
                rival.admin.get(path(company, mine, "runs", run["id"])),
                rival.admin.get(path(company, mine, "runs", run["id"], "results")),
                rival.admin.get(path(company, mine, "runs", run["id"], "diff"), params={"against": run["id"]}),
                rival.admin.post(path(company, mine, "runs", run["id"], "gate"), json={}),
                rival.admin.post(path(company, mine, "runs", run["id"], "cancel")),
                rival.admin.delete(path(company, mine, "items", item_id)),
            ]
            if mine == set_id:
                calls += [
                    rival.admin.get(path(company, mine)),
                    rival.admin.post(path(company, mine, "items"), json=new),
                    rival.admin.post(path(company, mine, "grow"), json={}),
                    rival.admin.post(path(company, mine, "runs"), json={}),
                    rival.admin.delete(path(company, mine)),
                ]
            assert {(await call).status_code for call in calls} == {404}
        assert (await rival.viewer.get(path(acme))).status_code == 404

    async def test_writing_is_for_admins(self, acme: Company, learned: str) -> None:
        set_id = await make_set(acme, *items(learned))
        for client in (acme.agent, acme.viewer):
            for call in (
                client.post(path(acme), json={"name": "x"}),
                client.post(path(acme, set_id, "items"), json={"items": []}),
                client.post(path(acme, set_id, "grow"), json={}),
                client.post(path(acme, set_id, "runs"), json={}),
                client.delete(path(acme, set_id)),
            ):
                assert (await call).status_code == 403
        assert (await acme.viewer.get(path(acme, set_id))).status_code == 200
