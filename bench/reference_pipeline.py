"""The reference for whole turns: the least work that still has Parley's shape, in three processes.

    gateway        uvicorn bench.reference_pipeline:gateway   check, append unless seen, acknowledge
    orchestrator   python -m bench.reference_pipeline orchestrator   store, retrieve, ask the model, store the answer
    sender         python -m bench.reference_pipeline sender   post to the platform, mark as sent

No tenants, no retries, no guardrails, no leases: a floor for cost, not a design. REFERENCE_REDIS, REFERENCE_POSTGRES,
REFERENCE_LLM and REFERENCE_GRAPH are its URLs.
"""

import asyncio
import hashlib
import hmac
import os
import sys
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import aiohttp
import asyncpg
import hiredis
import msgspec
import numpy as np
import uvloop
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from bench.payloads import APP_SECRET
from bench.raw_redis import RawRedis

REDIS, POSTGRES, LLM, GRAPH = (
    os.environ.get(f"REFERENCE_{name}", "") for name in ("REDIS", "POSTGRES", "LLM", "GRAPH")
)
INBOUND, OUTBOUND = "reference:inbound", "reference:outbound"
PATH = "/webhook"
SCRIPT = b"""
if redis.call('SET', KEYS[1], '1', 'NX', 'EX', 3600) then
  return redis.call('XADD', KEYS[2], 'MAXLEN', '~', '200000', '*', 'd', ARGV[1])
end
return false
"""
SCHEMA = """
CREATE SCHEMA IF NOT EXISTS reference;
CREATE TABLE IF NOT EXISTS reference.conversation (
  id bigserial PRIMARY KEY, brand text NOT NULL, customer text NOT NULL, at timestamptz, UNIQUE (brand, customer));
CREATE TABLE IF NOT EXISTS reference.message (
  id bigserial PRIMARY KEY, conversation bigint NOT NULL, brand text NOT NULL, inbound bool, external_id text,
  body text, at timestamptz DEFAULT now(), UNIQUE (brand, external_id));
CREATE INDEX IF NOT EXISTS reference_message ON reference.message (conversation, id);
CREATE TABLE IF NOT EXISTS reference.outbox (id bigserial PRIMARY KEY, conversation bigint, body text, sent bool);
"""
STORE = """
WITH c AS (
  INSERT INTO reference.conversation (brand, customer, at) VALUES ($1, $2, now())
  ON CONFLICT (brand, customer) DO UPDATE SET at = now() RETURNING id),
m AS (
  INSERT INTO reference.message (conversation, brand, inbound, external_id, body) SELECT id, $1, true, $3, $4 FROM c
  ON CONFLICT DO NOTHING RETURNING conversation)
SELECT c.id, EXISTS (SELECT 1 FROM m) AS fresh, (
  SELECT json_agg(x) FROM (
    SELECT inbound, body FROM reference.message WHERE conversation = c.id ORDER BY id DESC LIMIT 10) x) AS history
FROM c
"""
ANSWER = """
WITH m AS (
  INSERT INTO reference.message (conversation, brand, inbound, external_id, body) VALUES ($1, $2, false, $3, $4)
  RETURNING conversation)
INSERT INTO reference.outbox (conversation, body) SELECT conversation, $4 FROM m RETURNING id
"""


class _Text(msgspec.Struct):
    body: str


class _Message(msgspec.Struct):
    id: str
    from_: str = msgspec.field(name="from")
    text: _Text | None = None


class _Metadata(msgspec.Struct):
    phone_number_id: str


class _Value(msgspec.Struct):
    metadata: _Metadata
    messages: list[_Message]


class _Change(msgspec.Struct):
    value: _Value


class _Entry(msgspec.Struct):
    changes: list[_Change]


class _Webhook(msgspec.Struct):
    entry: list[_Entry]


_decode = msgspec.json.Decoder(_Webhook).decode


async def _webhook(request: Request) -> Response:
    body = await request.body()
    expected = "sha256=" + hmac.new(APP_SECRET.encode(), body, hashlib.sha256).hexdigest()
    if not hmac.compare_digest(request.headers.get("x-hub-signature-256", ""), expected):
        return Response(status_code=401)
    message = _decode(body).entry[0].changes[0].value.messages[0]
    state = request.app.state
    await state.redis.call("EVALSHA", state.script, "2", f"reference:{message.id}", INBOUND, body)
    return Response()


@asynccontextmanager
async def _lifespan(app: Starlette) -> AsyncIterator[None]:
    app.state.redis = await RawRedis.connect(REDIS)
    app.state.script = await app.state.redis.call("SCRIPT", "LOAD", SCRIPT)
    yield


gateway = Starlette(routes=[Route(PATH, _webhook, methods=["POST"])], lifespan=_lifespan)


