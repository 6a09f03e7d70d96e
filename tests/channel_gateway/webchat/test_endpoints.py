"""Sessions, messages and origins of the web chat, over real HTTP."""

from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import jwt
import pytest
from redis.asyncio import Redis

from packages.core.crypto import derive_key
from packages.core.db.base import new_id
from packages.core.db.session import Database
from packages.core.db.tables.media import Media
from tests.channel_gateway.conftest import (
    SECRET_KEY,
    Gateway,
    MakeChannel,
    gateway_settings,
    running_gateway,
    stream_events,
)
from tests.channel_gateway.webchat.conftest import ORIGIN, Browser, Talk, begin_talk, open_browser
from tests.conftest import Engines
from tests.factories.accounts import TenantWithBrand
from tests.factories.media import PNG, make_ready

PREFLIGHT = {"Origin": ORIGIN, "Access-Control-Request-Method": "POST"}


class TestSessions:
    async def test_new_visitors_differ(self, gateway: Gateway, channel_id: str) -> None:
        first, second = [await open_browser(gateway, channel_id) for _ in range(2)]
        assert first.customer_id != second.customer_id

    async def test_a_token_resumes_its_visitor(self, gateway: Gateway, channel_id: str, browser: Browser) -> None:
        again = await open_browser(gateway, channel_id, session_token=browser.token)
        assert again.customer_id == browser.customer_id

    async def test_a_worthless_token_begins_anew(self, gateway: Gateway, channel_id: str, browser: Browser) -> None:
        again = await open_browser(gateway, channel_id, session_token="ey.ey.ey")
        assert again.customer_id != browser.customer_id

    async def test_without_a_body(self, gateway: Gateway, channel_id: str) -> None:
        assert (await gateway.call("POST", f"/webchat/{channel_id}/sessions")).status == 201

    async def test_unknown_web_chat(self, gateway: Gateway, make_channel: MakeChannel) -> None:
        for channel_id in (str(new_id()), "x", await make_channel("whatsapp")):
            assert (await gateway.call("POST", f"/webchat/{channel_id}/sessions")).status == 404


class TestTokens:
    @pytest.mark.parametrize("authorization", ["", "Bearer", "Bearer x", "Basic dTpw"])
    async def test_no_valid_token(self, gateway: Gateway, channel_id: str, authorization: str) -> None:
        headers = {"Authorization": authorization} if authorization else {}
        answer = await gateway.call("GET", f"/webchat/{channel_id}/messages", headers=headers)
        assert answer.status == 401

    async def test_token_of_another_web_chat(
        self, gateway: Gateway, browser: Browser, make_channel: MakeChannel
    ) -> None:
        other = await make_channel("webchat")
        answer = await gateway.call("GET", f"/webchat/{other}/messages", headers=browser.headers)
        assert answer.status == 401

    @pytest.mark.parametrize(
        ("key", "more"),
        [(b"another key of thirty-two bytes!!", {}), (None, {"exp": 1}), (None, {"exp": None})],
        ids=["forged", "too old", "endless"],
    )
    async def test_made_up_claims(
        self, gateway: Gateway, channel_id: str, browser: Browser, key: bytes | None, more: dict[str, Any]
    ) -> None:
        claims = {"sub": browser.customer_id, "aud": channel_id, "exp": 2**33, **more}
        claims = {name: value for name, value in claims.items() if value is not None}
        token = jwt.encode(claims, key or derive_key(SECRET_KEY, "webchat-session"), algorithm="HS256")
        headers = {"Authorization": f"Bearer {token}"}
        assert (await gateway.call("GET", f"/webchat/{channel_id}/messages", headers=headers)).status == 401


