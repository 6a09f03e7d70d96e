"""The main job, from one command: documents in, answers out on two channels, over a restart, with and without a model.

The tests tell one story on one running product, in this order.
"""

import pytest

from tests.e2e.conftest import DOCUMENTS, Stage
from tests.fakes.llm_server import Reply, running

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

ASKED = [
    ("whatsapp", "447700900101", "How many characters must my password have?", "12", "forgot-your-password.md"),
    ("webchat", "visitor-1", "When was the IBM MT/ST introduced?", "1964", "five_pages_headings.pdf"),
]


class TestDemo:
    async def test_the_demo_page_finds_its_brand(self, stage: Stage) -> None:
        page = await stage.api.client.get(stage.product.url("gateway") + "/demo")
        assert page.status_code == 200
        assert "widget.js" in page.text

    async def test_the_printed_log_in_works(self, stage: Stage) -> None:
        console = stage.product.console.read_text()
        answer = await stage.api.client.post(
            "/v1/auth/token",
            data={"username": "admin@fernhill.example", "password": stage.product.secret("DEMO_PASSWORD")},
        )
        assert answer.status_code == 200
        assert stage.product.secret("DEMO_PASSWORD") in console
        assert "10 of 10 articles ready" in console


class TestDocuments:
    @pytest.mark.parametrize("name", DOCUMENTS)
    async def test_goes_from_queued_over_progress_to_ready(self, taught: Stage, name: str) -> None:
        statuses = [status for status, _ in taught.progress[name]]
        progress = [done for _, done in taught.progress[name]]
        assert statuses[0] == "queued"
        assert statuses[-1] == "ready"
        assert "processing" in statuses
        assert progress == sorted(progress)
        assert len({done for done in progress if 0 < done < 1}) >= 1


class TestAnswers:
    @pytest.mark.parametrize(("channel", "customer", "question", "fact", "document"), ASKED)
    async def test_the_right_answer_arrives_with_its_citation(
        self, taught: Stage, channel: str, customer: str, question: str, fact: str, document: str
    ) -> None:
        await taught.ask(channel, customer, question)
        text = (await taught.received(channel, customer))[0]
        reply = (await taught.conversation(channel, customer))["messages"][-1]
        sources = {item["id"]: item for item in (await taught.api.get(taught.knowledge))["items"]}
        cited = {sources[citation["source_id"]]["filename"] for citation in reply["citations"]}
        assert fact in text
        assert document in cited

    @pytest.mark.parametrize(("channel", "customer"), [("whatsapp", "447700900102"), ("webchat", "visitor-2")])
    async def test_what_nobody_wrote_down_is_not_known(self, taught: Stage, channel: str, customer: str) -> None:
        await taught.ask(channel, customer, "What is the weather like in Ulaanbaatar tomorrow?")
        text = (await taught.received(channel, customer))[0]
        assert "don't know" in text.replace("’", "'")
        assert "person" in text


class TestConversations:
    @pytest.mark.parametrize(("channel", "customer", "question", "fact", "document"), ASKED)
    async def test_shows_snippets_and_delivery(
        self, taught: Stage, channel: str, customer: str, question: str, fact: str, document: str
    ) -> None:
        final = "read" if channel == "whatsapp" else "sent"
        conversation = await taught.once(lambda found: found["messages"][-1]["status"] == final, channel, customer)
        asked, replied = conversation["messages"]
        assert replied["status"] == final
        assert (conversation["channel"], asked["text"], asked["author"]) == (channel, question, "customer")
        assert replied["author"] == "bot"
        assert any(fact in snippet["text"] for snippet in replied["context"])
        assert all(
            citation["quote"]
            in {snippet["chunk_id"]: snippet["text"] for snippet in replied["context"]}[citation["chunk_id"]]
            for citation in replied["citations"]
        )


class TestRestart:
    async def test_what_was_asked_while_it_was_down_is_answered(self, taught: Stage) -> None:
        taught.product.kill("gateway")
        await taught.ask("whatsapp", "447700900103", "How do I delete my account?")
        await taught.restart()
        assert "delete" in (await taught.received("whatsapp", "447700900103"))[0].lower()

    async def test_everything_is_still_there(self, taught: Stage) -> None:
        sources = (await taught.api.get(taught.knowledge))["items"]
        assert sorted(source["filename"] for source in sources) == sorted(DOCUMENTS)
        assert {source["status"] for source in sources} == {"ready"}
        for channel, customer, question, *_ in ASKED:
            assert (await taught.conversation(channel, customer))["messages"][0]["text"] == question

    async def test_nobody_was_answered_twice(self, taught: Stage) -> None:
        for channel, customer, *_ in ASKED:
            assert len(await taught.received(channel, customer)) == 1


class TestModel:
    QUESTION = "How many characters must my password have?"
    FROM_MODEL = "Your password must have 12 or more characters [1]."

    async def test_falls_from_model_to_fallback_to_the_extractive_answerer(self, taught: Stage) -> None:
        async with running() as first, running() as second:
            first.otherwise = second.otherwise = Reply(self.FROM_MODEL)
            fallback = f'[{{"base_url": "{second.url}", "api_key": "two", "model": "second"}}]'
            await taught.restart(
                PARLEY_LLM__BASE_URL=first.url,
                PARLEY_LLM__API_KEY="one",
                PARLEY_LLM__MODEL="first",
                PARLEY_LLM__FALLBACKS=fallback,
                PARLEY_LLM__FIRST_TOKEN_TIMEOUT="1",
            )

            await taught.ask("whatsapp", "447700900104", self.QUESTION)
            by_model = (await taught.received("whatsapp", "447700900104"))[0]
            asked = first.requests[-1]
            prompt = "\n".join(message["content"] for message in asked["messages"])
            assert by_model.startswith(self.FROM_MODEL.removesuffix(" [1]."))
            assert asked["model"] == "first"
            assert "[1]" in prompt
            assert "12 or more characters" in prompt
            assert self.QUESTION in prompt
            assert (await taught.conversation("whatsapp", "447700900104"))["messages"][-1]["citations"]

            first.otherwise = Reply(hang="headers")
            await taught.ask("whatsapp", "447700900105", self.QUESTION)
            by_fallback = (await taught.received("whatsapp", "447700900105"))[0]
            assert by_fallback == by_model
            assert second.requests[-1]["model"] == "second"

            second.otherwise = Reply(status=500)
            await taught.ask("webchat", "visitor-3", self.QUESTION)
            extracted = (await taught.received("webchat", "visitor-3"))[0]
            assert "12 or more characters" in extracted
            assert "error" not in extracted.lower()
