"""Webhooks over real HTTP: what is acknowledged, what is refused, and what reaches the stream."""

import asyncio
import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis.asyncio import Redis

from packages.core import streams
from packages.core.db.base import new_id
from packages.core.db.session import Database
from packages.core.db.tables.channels import ChannelConfig
from tests.channel_gateway.conftest import (
    APP_SECRET,
    META_SECRET,
    Gateway,
    MakeChannel,
    as_uuid,
    signature,
    stream_events,
    whatsapp_batch,
    whatsapp_credentials,
    whatsapp_text,
)
from tests.factories.accounts import TenantWithBrand, make_tenant

FIRST, SECOND, UNKNOWN = "200000000000201", "200000000000202", "200000000000999"


def chunks(*parts: bytes) -> Any:
    """A body without a length, sent in chunks."""

    async def send() -> Any:
        for part in parts:
            yield part

    return send()


class TestAccept:
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

    async def test_body_is_empty_and_names_the_request(self, gateway: Gateway, make_channel: MakeChannel) -> None:
        response = await gateway.post(f"/webhooks/whatsapp/{await make_channel()}", whatsapp_text())
        assert response.body == b""
        assert response.headers["X-Request-Id"]

    async def test_repeat_is_acknowledged_and_stored_once(
        self, gateway: Gateway, redis: Redis, make_channel: MakeChannel
    ) -> None:
        config_id = await make_channel()
        answers = [await gateway.post(f"/webhooks/whatsapp/{config_id}", whatsapp_text()) for _ in range(3)]
        assert [answer.status for answer in answers] == [200, 200, 200]
        assert len(await stream_events(redis)) == 1

    async def test_concurrent_repeats_are_stored_once(
        self, gateway: Gateway, redis: Redis, make_channel: MakeChannel
    ) -> None:
        config_id = await make_channel()
        await asyncio.gather(*(gateway.post(f"/webhooks/whatsapp/{config_id}", whatsapp_text()) for _ in range(20)))
        assert len(await stream_events(redis)) == 1

    async def test_repeat_within_one_batch_is_stored_once(
        self, gateway: Gateway, redis: Redis, make_channel: MakeChannel
    ) -> None:
        body = whatsapp_batch([(FIRST, "wamid.1", "a"), (FIRST, "wamid.1", "a"), (FIRST, "wamid.2", "b")])
        await gateway.post(f"/webhooks/whatsapp/{await make_channel()}", body)
        assert [event.external_id for event in await stream_events(redis)] == ["wamid.1", "wamid.2"]

    async def test_bad_item_does_not_block_the_others(
        self, gateway: Gateway, redis: Redis, make_channel: MakeChannel
    ) -> None:
        document = json.loads(whatsapp_batch([(FIRST, "wamid.1", "a"), (FIRST, "wamid.2", "b")]))
        document["entry"][0]["changes"][0]["value"]["messages"][0]["text"] = {"body": 7}
        response = await gateway.post(f"/webhooks/whatsapp/{await make_channel()}", json.dumps(document).encode())
        assert response.status == 200
        broken, good = await stream_events(redis)
        assert broken.ignored is not None
        assert broken.ignored.startswith("malformed")
        assert good.message is not None

    async def test_unknown_event_is_kept_as_ignored(
        self, gateway: Gateway, redis: Redis, make_channel: MakeChannel
    ) -> None:
        change = {"field": "holograms", "value": {"metadata": {"phone_number_id": FIRST}}}
        body = json.dumps({"object": "whatsapp_business_account", "entry": [{"id": "1", "changes": [change]}]})
        response = await gateway.post(f"/webhooks/whatsapp/{await make_channel()}", body.encode())
        assert response.status == 200
        (event,) = await stream_events(redis)
        assert "holograms" in (event.ignored or "")

    async def test_nul_characters_do_not_reach_the_database(
        self, gateway: Gateway, redis: Redis, make_channel: MakeChannel
    ) -> None:
        await gateway.post(f"/webhooks/whatsapp/{await make_channel()}", whatsapp_text("a\x00b \\u0000"))
        (event,) = await stream_events(redis)
        assert event.message is not None
        assert event.message.text == "ab \\u0000"
        assert b"\x00" not in json.dumps(event.raw).encode()

    async def test_overlong_id_is_hashed(self, gateway: Gateway, redis: Redis, make_channel: MakeChannel) -> None:
        await gateway.post(f"/webhooks/whatsapp/{await make_channel()}", whatsapp_text(wamid="w" * 5000))
        (event,) = await stream_events(redis)
        assert event.external_id.startswith("long:")
        assert event.message is not None
        assert event.message.external_id == event.external_id


