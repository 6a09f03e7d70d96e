"""The durable append: what is in here when a webhook is acknowledged is never lost.

Redis first: one atomic script appends each event that is new and remembers its id; with `appendfsync always` the answer
comes after the disk. While Redis is away the orchestrator takes the events straight into PostgreSQL. With both away the
caller gets `Unavailable`, and the platform delivers again.
"""

import asyncio
import hashlib
from collections.abc import Sequence
from typing import Any

import aiohttp
import hiredis
import msgspec
import structlog
from prometheus_client import Counter

from packages.core.crypto import derive_key
from packages.core.domain.messages import InboundEvent
from packages.core.errors import Unavailable
from packages.core.streams import INBOUND
from services.channel_gateway.pipelined_redis import PipelinedRedis, RedisAway
from services.channel_gateway.settings import GatewaySettings

log = structlog.get_logger(__name__)

APPENDED = Counter("parley_inbound_events_total", "Events appended, by the way they took", ["way"])
_STREAM = APPENDED.labels("stream")
_DUPLICATE = APPENDED.labels("duplicate")
_ORCHESTRATOR = APPENDED.labels("orchestrator")
_REFUSED = APPENDED.labels("refused")

# The entry is written before its id is remembered: whatever fails in between makes a repeat, never a loss.
SCRIPT = b"""
if redis.call('XLEN', KEYS[1]) >= tonumber(ARGV[2]) then return -1 end
local new = 0
for i = 2, #KEYS do
  if redis.call('EXISTS', KEYS[i]) == 0 then
    redis.call('XADD', KEYS[1], '*', 'd', ARGV[i + 1])
    redis.call('SET', KEYS[i], '1', 'EX', ARGV[1])
    new = new + 1
  end
end
return new
"""
SCRIPT_SHA = hashlib.sha1(SCRIPT).hexdigest()  # noqa: S324 - Redis names scripts by SHA-1
_FULL = -1
_NUL = b"\\u0000"
_encoder = msgspec.json.Encoder()


async def load_script(redis: PipelinedRedis) -> None:
    """Make Redis know the script; run on each new connection."""
    await redis.call("SCRIPT", "LOAD", SCRIPT)


class InboundLog:
    """Where authenticated webhook items go."""

    def __init__(self, redis: PipelinedRedis, http: aiohttp.ClientSession, settings: GatewaySettings) -> None:
        self._redis = redis
        self._http = http
        self._ttl = str(settings.intake.dedupe_seconds)
        self._max_backlog = str(settings.intake.max_backlog)
        self._url = f"{settings.internal_orchestrator_url}/v1/messages/inbound/batch"
        self._headers = {
            "Content-Type": "application/json",
            "X-Parley-Service": derive_key(settings.secret, "service").hex(),
        }
        self._timeout = aiohttp.ClientTimeout(total=settings.intake.fallback_timeout)
        self._fallbacks = asyncio.Semaphore(64)

    async def append(self, events: Sequence[InboundEvent]) -> None:
        """Return once every event is durable. Repeats of an event are harmless, here and later.

        Raises:
            Unavailable: nothing is promised; the platform must deliver again.
        """
        if not events:
            return
        entries = [encode(event) for event in events]
        try:
            new = await self._append_to_stream([seen_key(event) for event in events], entries)
        except (RedisAway, hiredis.ReplyError) as error:
            await self._hand_over(entries, error)
            return
        if new == _FULL:
            _REFUSED.inc(len(events))
            log.error("inbound_backlog_full", limit=self._max_backlog)
            raise Unavailable("Too many messages wait to be processed; deliver again later.")
        _STREAM.inc(new)
        if new < len(events):
            _DUPLICATE.inc(len(events) - new)

    async def _append_to_stream(self, keys: list[bytes], entries: list[bytes]) -> int:
        rest: list[str | bytes | int] = [len(keys) + 1, INBOUND, *keys, self._ttl, self._max_backlog, *entries]
        try:
            new: int = await self._redis.call("EVALSHA", SCRIPT_SHA, *rest)
        except hiredis.ReplyError as error:
            if not str(error).startswith("NOSCRIPT"):
                raise
            new = await self._redis.call("EVAL", SCRIPT, *rest)
        return new

    async def _hand_over(self, entries: list[bytes], cause: Exception) -> None:
        """Give the events to the orchestrator, whose 202 means that PostgreSQL has them."""
        body = b'{"events":[' + b",".join(entries) + b"]}"
        try:
            async with (
                self._fallbacks,
                self._http.post(self._url, data=body, headers=self._headers, timeout=self._timeout) as response,
            ):
                problem = None if response.status == 202 else f"status {response.status}"
        except (aiohttp.ClientError, TimeoutError) as error:
            problem = str(error) or type(error).__name__
        if problem:
            _REFUSED.inc(len(entries))
            log.error("inbound_refused", redis=str(cause), orchestrator=problem, events=len(entries))
            raise Unavailable("Messages cannot be stored just now; deliver again later.")
        _ORCHESTRATOR.inc(len(entries))
        log.warning("inbound_without_redis", redis=str(cause), events=len(entries))


def seen_key(event: InboundEvent) -> bytes:
    """The Redis key that remembers an event: a 128-bit hash, for ids are long and there are many."""
    name = f"{event.channel_config_id}:{event.external_id}".encode("utf-8", "surrogatepass")
    return b"parley:s:" + hashlib.blake2b(name, digest_size=16).digest()


def encode(event: InboundEvent) -> bytes:
    """The stream entry of an event, without NUL characters, which PostgreSQL cannot store."""
    data = _encoder.encode(event)
    if _NUL in data:
        data = _encoder.encode(_without_nul(msgspec.json.decode(data)))
    return data


def _without_nul(value: Any) -> Any:
    if isinstance(value, str):
        return value.replace("\x00", "")
    if isinstance(value, dict):
        return {_without_nul(key): _without_nul(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_without_nul(item) for item in value]
    return value
