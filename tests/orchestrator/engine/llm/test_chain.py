"""Endpoints in order, over real HTTP."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from prometheus_client import REGISTRY

from packages.core.config import LLMEndpoint, LLMSettings
from services.orchestrator.engine.llm import Prompt
from services.orchestrator.engine.llm.chain import Chain
from services.orchestrator.engine.llm.openai_compatible import OpenAICompatible
from tests.fakes import llm_server
from tests.fakes.llm_server import LLMServer, Reply

SETTINGS = LLMSettings(connect_timeout=0.5, first_token_timeout=0.4, total_timeout=2.0)


@pytest_asyncio.fixture
async def second() -> AsyncIterator[LLMServer]:
    async with llm_server.running() as server:
        server.otherwise = Reply("The second answers.")
        yield server


@pytest_asyncio.fixture
async def chain(server: LLMServer, second: LLMServer) -> AsyncIterator[Chain]:
    endpoints = [LLMEndpoint(base_url=item.url, model=name) for item, name in ((server, "first"), (second, "second"))]
    chain = Chain([OpenAICompatible(endpoint, SETTINGS) for endpoint in endpoints])
    yield chain
    await chain.close()


async def test_the_first_that_answers_wins(chain: Chain, server: LLMServer, second: LLMServer, prompt: Prompt) -> None:
    server.answers("The first answers.")
    outcome = await chain.complete(prompt)
    assert outcome.completion is not None
    assert outcome.completion.text == "The first answers."
    assert second.requests == []


@pytest.mark.parametrize(
    ("reply", "reason"), [(Reply(status=500), "server_error"), (Reply("a b", hang="headers"), "timeout")]
)
async def test_the_next_answers_when_one_fails_and_the_trace_says_why(
    chain: Chain, server: LLMServer, prompt: Prompt, reply: Reply, reason: str
) -> None:
    server.answers(reply)
    outcome = await chain.complete(prompt)
    assert outcome.completion is not None
    assert outcome.completion.text == "The second answers."
    assert [attempt.outcome for attempt in outcome.attempts] == [reason, "ok"]


async def test_a_dead_endpoint_is_left_alone_after_five_failures(
    chain: Chain, server: LLMServer, prompt: Prompt
) -> None:
    server.otherwise = Reply(status=500)
    for _ in range(5):
        await chain.complete(prompt)
    outcome = await chain.complete(prompt)
    assert outcome.attempts[0].outcome == "circuit_open"
    assert len(server.requests) == 5


async def test_nobody_answers_without_an_exception(
    chain: Chain, server: LLMServer, second: LLMServer, prompt: Prompt
) -> None:
    server.answers(Reply(status=500))
    second.answers(Reply(""))
    outcome = await chain.complete(prompt)
    assert outcome.completion is None
    assert [attempt.outcome for attempt in outcome.attempts] == ["server_error", "empty"]


async def test_the_budget_bounds_the_chain(server: LLMServer, second: LLMServer, prompt: Prompt) -> None:
    settings = LLMSettings(first_token_timeout=5, total_timeout=5)
    models = [OpenAICompatible(LLMEndpoint(base_url=item.url), settings) for item in (server, second)]
    chain = Chain(models, budget=0.3)
    server.answers(Reply("a b", hang="first"))
    outcome = await chain.complete(prompt)
    assert [attempt.outcome for attempt in outcome.attempts] == ["timeout", "no_time_left"]
    await chain.close()


async def test_calls_and_tokens_are_counted(chain: Chain, server: LLMServer, prompt: Prompt) -> None:
    server.answers("one two three")
    outcome = await chain.complete(prompt)
    assert outcome.completion is not None
    endpoint = {"endpoint": outcome.completion.model}
    assert REGISTRY.get_sample_value("parley_llm_calls_total", endpoint | {"outcome": "ok"}) == 1
    assert REGISTRY.get_sample_value("parley_llm_tokens_total", endpoint | {"direction": "out"}) == 3
    assert REGISTRY.get_sample_value("parley_llm_breaker_state", endpoint) == 0
