"""Every recorded webhook of every channel, as it is and damaged: over HTTP into the gateway, and on into PostgreSQL.

The damage is random but repeatable. Whatever comes in, authentic or not, nothing is answered with 5xx, and nothing that
the gateway took is refused by the database.
"""

import json
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode

import pytest
from redis.asyncio import Redis

from packages.core.config import TurnSettings
from packages.core.db.session import Database
from services.orchestrator.intake import Intake
from tests.channel_gateway.channels.twilio import conftest as twilio
from tests.channel_gateway.conftest import APP_SECRET, Gateway, MakeChannel, signature, stream_events

HERE = Path(__file__).parent / "channels"
DAMAGED_TIMES = 3
ODD: list[Any] = [None, True, -1, 0, 2**70, 1e308, "", "\u0000", "é" * 700, "\ud83d", [], {}, [None], {"id": {}}]
SECRET_TOKEN = "a-secret-token"
CREDENTIALS: dict[str, dict[str, Any]] = {
    "whatsapp": {},
    "instagram": {
        "account_id": "17841400000000001",
        "access_token": "token",
        "app_secret": APP_SECRET,
        "verify_token": "verify",
    },
    "telegram": {"bot_token": "700000001:" + "A" * 35, "secret_token": SECRET_TOKEN},
    "twilio": twilio.credentials(),
}
Sign = Callable[[bytes, str], dict[str, str]]


def sign_json(body: bytes, _url: str) -> dict[str, str]:
    """The headers of Meta's and Telegram's webhooks."""
    return {
        "Content-Type": "application/json",
        "X-Hub-Signature-256": signature(body, APP_SECRET),
        "X-Telegram-Bot-Api-Secret-Token": SECRET_TOKEN,
    }


def sign_form(body: bytes, url: str) -> dict[str, str]:
    """The headers of Twilio's webhooks."""
    return {"Content-Type": "application/x-www-form-urlencoded", "X-Twilio-Signature": twilio.sign(body, url)}


def payloads(channel: str) -> list[Path]:
    return sorted((HERE / channel / "payloads").glob("*.json"))


def bodies(channel: str) -> Iterator[bytes]:
    """Each payload once as it is, and some times damaged."""
    dice = random.Random(f"damage {channel}")
    for file in payloads(channel):
        recorded = json.loads(file.read_text())
        if channel == "twilio":
            body = recorded["request"]["body"]
            yield body.encode()
            for _ in range(DAMAGED_TIMES):
                yield damaged_form(body, dice)
            continue
        yield json.dumps(recorded).encode()
        for _ in range(DAMAGED_TIMES):
            yield json.dumps(damaged(recorded, dice)).encode()


def damaged(document: Any, dice: random.Random) -> Any:
    """One value replaced, doubled or removed."""
    copy = json.loads(json.dumps(document))
    places = [(holder, key) for holder in holders(copy) for key in keys(holder)]
    holder, key = dice.choice(places)
    match dice.randrange(3):
        case 0:
            holder[key] = dice.choice(ODD)
        case 1 if isinstance(holder, list):
            holder.append(holder[key])
        case _:
            del holder[key]
    return copy


def holders(node: Any) -> Iterator[Any]:
    if isinstance(node, dict | list) and node:
        yield node
        for child in node.values() if isinstance(node, dict) else node:
            yield from holders(child)


def keys(holder: Any) -> list[Any]:
    return list(holder) if isinstance(holder, dict) else list(range(len(holder)))


def damaged_form(body: str, dice: random.Random) -> bytes:
    """One field replaced, doubled or removed."""
    fields = parse_qsl(body, keep_blank_values=True)
    place = dice.randrange(len(fields))
    name, value = fields[place]
    fields[place : place + 1] = dice.choice(
        [[], [(name, "")], [(name, "\x00é" * 300)], [(name, value), (name, "other")], [("", value)]]
    )
    return urlencode(fields).encode()


@pytest.mark.timeout(300)
@pytest.mark.parametrize("channel", CREDENTIALS)
async def test_is_taken_and_stored_or_refused_as_what_it_is(
    gateway: Gateway, redis: Redis, database: Database, make_channel: MakeChannel, channel: str
) -> None:
    config = await make_channel(channel, CREDENTIALS[channel])
    path = f"/webhooks/{channel}/{config}"
    sign: Sign = sign_form if channel == "twilio" else sign_json
    url = gateway.app.state.parts.settings.gateway_base_url + path
    intake = Intake(database, redis, TurnSettings(), lambda _seconds: None)
    sent = 0
    for body in bodies(channel):
        answer = await gateway.call("POST", path, data=body, headers=sign(body, url))
        assert answer.status in {200, 400}, (answer.status, answer.body, body)
        sent += 1
        if sent % 100 == 0:
            await store(intake, redis)
    await store(intake, redis)
    assert sent == len(payloads(channel)) * (DAMAGED_TIMES + 1) > 100


async def store(intake: Intake, redis: Redis) -> None:
    """Take in what is on the stream; the database must refuse none of it."""
    events = await stream_events(redis)
    taken = await intake.take_all(events) if events else []
    refused = [(item.external_id, item.reason) for item in taken if item.state == "failed"]
    assert refused == []
    await redis.delete("parley:inbound")