class TestRefuse:
    @pytest.mark.parametrize(
        "headers",
        [
            {},
            {"X-Hub-Signature-256": "sha256=" + "0" * 64},
            {"X-Hub-Signature-256": signature(whatsapp_text("another body"), APP_SECRET)},
            {"X-Hub-Signature-256": "sha256=éé"},
            {"X-Hub-Signature": "sha1=2a8ffa33286cea13d7b0461e57a7bbb8e617a3fa"},
        ],
        ids=["missing", "wrong", "of another body", "not ASCII", "SHA-1 alone"],
    )
    async def test_forged(
        self, gateway: Gateway, redis: Redis, make_channel: MakeChannel, headers: dict[str, str]
    ) -> None:
        config_id = await make_channel()
        response = await gateway.post(f"/webhooks/whatsapp/{config_id}", whatsapp_text(), None, **headers)
        assert response.status == 401
        assert response.json["error"]["code"] == "bad_signature"
        assert await stream_events(redis) == []

    async def test_account_without_a_secret_accepts_no_empty_one(
        self, gateway: Gateway, make_channel: MakeChannel
    ) -> None:
        config_id = await make_channel(credentials={"app_secret": ""})
        body = whatsapp_text()
        headers = {"X-Hub-Signature-256": signature(body, "")}
        response = await gateway.post(f"/webhooks/whatsapp/{config_id}", body, None, **headers)
        assert response.status == 401

    @pytest.mark.parametrize("body", [b'{"object":', b"", b"[]", b"\xff", b"[" * 100_000], ids=range(5))
    async def test_malformed_but_authentic_is_in_the_ledger(
        self, gateway: Gateway, redis: Redis, make_channel: MakeChannel, body: bytes
    ) -> None:
        config_id = await make_channel()
        for _ in range(2):
            response = await gateway.post(f"/webhooks/whatsapp/{config_id}", body)
            assert response.status == 400
        (event,) = await stream_events(redis)
        assert (event.kind, event.channel_config_id) == ("malformed", config_id)
        assert (event.ignored or "").startswith("malformed")

    async def test_unknown_webhook(self, gateway: Gateway, redis: Redis) -> None:
        for path in (f"whatsapp/{new_id()}", "whatsapp/not-an-id", "whatsapp/", "pigeon/x", "", "meta/x"):
            assert (await gateway.post(f"/webhooks/{path}", whatsapp_text())).status == 404
        assert await stream_events(redis) == []

    async def test_config_of_another_channel(self, gateway: Gateway, make_channel: MakeChannel) -> None:
        config_id = await make_channel("webchat")
        assert (await gateway.post(f"/webhooks/whatsapp/{config_id}", whatsapp_text())).status == 404

    async def test_web_chat_has_no_webhook(self, gateway: Gateway, make_channel: MakeChannel) -> None:
        config_id = await make_channel("webchat")
        assert (await gateway.post(f"/webhooks/webchat/{config_id}", b"{}")).status == 401

    async def test_disabled_config(self, gateway: Gateway, make_channel: MakeChannel) -> None:
        config_id = await make_channel(status="disabled")
        assert (await gateway.post(f"/webhooks/whatsapp/{config_id}", whatsapp_text())).status == 404

    async def test_announced_body_of_five_megabytes(
        self, gateway: Gateway, redis: Redis, make_channel: MakeChannel
    ) -> None:
        body = b" " * (5 * 1024 * 1024)
        response = await gateway.post(f"/webhooks/whatsapp/{await make_channel()}", body)
        assert response.status == 413
        assert await stream_events(redis) == []

    async def test_unannounced_body_of_five_megabytes(self, gateway: Gateway, make_channel: MakeChannel) -> None:
        url = f"{gateway.url}/webhooks/whatsapp/{await make_channel()}"
        async with gateway.http.post(url, data=chunks(*[b" " * 65_536] * 80)) as response:
            assert response.status == 413

    async def test_chunked_body_within_the_limit(
        self, gateway: Gateway, redis: Redis, make_channel: MakeChannel
    ) -> None:
        body = whatsapp_text()
        url = f"{gateway.url}/webhooks/whatsapp/{await make_channel()}"
        headers = {"X-Hub-Signature-256": signature(body, APP_SECRET)}
        async with gateway.http.post(url, data=chunks(body[:10], body[10:]), headers=headers) as response:
            assert response.status == 200
        assert len(await stream_events(redis)) == 1

    async def test_other_methods(self, gateway: Gateway, make_channel: MakeChannel) -> None:
        async with gateway.http.delete(f"{gateway.url}/webhooks/whatsapp/{await make_channel()}") as response:
            assert response.status == 405
            assert response.headers["Allow"] == "GET, POST"