class _Stage(ABC):
    """Takes entries off a stream and works on all of them at once."""

    def __init__(self, stream: str) -> None:
        self._stream = stream
        self._tasks: set[asyncio.Task[None]] = set()
        self.http = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))

    async def open(self, connections: int) -> None:
        """Connect; reading blocks its connection, so that writing has one of its own."""
        self._reading, self.redis = await RawRedis.connect(REDIS), await RawRedis.connect(REDIS)
        self.postgres = await asyncpg.create_pool(POSTGRES, min_size=connections, max_size=connections)
        with suppress(hiredis.ReplyError):  # the group exists
            await self.redis.call("XGROUP", "CREATE", self._stream, "g", "$", "MKSTREAM")

    async def run(self) -> None:
        """Work for ever."""
        while True:
            found = await self._reading.call(
                *("XREADGROUP", "GROUP", "g", "c", "COUNT", "50", "BLOCK", "1000", "STREAMS", self._stream, ">")
            )
            for entry_id, fields in found[0][1] if found else ():
                task = asyncio.create_task(self._work(entry_id, fields[1]))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)

    async def _work(self, entry_id: bytes, data: bytes) -> None:
        await self.handle(data)
        await self.redis.call("XACK", self._stream, "g", entry_id)

    @abstractmethod
    async def handle(self, data: bytes) -> None:
        """The work on one entry."""


class Orchestrator(_Stage):
    """Message in, answer out."""

    def __init__(self) -> None:
        super().__init__(INBOUND)
        generator = np.random.default_rng(1)
        self._vectors = generator.standard_normal((1000, 384), dtype=np.float32)
        self._texts = [f"[1] Orders of kind {kind} ship within two days and returns are free." for kind in range(1000)]

    async def handle(self, data: bytes) -> None:
        """One turn."""
        value = _decode(data).entry[0].changes[0].value
        message, brand = value.messages[0], value.metadata.phone_number_id
        text = message.text.body if message.text else ""
        row = await self.postgres.fetchrow(STORE, brand, message.from_, message.id, text)
        if row and row["fresh"]:
            answer = await self._ask(text, msgspec.json.decode(row["history"] or "[]"))
            sent = await self.postgres.fetchval(ANSWER, row["id"], brand, "o" + message.id, answer)
            entry = msgspec.json.encode([sent, brand, message.from_, answer])
            await self.redis.call("XADD", OUTBOUND, "MAXLEN", "~", "100000", "*", "d", entry)

    async def _ask(self, text: str, history: list[dict[str, Any]]) -> str:
        query = np.zeros(384, np.float32)
        for word in text.split():
            query[hash(word) % 384] += 1
        best = np.argpartition(-(self._vectors @ query), 5)[:5]
        context = "Answer from the context.\n" + "\n".join(self._texts[index] for index in best)
        messages = [{"role": "system", "content": context}]
        messages += [
            {"role": "user" if item["inbound"] else "assistant", "content": item["body"]} for item in reversed(history)
        ]
        body = msgspec.json.encode({"model": "fake", "messages": [*messages, {"role": "user", "content": text}]})
        headers = {"Content-Type": "application/json"}
        async with self.http.post(f"{LLM}/chat/completions", data=body, headers=headers) as answer:
            return str(msgspec.json.decode(await answer.read())["choices"][0]["message"]["content"])


class Sender(_Stage):
    """Answers to the platform."""

    def __init__(self) -> None:
        super().__init__(OUTBOUND)
        self._sent: list[int] = []

    async def handle(self, data: bytes) -> None:
        """One message."""
        sent, brand, customer, text = msgspec.json.decode(data)
        body = {"messaging_product": "whatsapp", "to": customer, "type": "text", "text": {"body": text}}
        headers = {"Content-Type": "application/json", "Authorization": "Bearer x"}
        url = f"{GRAPH}/v21.0/{brand}/messages"
        async with self.http.post(url, data=msgspec.json.encode(body), headers=headers) as answer:
            await answer.read()
        self._sent.append(sent)

    async def mark(self) -> None:
        """Note what was sent, ten times a second."""
        while True:
            await asyncio.sleep(0.1)
            if self._sent:
                ids, self._sent = self._sent, []
                await self.postgres.execute("UPDATE reference.outbox SET sent = true WHERE id = ANY($1::bigint[])", ids)


async def _main(name: str) -> None:
    if name == "orchestrator":
        orchestrator = Orchestrator()
        await orchestrator.open(10)
        await orchestrator.run()
    else:
        sender = Sender()
        await sender.open(2)
        await asyncio.gather(sender.run(), sender.mark())


if __name__ == "__main__":
    uvloop.run(_main(sys.argv[1]))
