"""The client against a real HTTP server that answers, refuses, hangs and breaks off."""

import socket
import time

import pytest
from pydantic import SecretStr

from packages.core.config import LLMEndpoint, LLMSettings
from services.orchestrator.engine.llm import ModelFailed, Prompt
from services.orchestrator.engine.llm.openai_compatible import OpenAICompatible
from tests.fakes.llm_server import LLMServer, Reply


class TestComplete:
    async def test_the_whole_answer_with_its_tokens(
        self, model: OpenAICompatible, server: LLMServer, prompt: Prompt
    ) -> None:
        server.answers("Hello there, customer.")
        completion = await model.complete(prompt)
        assert completion.text == "Hello there, customer."
        assert (completion.tokens_in, completion.tokens_out) == (11, 3)
        assert 0 < completion.first_token_ms <= completion.ms

    async def test_what_is_sent(self, server: LLMServer, prompt: Prompt) -> None:
        endpoint = LLMEndpoint(base_url=server.url, api_key=SecretStr("sk-test"), model="some-model")
        model = OpenAICompatible(endpoint, LLMSettings(max_tokens=77))
        await model.complete(prompt)
        await model.close()
        sent = server.requests[0]
        assert sent["model"] == "some-model"
        assert sent["stream"] is True
        assert sent["max_tokens"] == 77
        assert sent["messages"][0] == {"role": "system", "content": "Be brief."}
        assert server.keys == ["Bearer sk-test"]

    async def test_an_endpoint_that_does_not_stream_is_understood(
        self, model: OpenAICompatible, server: LLMServer, prompt: Prompt
    ) -> None:
        server.answers(Reply("All at once.", stream=False))
        assert (await model.complete(prompt)).text == "All at once."

    def test_the_name_holds_no_secret(self) -> None:
        endpoint = LLMEndpoint(base_url="https://user:pass@host:8/v1", api_key=SecretStr("sk-x"), model="m")
        assert OpenAICompatible(endpoint, LLMSettings()).name == "m@host:8"


class TestFailures:
    @pytest.mark.parametrize(
        ("reply", "reason"),
        [
            (Reply(status=500), "server_error"),
            (Reply(status=401), "unauthorized"),
            (Reply(status=429, retry_after="60"), "rate_limited"),
            (Reply("a b c d", broken="json"), "malformed"),
            (Reply("a b c d", broken="cut"), "truncated"),
            (Reply("a b c d", broken="unfinished"), "truncated"),
            (Reply("a b c d", broken="error"), "server_error"),
            (Reply(""), "empty"),
        ],
    )
    async def test_each_has_its_reason(
        self, model: OpenAICompatible, server: LLMServer, prompt: Prompt, reply: Reply, reason: str
    ) -> None:
        server.answers(reply)
        with pytest.raises(ModelFailed) as failure:
            await model.complete(prompt)
        assert failure.value.reason == reason
        assert len(server.requests) == 1

    @pytest.mark.parametrize("where", ["headers", "first", "middle"])
    async def test_silence_ends_after_the_time_for_a_first_token(
        self, model: OpenAICompatible, server: LLMServer, prompt: Prompt, where: str
    ) -> None:
        server.answers(Reply("one two three four", hang=where))
        started = time.monotonic()
        with pytest.raises(ModelFailed, match="timeout"):
            await model.complete(prompt)
        assert time.monotonic() - started < 1.5

    async def test_a_slow_drip_ends_at_the_time_for_the_whole_answer(
        self, model: OpenAICompatible, server: LLMServer, prompt: Prompt
    ) -> None:
        server.answers(Reply("word " * 50, pause=0.1))
        started = time.monotonic()
        with pytest.raises(ModelFailed, match="timeout"):
            await model.complete(prompt, seconds=0.6)
        assert time.monotonic() - started < 1.2

    async def test_nobody_listening_is_unreachable(self, prompt: Prompt) -> None:
        with socket.create_server(("127.0.0.1", 0)) as closed:
            address = f"http://127.0.0.1:{closed.getsockname()[1]}/v1"
        model = OpenAICompatible(LLMEndpoint(base_url=address), LLMSettings(connect_timeout=0.5))
        with pytest.raises(ModelFailed, match="unreachable"):
            await model.complete(prompt)
        await model.close()

    async def test_a_request_at_fault_does_not_blame_the_endpoint(
        self, model: OpenAICompatible, server: LLMServer, prompt: Prompt
    ) -> None:
        server.answers(Reply(status=400, error="context_length_exceeded"))
        with pytest.raises(ModelFailed, match="rejected") as failure:
            await model.complete(prompt)
        assert not failure.value.blames_endpoint


class TestRetry:
    @pytest.mark.parametrize("status", [429, 503])
    async def test_a_quick_refusal_is_tried_once_more(
        self, model: OpenAICompatible, server: LLMServer, prompt: Prompt, status: int
    ) -> None:
        server.answers(Reply(status=status, retry_after="0"), "Now it works.")
        assert (await model.complete(prompt)).text == "Now it works."
        assert len(server.requests) == 2

    async def test_but_not_a_third_time(self, model: OpenAICompatible, server: LLMServer, prompt: Prompt) -> None:
        server.answers(*[Reply(status=503, retry_after="0")] * 3)
        with pytest.raises(ModelFailed, match="overloaded"):
            await model.complete(prompt)
        assert len(server.requests) == 2


class TestDialects:
    @pytest.mark.parametrize("option", ["stream_options", "max_tokens", "temperature"])
    async def test_an_option_that_an_endpoint_does_not_know_is_left_out_for_good(
        self, model: OpenAICompatible, server: LLMServer, prompt: Prompt, option: str
    ) -> None:
        server.answers(Reply(status=400, error=f"Unsupported parameter: '{option}'"), "First.", "Second.")
        assert (await model.complete(prompt)).text == "First."
        assert (await model.complete(prompt)).text == "Second."
        assert [option in request for request in server.requests] == [True, False, False]
        assert ("max_completion_tokens" in server.requests[-1]) is (option == "max_tokens")


class TestStream:
    async def test_pieces_come_as_they_are_written(
        self, model: OpenAICompatible, server: LLMServer, prompt: Prompt
    ) -> None:
        server.answers("one two three")
        assert [piece async for piece in model.stream(prompt)] == ["one ", "two ", "three "]

    async def test_it_raises_where_it_breaks_off(
        self, model: OpenAICompatible, server: LLMServer, prompt: Prompt
    ) -> None:
        server.answers(Reply("one two three four", hang="middle"))
        pieces = model.stream(prompt)
        assert [await anext(pieces), await anext(pieces)] == ["one ", "two "]
        with pytest.raises(ModelFailed, match="timeout"):
            await anext(pieces)