class TestRoute:
    async def test_item_for_another_account_of_the_same_app(
        self, gateway: Gateway, redis: Redis, make_channel: MakeChannel, database: Database
    ) -> None:
        other_tenant = await make_tenant(database, "globex")
        called = await make_channel()
        other = await make_channel(credentials=whatsapp_credentials(SECOND), owner=other_tenant)
        body = whatsapp_batch([(FIRST, "wamid.1", "for acme"), (SECOND, "wamid.2", "for globex")])
        assert (await gateway.post(f"/webhooks/whatsapp/{called}", body)).status == 200
        first, second = await stream_events(redis)
        assert first.channel_config_id == called
        assert (second.channel_config_id, second.tenant_id) == (other, str(other_tenant.tenant_id))

    async def test_item_for_an_account_of_another_app(
        self, gateway: Gateway, redis: Redis, make_channel: MakeChannel, database: Database
    ) -> None:
        called = await make_channel()
        victim = whatsapp_credentials(SECOND, "a-secret-of-their-own")
        await make_channel(credentials=victim, owner=await make_tenant(database, "globex"))
        body = whatsapp_batch([(SECOND, "wamid.1", "forged for globex"), (FIRST, "wamid.2", "own")])
        assert (await gateway.post(f"/webhooks/whatsapp/{called}", body)).status == 200
        refused, own = await stream_events(redis)
        assert (refused.channel_config_id, refused.message) == (called, None)
        assert "another app" in (refused.ignored or "")
        assert own.message is not None

    async def test_item_for_an_unknown_account(self, gateway: Gateway, redis: Redis, make_channel: MakeChannel) -> None:
        called = await make_channel()
        await gateway.post(f"/webhooks/whatsapp/{called}", whatsapp_text(phone_number_id=UNKNOWN))
        (event,) = await stream_events(redis)
        assert (event.channel_config_id, event.message) == (called, None)
        assert UNKNOWN in (event.ignored or "")

    async def test_refused_item_does_not_shadow_the_real_one(
        self, gateway: Gateway, redis: Redis, make_channel: MakeChannel
    ) -> None:
        called = await make_channel()
        await gateway.post(f"/webhooks/whatsapp/{called}", whatsapp_text(phone_number_id=UNKNOWN, wamid="wamid.7"))
        await gateway.post(f"/webhooks/whatsapp/{called}", whatsapp_text(wamid="wamid.7"))
        messages = [event for event in await stream_events(redis) if event.message]
        assert len(messages) == 1


class TestOperatorsMetaApp:
    async def test_items_go_to_their_tenants(
        self, gateway: Gateway, redis: Redis, make_channel: MakeChannel, database: Database
    ) -> None:
        first = await make_channel(credentials={"app_secret": ""})
        second = await make_channel(
            credentials=whatsapp_credentials(SECOND, ""), owner=await make_tenant(database, "globex")
        )
        batch = [(FIRST, "wamid.1", "a"), (SECOND, "wamid.2", "b"), (UNKNOWN, "wamid.3", "nobody's")]
        response = await gateway.post("/webhooks/meta", whatsapp_batch(batch), META_SECRET)
        assert response.status == 200
        assert [event.channel_config_id for event in await stream_events(redis)] == [first, second]

    async def test_signature_of_a_tenants_app_does_not_count(self, gateway: Gateway, make_channel: MakeChannel) -> None:
        await make_channel()
        assert (await gateway.post("/webhooks/meta", whatsapp_text(), APP_SECRET)).status == 401

    async def test_own_url_of_an_account_without_its_own_app(
        self, gateway: Gateway, redis: Redis, make_channel: MakeChannel
    ) -> None:
        config_id = await make_channel(credentials={"app_secret": ""})
        response = await gateway.post(f"/webhooks/whatsapp/{config_id}", whatsapp_text(), META_SECRET)
        assert response.status == 200
        assert len(await stream_events(redis)) == 1

    @pytest.mark.parametrize(
        ("body", "status"), [(b"{", 400), (b'{"object": "page"}', 200), (b'{"object": 7}', 400), (b"{}", 200)]
    )
    async def test_what_belongs_to_nobody(self, gateway: Gateway, redis: Redis, body: bytes, status: int) -> None:
        assert (await gateway.post("/webhooks/meta", body, META_SECRET)).status == status
        assert await stream_events(redis) == []


