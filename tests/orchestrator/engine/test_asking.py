"""A turn in which the model acts: a real client, a scripted endpoint, a brand's own system, all over HTTP."""

from collections.abc import AsyncIterator

import pytest_asyncio

from packages.core.config import LLMEndpoint, LLMSettings
from packages.core.db.session import Database
from services.orchestrator.acting.loop import MOST_STEPS, Outcome, converse
from services.orchestrator.engine.asking import Asking
from services.orchestrator.engine.llm import PromptMessage
from services.orchestrator.engine.llm.chain import Chain
from services.orchestrator.engine.llm.openai_compatible import OpenAICompatible
from tests.factories.actions import LOOKUP, Stage, make_stage
from tests.fakes import llm_server, shop_api
from tests.fakes.llm_server import LLMServer, Reply
from tests.fakes.shop_api import ShopAPI

PROMPT = (PromptMessage("system", "Be brief."), PromptMessage("user", "Where is 3348917502?"))
CALL = Reply("", calls=(("look_up_order", '{"order_id": "3348917502"}'),))


@pytest_asyncio.fixture
async def server() -> AsyncIterator[LLMServer]:
    async with llm_server.running() as server:
        yield server


@pytest_asyncio.fixture
async def shop() -> AsyncIterator[ShopAPI]:
    async with shop_api.running() as shop:
        yield shop


@pytest_asyncio.fixture
async def stage(database: Database, shop: ShopAPI) -> AsyncIterator[Stage]:
    """A brand that looks orders up."""
    stage = await make_stage(database)
    await stage.add("order_lookup", "look_up_order", {"url": f"{shop.url}/{{order_id}}", **LOOKUP})
    yield stage
    await stage.actions.outside.close()


async def turn(stage: Stage, server: LLMServer) -> tuple[Outcome, Asking]:
    settings = LLMSettings(connect_timeout=0.5, first_token_timeout=0.4, total_timeout=2.0, max_tokens=64)
    chain = Chain([OpenAICompatible(LLMEndpoint(base_url=server.url, model="fake"), settings)])
    asking = Asking(chain, PROMPT)
    outcome = await converse(asking.ask, stage.actions, stage.turn(), await stage.actions.offered(stage.brand))
    await chain.close()
    return outcome, asking


class TestAsking:
    async def test_the_model_calls_hears_and_answers(self, stage: Stage, server: LLMServer) -> None:
        server.answers(CALL, "It is in transit.")
        outcome, asking = await turn(stage, server)
        assert outcome.text == "It is in transit."
        heard = server.last_prompt[-1]
        assert (heard["role"], heard["tool_call_id"]) == ("tool", "call_0")
        assert '"state": "in transit"' in heard["content"]
        assert [attempt.outcome for attempt in asking.attempts] == ["ok", "ok"]

    async def test_the_results_of_a_system_that_is_down_are_said(
        self, stage: Stage, server: LLMServer, shop: ShopAPI
    ) -> None:
        shop.fault = "500"
        server.answers(CALL, "I cannot look it up just now.")
        await turn(stage, server)
        assert "server_error" in server.last_prompt[-1]["content"]

    async def test_a_model_that_calls_without_end(self, stage: Stage, server: LLMServer, shop: ShopAPI) -> None:
        server.otherwise = CALL
        outcome, _ = await turn(stage, server)
        assert outcome.exhausted
        assert len(server.requests) <= MOST_STEPS + 1
        assert "tools" not in server.requests[-1]
        assert len(shop.heard) == 1

    async def test_a_model_that_fails_after_the_call(self, stage: Stage, server: LLMServer) -> None:
        server.answers(CALL, Reply(status=500), Reply(status=500))
        outcome, asking = await turn(stage, server)
        assert asking.last is not None
        assert asking.last.completion is None
        assert [one.status for one in outcome.ran] == ["done"]
