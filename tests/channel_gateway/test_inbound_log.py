"""The durable append with each engine away: what is acknowledged is somewhere, what is nowhere is refused."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import msgspec
import pytest
from redis.asyncio import Redis

from packages.core import streams
from packages.core.crypto import derive_key
from packages.core.db.session import Database
from packages.core.domain.messages import InboundEvent
from packages.core.errors import Unavailable
from services.channel_gateway.inbound_log import InboundLog, encode, load_script, seen_key
from services.channel_gateway.pipelined_redis import PipelinedRedis
from services.local.engines import free_port
from tests.channel_gateway.conftest import (
    SECRET_KEY,
    MakeChannel,
    Orchestrator,
    gateway_settings,
    running_gateway,
    stream_events,
    whatsapp_batch,
    whatsapp_text,
)
from tests.conftest import Engines


def event(external_id: str = "wamid.1", **more: Any) -> InboundEvent:
    return InboundEvent(
        tenant_id="t", channel_config_id="c", external_id=external_id, kind="other", ignored="x", **more
    )


@asynccontextmanager
async def inbound_log(engines: Engines, redis_url: str | None = None, **more: Any) -> AsyncIterator[InboundLog]:
    settings = gateway_settings(engines, **({"orchestrator_url": f"http://127.0.0.1:{free_port()}"} | more))
    link = PipelinedRedis(redis_url or engines.redis_url, timeout=0.5, prepare=load_script)
    await link.start()
    async with aiohttp.ClientSession() as http:
        yield InboundLog(link, http, settings)
    await link.close()


class TestAppend:
    async def test_new_events_are_appended_once(self, engines: Engines, redis: Redis) -> None:
        async with inbound_log(engines) as log:
            await log.append([event("a"), event("b"), event("a")])
            await log.append([event("b"), event("c")])
        assert [entry.external_id for entry in await stream_events(redis)] == ["a", "b", "c"]

    async def test_ids_are_remembered_for_a_while(self, engines: Engines, redis: Redis) -> None:
        async with inbound_log(engines, intake={"dedupe_seconds": 100}) as log:
            await log.append([event()])
        assert 0 < await redis.ttl(seen_key(event())) <= 100

    async def test_same_id_on_another_account_is_another_event(self, engines: Engines, redis: Redis) -> None:
        other = InboundEvent(tenant_id="t", channel_config_id="d", external_id="wamid.1", kind="other", ignored="x")
        async with inbound_log(engines) as log:
            await log.append([event(), other])
        assert len(await stream_events(redis)) == 2

    async def test_nothing_to_append(self, engines: Engines, redis: Redis) -> None:
        async with inbound_log(engines) as log:
            await log.append([])
        assert await stream_events(redis) == []

    async def test_forgotten_script_is_sent_again(self, engines: Engines, redis: Redis) -> None:
        async with inbound_log(engines) as log:
            await redis.script_flush()
            await log.append([event()])
            await log.append([event("b")])
        assert len(await stream_events(redis)) == 2

    async def test_full_backlog_is_refused(self, engines: Engines, redis: Redis, orchestrator: Orchestrator) -> None:
        limit = {"max_backlog": 2}
        async with inbound_log(engines, intake=limit, orchestrator_url=orchestrator.url) as log:
            await log.append([event("a"), event("b")])
            with pytest.raises(Unavailable):
                await log.append([event("c")])
        assert orchestrator.batches == []
        assert len(await stream_events(redis)) == 2

    async def test_failure_in_the_middle_does_not_mark_what_was_not_appended(
        self, engines: Engines, redis: Redis
    ) -> None:
        await redis.set(streams.INBOUND, "of the wrong type")
        async with inbound_log(engines) as log:
            with pytest.raises(Unavailable):
                await log.append([event()])
            await redis.delete(streams.INBOUND)
            await log.append([event()])
        assert len(await stream_events(redis)) == 1


class TestFallback:
    async def test_without_redis_the_orchestrator_takes_the_events(
        self, engines: Engines, orchestrator: Orchestrator
    ) -> None:
        dead = f"redis://127.0.0.1:{free_port()}/0"
        async with inbound_log(engines, dead, orchestrator_url=orchestrator.url) as log:
            await log.append([event("a"), event("b")])
        (batch,) = orchestrator.batches
        events = msgspec.convert(batch["events"], list[InboundEvent])
        assert [item.external_id for item in events] == ["a", "b"]
        assert orchestrator.keys == [derive_key(SECRET_KEY, "service").hex()]

    @pytest.mark.parametrize("status", [200, 401, 500, 503])
    async def test_only_202_counts(self, engines: Engines, orchestrator: Orchestrator, status: int) -> None:
        orchestrator.status = status
        dead = f"redis://127.0.0.1:{free_port()}/0"
        async with inbound_log(engines, dead, orchestrator_url=orchestrator.url) as log:
            with pytest.raises(Unavailable):
                await log.append([event()])

    async def test_hanging_redis_counts_as_away(self, engines: Engines, orchestrator: Orchestrator) -> None:
        async with (
            hanging_after_hello(engines) as url,
            inbound_log(engines, url, orchestrator_url=orchestrator.url) as log,
            asyncio.timeout(3),
        ):
            await log.append([event()])
        assert len(orchestrator.batches) == 1

    async def test_redis_that_refuses_writes(self, engines: Engines, redis: Redis, orchestrator: Orchestrator) -> None:
        await redis.config_set("min-replicas-to-write", 1)
        try:
            async with inbound_log(engines, orchestrator_url=orchestrator.url) as log:
                await log.append([event()])
        finally:
            await redis.config_set("min-replicas-to-write", 0)
        assert len(orchestrator.batches) == 1


@asynccontextmanager
async def hanging_after_hello(engines: Engines) -> AsyncIterator[str]:
    """A proxy to the real Redis that goes silent after the script is loaded."""
    host, port = "127.0.0.1", int(engines.redis_url.rsplit(":", 1)[1].split("/")[0])

    async def proxy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        upstream, downstream = await asyncio.open_connection(host, port)
        try:
            while data := await reader.read(65_536):
                if b"EVAL" in data:
                    continue
                downstream.write(data)
                writer.write(await upstream.read(65_536))
        finally:
            downstream.close()
            writer.close()

    server = await asyncio.start_server(proxy, host, 0)
    password = engines.redis_url.split(":", 2)[2].split("@")[0]
    yield f"redis://:{password}@{host}:{server.sockets[0].getsockname()[1]}/0"
    server.close()


class TestGatewayWithoutRedis:
    async def test_fallback_then_refusal(
        self, engines: Engines, database: Database, orchestrator: Orchestrator, make_channel: MakeChannel
    ) -> None:
        config_id = await make_channel()
        dead = {"url": f"redis://127.0.0.1:{free_port()}/0"}
        settings = gateway_settings(engines, redis=dead, orchestrator_url=orchestrator.url)
        async with running_gateway(settings) as gateway:
            path = f"/webhooks/whatsapp/{config_id}"
            phone = "200000000000201"
            batch = whatsapp_batch([(phone, "wamid.1", "a"), (phone, "wamid.2", "b")])
            assert (await gateway.post(path, batch)).status == 200
            assert [len(taken["events"]) for taken in orchestrator.batches] == [2]
            orchestrator.status = 503
            refused = await gateway.post(path, whatsapp_text(wamid="wamid.3"))
            assert refused.status == 503
            assert int(refused.headers["Retry-After"]) > 0
            assert (await gateway.call("GET", "/readyz")).status == 503


@pytest.mark.parametrize(
    ("text", "kept"), [("a\x00b", "ab"), ("\\u0000", "\\u0000"), ("\\\x00", "\\"), ("plain", "plain")]
)
def test_encode_leaves_out_nul_and_nothing_else(text: str, kept: str) -> None:
    decoded = msgspec.json.decode(encode(event(raw={"a": [text], text: 1})), type=InboundEvent)
    assert decoded.raw == {"a": [kept], kept: 1}