class TestWrite:
    async def test_message_reaches_the_stream(
        self, gateway: Gateway, channel_id: str, redis: Redis, tenant: TenantWithBrand
    ) -> None:
        browser = await open_browser(gateway, channel_id, name=" Alex ")
        answer = await browser.write("Do you ship to Norway?")
        assert (answer.status, answer.json["client_id"]) == (202, "c1")
        (event,) = await stream_events(redis)
        assert (event.tenant_id, event.channel_config_id) == (str(tenant.tenant_id), channel_id)
        assert event.external_id == f"{browser.customer_id}:c1"
        assert event.message is not None
        assert event.message.text == "Do you ship to Norway?"
        assert (event.message.sender.external_id, event.message.sender.name) == (browser.customer_id, "Alex")

    async def test_repeat_is_accepted_and_stored_once(self, browser: Browser, redis: Redis) -> None:
        assert [(await browser.write("hello")).status for _ in range(3)] == [202] * 3
        assert len(await stream_events(redis)) == 1

    @pytest.mark.parametrize(
        ("text", "client_id"),
        [
            ("", "c1"),
            (" \n\t", "c1"),
            ("\x00", "c1"),
            ("x" * 4001, "c1"),
            (7, "c1"),
            ("x", ""),
            ("x", "a b"),
            ("x", "c" * 65),
            ("x", None),
        ],
    )
    async def test_malformed(self, browser: Browser, redis: Redis, text: Any, client_id: Any) -> None:
        assert (await browser.write(text, client_id)).status == 422
        assert await stream_events(redis) == []

    async def test_odd_characters_are_kept_or_replaced(self, browser: Browser, redis: Redis) -> None:
        headers = {**browser.headers, "Content-Type": "application/json"}
        body = b'{"client_id": "c1", "text": "a\\u0000b \\ud83d\\ude4f \xf0\x9f\x99\x8f"}'
        answer = await browser.gateway.call("POST", f"{browser.base}/messages", data=body, headers=headers)
        assert answer.status == 202
        (event,) = await stream_events(redis)
        assert event.message is not None
        assert event.message.text == "ab 🙏 🙏"

    async def test_too_many_at_once(self, browser: Browser, redis: Redis) -> None:
        answers = [await browser.write("hello", f"c{number}") for number in range(12)]
        assert [answer.status for answer in answers] == [202] * 10 + [429] * 2
        assert int(answers[-1].headers["Retry-After"]) >= 1
        assert len(await stream_events(redis)) == 10


class TestRead:
    async def test_both_sides_in_order(self, browser: Browser, talk: Talk) -> None:
        citation = {"chunk_id": "k", "source_id": "s", "title": "Shipping", "quote": "2 days", "secret": "x"}
        await talk.add("customer", "When?", external_id=f"{browser.customer_id}:c1")
        reply = await talk.add("bot", "In two days.", citations=[citation], context=[{"text": "internal"}])
        question, answer = await browser.read()
        assert (question["author"], question["client_id"]) == ("customer", "c1")
        assert (answer["id"], answer["author"], answer["text"]) == (str(reply.id), "bot", "In two days.")
        assert answer["citations"] == [{key: citation[key] for key in ("chunk_id", "source_id", "title", "quote")}]
        assert answer["status"] == "sent"
        assert "context" not in answer

    async def test_after(self, browser: Browser, talk: Talk) -> None:
        await talk.add("customer", "one")
        await talk.add("bot", "two")
        first, second = await browser.read()
        assert await browser.read(first["seq"]) == [second]
        assert await browser.read(second["seq"]) == []

    @pytest.mark.parametrize("after", [-1, 2**63, "x"])
    async def test_impossible_number(self, browser: Browser, after: Any) -> None:
        path = f"{browser.base}/messages?after={after}"
        assert (await browser.gateway.call("GET", path, headers=browser.headers)).status == 422

    @pytest.mark.parametrize("status", ["void", "failed"])
    async def test_what_was_never_sent_is_not_shown(self, browser: Browser, talk: Talk, status: str) -> None:
        await talk.add("bot", "overtaken", status=status)
        await talk.add("customer", "next")
        assert [item["text"] for item in await browser.read()] == ["next"]

    async def test_notes_are_not_shown(self, browser: Browser, talk: Talk) -> None:
        await talk.add("agent", "difficult person", direction="internal", status="received")
        assert await browser.read() == []

    async def test_reply_on_its_way_holds_back_what_follows(self, browser: Browser, talk: Talk) -> None:
        await talk.add("customer", "one")
        reply = await talk.add("bot", "two", status="queued")
        await talk.add("customer", "three")
        assert [item["text"] for item in await browser.read()] == ["one"]
        await talk.settle(reply, "sent")
        assert [item["text"] for item in await browser.read()] == ["one", "two", "three"]

    async def test_other_visitors_conversation(
        self, gateway: Gateway, channel_id: str, talk: Talk, database: Database, tenant: TenantWithBrand
    ) -> None:
        await talk.add("customer", "mine")
        other = await open_browser(gateway, channel_id)
        assert await other.read() == []
        others = await begin_talk(database, tenant, other)
        await others.add("customer", "theirs")
        assert [item["text"] for item in await other.read()] == ["theirs"]

    async def test_unknown_visitor_has_no_conversation(self, browser: Browser) -> None:
        assert await browser.read() == []


