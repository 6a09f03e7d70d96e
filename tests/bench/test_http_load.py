"""The load clients against a server whose behaviour is known."""

import itertools
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from aiohttp import web

from bench.http_load import closed_loop, open_loop, percentile
from services.local.engines import free_port

REQUEST = b"POST /%s HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi"


@pytest_asyncio.fixture
async def port() -> AsyncIterator[int]:
    """Answers POST /{status} with that status."""

    async def answer(request: web.Request) -> web.Response:
        return web.Response(status=int(request.match_info["status"]), body=await request.read())

    application = web.Application()
    application.router.add_post("/{status}", answer)
    runner = web.AppRunner(application)
    await runner.setup()
    chosen = free_port()
    await web.TCPSite(runner, "127.0.0.1", chosen).start()
    yield chosen
    await runner.cleanup()


async def test_a_closed_loop_sends_every_request_once(port: int) -> None:
    load = await closed_loop(port, iter([REQUEST % b"200"] * 40), connections=4, seconds=5)
    assert (load.answered, load.bad) == (40, 0)
    assert load.rate > 0


async def test_a_closed_loop_ends_in_time(port: int) -> None:
    load = await closed_loop(port, itertools.repeat(REQUEST % b"200"), connections=2, seconds=0.3)
    assert 0.3 <= load.seconds < 2


async def test_refusals_are_counted_apart(port: int) -> None:
    requests = iter([REQUEST % b"200", REQUEST % b"503", REQUEST % b"200"])
    load = await closed_loop(port, requests, connections=1, seconds=5)
    assert (load.answered, load.bad) == (2, 1)


async def test_an_open_loop_keeps_its_rate(port: int) -> None:
    load = await open_loop(port, [REQUEST % b"200"] * 50, rate=100, connections=8)
    assert load.answered == 50
    assert load.seconds >= 0.49


async def test_waiting_for_a_free_connection_counts_as_latency(port: int) -> None:
    load = await open_loop(port, [REQUEST % b"200"] * 200, rate=1_000_000, connections=1)
    assert load.percentile(0.99) > 5 * load.percentile(0.01)


@pytest.mark.parametrize(("share", "value"), [(0.0, 1), (0.5, 3), (0.99, 5)])
def test_percentiles_are_values_that_occurred(share: float, value: float) -> None:
    assert percentile([5, 4, 3, 2, 1], share) == value


def test_nothing_has_no_percentile() -> None:
    assert percentile([], 0.5) != percentile([], 0.5)
