"""A scripted endpoint, and clients of it with short timeouts."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from packages.core.config import LLMEndpoint, LLMSettings
from services.orchestrator.engine.llm import Prompt, PromptMessage
from services.orchestrator.engine.llm.openai_compatible import OpenAICompatible
from tests.fakes import llm_server
from tests.fakes.llm_server import LLMServer

SETTINGS = LLMSettings(connect_timeout=0.5, first_token_timeout=0.4, total_timeout=2.0, max_tokens=64)


@pytest.fixture
def prompt() -> Prompt:
    """The smallest prompt."""
    return (PromptMessage("system", "Be brief."), PromptMessage("user", "Hello?"))


@pytest_asyncio.fixture
async def server() -> AsyncIterator[LLMServer]:
    """The scripted endpoint."""
    async with llm_server.running() as server:
        yield server


@pytest_asyncio.fixture
async def model(server: LLMServer) -> AsyncIterator[OpenAICompatible]:
    """A client of it."""
    model = OpenAICompatible(LLMEndpoint(base_url=server.url, model="fake"), SETTINGS)
    yield model
    await model.close()