class TestOrigins:
    @pytest.mark.parametrize(
        ("origin", "status"),
        [(ORIGIN, 201), (ORIGIN.upper(), 201), ("https://evil.example", 403), ("null", 403), (None, 201)],
    )
    async def test_origin(self, gateway: Gateway, channel_id: str, origin: str | None, status: int) -> None:
        headers = {"Origin": origin} if origin else {}
        answer = await gateway.call("POST", f"/webchat/{channel_id}/sessions", headers=headers)
        assert answer.status == status
        allowed = origin if status == 201 else None
        assert answer.headers.get("Access-Control-Allow-Origin") == allowed

    async def test_own_pages_are_always_allowed(self, gateway: Gateway, make_channel: MakeChannel) -> None:
        path = f"/webchat/{await make_channel('webchat')}/sessions"
        assert (await gateway.call("POST", path, headers={"Origin": gateway.url})).status == 201

    async def test_any_page(self, gateway: Gateway, make_channel: MakeChannel) -> None:
        path = f"/webchat/{await make_channel('webchat', {'allowed_origins': ['*']})}/sessions"
        assert (await gateway.call("POST", path, headers={"Origin": "https://any.example"})).status == 201

    async def test_preflight(self, gateway: Gateway, channel_id: str) -> None:
        answer = await gateway.call("OPTIONS", f"/webchat/{channel_id}/messages", headers=PREFLIGHT)
        assert answer.status == 204
        assert answer.headers["Access-Control-Allow-Origin"] == ORIGIN
        assert "Authorization" in answer.headers["Access-Control-Allow-Headers"]

    async def test_preflight_of_a_foreign_page(self, gateway: Gateway, channel_id: str) -> None:
        headers = PREFLIGHT | {"Origin": "https://evil.example"}
        assert (await gateway.call("OPTIONS", f"/webchat/{channel_id}/messages", headers=headers)).status == 403

    async def test_errors_can_be_read_by_the_page(self, gateway: Gateway, channel_id: str) -> None:
        answer = await gateway.call("GET", f"/webchat/{channel_id}/messages", headers={"Origin": ORIGIN})
        assert answer.status == 401
        assert answer.headers["Access-Control-Allow-Origin"] == ORIGIN


async def test_sessions_of_one_address_are_limited(
    engines: Engines, gateway: Gateway, channel_id: str, database: Database
) -> None:
    settings = gateway_settings(engines, webchat={"session_burst": 2, "sessions_per_minute": 1})
    async with running_gateway(settings) as strict:
        path = f"/webchat/{channel_id}/sessions"
        answers = [(await strict.call("POST", path)).status for _ in range(3)]
    assert answers == [201, 201, 429]


class TestFiles:
    async def test_of_a_reply_are_shown_with_a_link(self, talk: Talk, gateway: Gateway) -> None:
        row = Media(
            tenant_id=talk.owner.tenant_id,
            conversation_id=talk.conversation_id,
            channel_config_id=UUID(talk.browser.base.rsplit("/", 1)[-1]),
            kind="image",
            direction="outbound",
        )
        async with talk.database.tenant(talk.owner.tenant_id) as session:
            session.add(row)
        named = {"kind": "image", "media_id": str(row.id)}
        elsewhere = {"kind": "document", "url": "https://shop.example/terms.pdf", "filename": "terms.pdf"}
        message = await talk.add("agent", "", content={"attachments": [named, elsewhere]})
        await make_ready(talk.database, gateway.app.state.parts.store, row, message_id=message.id)
        (shown,) = await talk.browser.read()
        own, other = shown["attachments"]
        assert (own["kind"], own["media_type"], own["filename"]) == ("image", "image/png", "photo.png")
        split = urlsplit(own["url"])
        answer = await gateway.call("GET", f"{split.path}?{split.query}")
        assert (answer.status, answer.body) == (200, PNG)
        assert other == elsewhere | {"media_type": None, "size": None}

    @pytest.mark.parametrize("author", ["customer", "agent"])
    async def test_that_are_not_here_are_left_out(self, talk: Talk, author: str) -> None:
        missing = {"kind": "image", "media_id": str(new_id())}
        await talk.add(author, "See here", content={"attachments": [missing]})
        assert [message["attachments"] for message in await talk.browser.read()] == [[]]
