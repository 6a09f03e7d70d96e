"""The stand-in for a model must be one that the engine believes."""

import asyncio
import time
from collections.abc import AsyncIterator
from uuid import uuid4

import httpx
import pytest
import pytest_asyncio

from bench import fake_llm
from packages.core.config import LLMEndpoint, LLMSettings
from packages.core.domain.tenants import BrandProfile
from packages.rag.documents import Hit
from services.orchestrator.engine import grounding, prompt
from services.orchestrator.engine.llm.openai_compatible import OpenAICompatible
from tests.bench.serving import served

QUESTION = "How long may I return things?"


@pytest.fixture
def hit() -> Hit:
    """What the knowledge says."""
    return Hit(
        chunk_id=uuid4(),
        source_id=uuid4(),
        source_version=1,
        position=0,
        title="Returns",
        text="Unopened bags can be returned within thirty days. Opened ones cannot.",
        headings=("Returns",),
        page=None,
        kind="text",
        score=1.0,
        dense=0.9,
        bm25=1.0,
        coverage=1.0,
    )


@pytest_asyncio.fixture
async def client(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a model that answers within 0.1 s."""
    monkeypatch.setattr(fake_llm, "FIRST_SECONDS", 0.04)
    monkeypatch.setattr(fake_llm, "PIECE_SECONDS", 0.002)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(fake_llm.app), base_url="http://llm/v1") as found:
        yield found


async def test_the_engine_believes_its_answer(hit: Hit) -> None:
    async with served("bench.fake_llm:app") as port:
        model = OpenAICompatible(LLMEndpoint(base_url=f"http://127.0.0.1:{port}/v1"), LLMSettings())
        brand = BrandProfile(id=str(uuid4()), tenant_id=str(uuid4()), name="Bench")
        completion = await model.complete(prompt.build(brand, [hit], QUESTION))
        await model.close()
    checked = grounding.ground(completion.text, [hit], "en")
    assert checked.text.startswith("Unopened bags can be returned within thirty days")
    assert len(checked.citations) == 1


async def test_a_whole_answer_takes_as_long_as_a_stream(client: httpx.AsyncClient) -> None:
    began = time.perf_counter()
    messages = [{"role": "system", "content": "Answer from the context.\n[1] Orders ship soon."}]
    answer = await client.post("/chat/completions", json={"model": "fake", "messages": messages})
    assert time.perf_counter() - began >= fake_llm.ideal_ms(40, 2) / 1000
    assert answer.json()["choices"][0]["message"]["content"] == "Orders ship soon. [1]"


async def test_without_a_passage_it_knows_nothing(client: httpx.AsyncClient) -> None:
    body = {"model": "fake", "messages": [{"role": "user", "content": "What?"}]}
    answer = await client.post("/chat/completions", json=body)
    assert answer.json()["choices"][0]["message"]["content"] == prompt.NO_ANSWER


async def test_vectors_are_of_length_one_and_alike_for_like_texts(client: httpx.AsyncClient) -> None:
    texts = ["returning a bag of beans", "a bag of beans returning", "shipping to Ireland"]
    rows = (await client.post("/embeddings", json={"input": texts, "dimensions": 64})).json()["data"]
    first, same, other = (row["embedding"] for row in rows)
    assert sum(value * value for value in first) == pytest.approx(1, abs=1e-3)
    assert first == same
    assert first != other


async def test_answers_do_not_wait_for_one_another(client: httpx.AsyncClient) -> None:
    body = {"model": "fake", "messages": [{"role": "user", "content": "What?"}]}
    began = time.perf_counter()
    await asyncio.gather(*(client.post("/chat/completions", json=body) for _ in range(10)))
    assert time.perf_counter() - began < 8 * fake_llm.ideal_ms(40, 2) / 1000
