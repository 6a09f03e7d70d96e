"""Typing, read marks, and thanks for taps on buttons: shown to the customer if it is easy, and never waited for."""

import asyncio
import time
from collections.abc import Coroutine, Mapping
from typing import Any

import aiohttp
import msgspec
import structlog
from redis.asyncio import Redis

from packages.core import streams
from packages.core.domain.channels import Channel as Account
from packages.core.domain.messages import InboundMessage, Signal
from packages.core.errors import Unavailable
from services.channel_gateway.channels import Channel
from services.channel_gateway.directory import Directory

log = structlog.get_logger(__name__)

MOST_AT_ONCE = 64
SECONDS = 5.0
STALE_SECONDS = 15.0


class Signals:
    """Passes signals on. What is late, or too much at once, is dropped: a message that follows says more."""

    def __init__(
        self, redis: Redis, directory: Directory, channels: Mapping[str, Channel], http: aiohttp.ClientSession
    ) -> None:
        self._directory = directory
        self._channels = channels
        self._http = http
        self._consumer = streams.Consumer(redis, streams.SIGNALS, "gateway", count=100, idle_ms=60_000)
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Pass on until `stop`."""
        async for entries in self._consumer.batches():
            await self._consumer.done(entries)
            for entry in entries:
                if _age(entry) < STALE_SECONDS:
                    await self._pass_on(entry)
        for task in self._tasks:
            task.cancel()

    async def stop(self) -> None:
        """End `run` soon."""
        self._consumer.stop()

    def accept(self, message: InboundMessage, account: Account) -> None:
        """Tell the platform, in the background, that a tap was taken."""
        self._start(self._channels[account.kind].accept(message, account, self._http), account)

    async def _pass_on(self, entry: streams.Entry) -> None:
        try:
            signal = entry.decode(Signal)
            account = await self._directory.find(signal.channel_config_id)
        except (msgspec.MsgspecError, Unavailable) as error:
            log.warning("signal_dropped", reason=str(error)[:200])
            return
        channel = self._channels.get(account.kind) if account else None
        if account and channel and _shows(channel, account, signal):
            self._start(channel.signal(signal, account, self._http), account)

    def _start(self, work: Coroutine[Any, Any, None], account: Account) -> None:
        if len(self._tasks) >= MOST_AT_ONCE:
            work.close()
            return
        task = asyncio.create_task(_within_limits(work, account.kind))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _shows(channel: Channel, account: Account, signal: Signal) -> bool:
    can = channel.capabilities_for(account)
    return can.typing if signal.kind == "typing" else can.read_marks


async def _within_limits(work: Coroutine[Any, Any, None], channel: str) -> None:
    try:
        async with asyncio.timeout(SECONDS):
            await work
    except TimeoutError:
        log.info("signal_timed_out", channel=channel)
    except Exception:  # one signal's edge: an adapter's fault must not end the loop
        log.exception("signal_crashed", channel=channel)


def _age(entry: streams.Entry) -> float:
    """Seconds since the entry was appended; a stream id begins with milliseconds."""
    return time.time() - int(entry.id.split(b"-")[0]) / 1000
