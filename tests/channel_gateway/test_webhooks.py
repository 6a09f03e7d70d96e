"""Webhooks over real HTTP: what is acknowledged, what is refused, and what reaches the stream."""

import asyncio

import pytest
from redis.asyncio import Redis

from packages.core.db.session import Database
from tests.channel_gateway.conftest import (
    APP_SECRET,
    META_SECRET,
    Gateway,
    MakeChannel,
    signature,
    stream_events,
    whatsapp_batch,
    whatsapp_text,
)
from tests.factories.accounts import TenantWithBrand, make_tenant


class TestPost:
    async def test_signed_message_reaches_the_stream(
        self, gateway: Gateway, redis: Redis, make_channel: MakeChannel, tenant: TenantWithBrand
    ) -> None:
        config_id = await make_channel()
        response = await gateway.post(f"/webhooks/whatsapp/{config_id}", whatsapp_text("Where is my order?"))
        assert response.status == 200
        (event,) = await stream_events(redis)
        assert event.message is not None
        assert event.message.text == "Where is my order?"
        assert event.message.channel_config_id == event.channel_config_id == config_id
        assert (event.tenant_id, event.external_id, event.kind) == (str(tenant.tenant_id), "wamid.1", "message")
        assert event.received_at is not None
        assert event.traceparent is not None

    @pytest.mark.parametrize(
        "headers",
        [
            {},
            {"X-Hub-Signature-256": "sha256=" + "0" * 64},
            {"X-Hub-Signature-256": signature(whatsapp_text("another body"), APP_SECRET)},
            {"X-Hub-Signature-256": "sha256=éé"},
        ],
        ids=["missing", "wrong", "of another body", "not ASCII"],
    )
    async def test_forged_is_refused_and_not_stored(
        self, gateway: Gateway, redis: Redis, make_channel: MakeChannel, headers: dict[str, str]
    ) -> None:
        config_id = await make_channel()
        response = await gateway.post(f"/webhooks/whatsapp/{config_id}", whatsapp_text(), None, **headers)
        assert response.status == 401
        assert await stream_events(redis) == []

    async def test_repeat_is_acknowledged_and_stored_once(
        self, gateway: Gateway, redis: Redis, make_channel: MakeChannel
    ) -> None:
        config_id = await make_channel()
        statuses = [(await gateway.post(f"/webhooks/whatsapp/{config_id}", whatsapp_text())).status for _ in range(3)]
        assert statuses == [200, 200, 200]
        assert len(await stream_events(redis)) == 1