class TestHandshake:
    QUERY = {"hub.mode": "subscribe", "hub.challenge": "1158201444"}

    @pytest.mark.parametrize(
        ("token", "status"),
        [("the-brands-token", 200), ("the-operators-token", 200), ("wrong", 403), ("", 403), ("é", 403)],
    )
    async def test_token(self, gateway: Gateway, make_channel: MakeChannel, token: str, status: int) -> None:
        path = f"/webhooks/whatsapp/{await make_channel()}"
        response = await gateway.call("GET", path, params={**self.QUERY, "hub.verify_token": token})
        assert response.status == status
        if status == 200:
            assert response.body == b"1158201444"
            assert response.headers["Content-Type"].startswith("text/plain")

    async def test_operators_app(self, gateway: Gateway) -> None:
        params = {**self.QUERY, "hub.verify_token": "the-operators-token"}
        assert (await gateway.call("GET", "/webhooks/meta", params=params)).body == b"1158201444"

    async def test_without_mode(self, gateway: Gateway, make_channel: MakeChannel) -> None:
        path = f"/webhooks/whatsapp/{await make_channel()}"
        response = await gateway.call(
            "GET", path, params={"hub.verify_token": "the-brands-token", "hub.challenge": "1"}
        )
        assert response.status == 403


class TestDirectory:
    async def test_change_is_heard_at_once(
        self, gateway: Gateway, redis: Redis, make_channel: MakeChannel, database: Database
    ) -> None:
        config_id = await make_channel()
        assert (await gateway.post(f"/webhooks/whatsapp/{config_id}", whatsapp_text())).status == 200
        async with database.across_tenants() as session:
            row = await session.get(ChannelConfig, as_uuid(config_id))
            assert row is not None
            row.status = "disabled"
        await streams.announce(redis, streams.CHANNELS_CHANGED, config_id)
        for _ in range(100):
            status = (await gateway.post(f"/webhooks/whatsapp/{config_id}", whatsapp_text())).status
            if status == 404:
                break
            await asyncio.sleep(0.02)
        assert status == 404

    async def test_unreadable_credentials_do_not_harm_others(self, gateway: Gateway, make_channel: MakeChannel) -> None:
        broken = await make_channel(credentials={"phone_number_id": SECOND, "access_token": None})
        assert (await gateway.post(f"/webhooks/whatsapp/{broken}", whatsapp_text())).status == 404
        assert (await gateway.post(f"/webhooks/whatsapp/{await make_channel()}", whatsapp_text())).status == 200


MUTATIONS = st.lists(
    st.tuples(st.floats(0, 1), st.one_of(st.binary(max_size=6), st.sampled_from([b"null", b"[]", b"{}", b"1e999"]))),
    min_size=1,
    max_size=6,
)


class TestAnyInput:
    @settings(
        max_examples=60,
        deadline=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    )
    @given(mutations=MUTATIONS)
    async def test_never_a_crash(
        self, gateway: Gateway, make_channel: MakeChannel, tenant: TenantWithBrand, mutations: list[tuple[float, bytes]]
    ) -> None:
        known = gateway.app.state.parts.directory.active()
        config_id = known[0].id if known else await make_channel()
        body = whatsapp_text()
        for place, piece in mutations:
            at = int(place * len(body))
            body = body[:at] + piece + body[at + len(piece) :]
        response = await gateway.post(f"/webhooks/whatsapp/{config_id}", body)
        assert response.status in {200, 400}
