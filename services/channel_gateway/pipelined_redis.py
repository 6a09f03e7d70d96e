"""A Redis connection for the hot path: all commands of one event loop tick leave in one write.

redis-py's asyncio client takes a connection from a pool for each command; at a thousand webhooks a second that costs
more than everything else together. Here every caller shares one connection, answers come back in order (RESP
pipelining), and one watchdog serves all time limits. Only plain commands: no blocking reads, no Pub/Sub.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, cast

import hiredis
import structlog
from redis.asyncio.connection import SSLConnection, parse_url

log = structlog.get_logger(__name__)
Argument = str | bytes | int


class RedisAway(Exception):
    """Redis did not take the command, or nobody knows whether it did."""


class _Link(asyncio.Protocol):
    """One TCP connection: commands out in ticks, answers in order."""

    def __init__(self, timeout: float, max_waiting: int) -> None:
        self._loop = asyncio.get_running_loop()
        self._timeout = timeout
        self._max_waiting = max_waiting
        self._reader = hiredis.Reader()
        self._waiting: deque[tuple[asyncio.Future[Any], float]] = deque()
        self._out: list[bytes] = []
        self._transport: asyncio.Transport | None = None
        self._watchdog: asyncio.TimerHandle | None = None
        self.lost: asyncio.Future[None] = self._loop.create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's are no subclass of it

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        if self._watchdog:
            self._watchdog.cancel()
        error = RedisAway(f"connection lost: {exc or 'closed'}")
        while self._waiting:
            future, _ = self._waiting.popleft()
            if not future.done():
                future.set_exception(error)
        if not self.lost.done():
            self.lost.set_result(None)

    def data_received(self, data: bytes) -> None:
        try:
            self._reader.feed(data)
            while (answer := self._reader.gets()) is not False:
                future, _ = self._waiting.popleft()
                if future.done():  # its caller has gone
                    continue
                if isinstance(answer, Exception):
                    future.set_exception(answer)
                else:
                    future.set_result(answer)
        except (hiredis.ProtocolError, IndexError) as error:
            log.error("redis_protocol_error", error=str(error))
            self.abort()

    def call(self, *args: Argument) -> asyncio.Future[Any]:
        if self._transport is None:
            raise RedisAway("not connected")
        if len(self._waiting) >= self._max_waiting:
            raise RedisAway("too many commands wait for an answer")
        future: asyncio.Future[Any] = self._loop.create_future()
        now = self._loop.time()
        self._waiting.append((future, now + self._timeout))
        if not self._out:
            self._loop.call_soon(self._flush)
        self._out.append(hiredis.pack_command(args))  # type: ignore[arg-type]
        if self._watchdog is None:
            self._watchdog = self._loop.call_later(self._timeout, self._watch)
        return future

    def _flush(self) -> None:
        out, self._out = self._out, []
        if self._transport is not None:
            self._transport.write(b"".join(out))

    def _watch(self) -> None:
        """Give the connection up once its oldest command is overdue: answers come in order, so all others wait too."""
        self._watchdog = None
        if not self._waiting:
            return
        left = self._waiting[0][1] - self._loop.time()
        if left > 0:
            self._watchdog = self._loop.call_later(left, self._watch)
        else:
            self.abort()

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()


class PipelinedRedis:
    """One shared connection that comes back by itself.

    Args:
        url: redis://, rediss:// or unix:// with user, password and database.
        timeout: seconds after which a silent Redis counts as away.
        prepare: run on each new connection before it is used, such as loading scripts.
    """

    def __init__(
        self,
        url: str,
        *,
        timeout: float = 2.0,
        max_waiting: int = 10_000,
        prepare: Callable[["PipelinedRedis"], Awaitable[None]] | None = None,
    ) -> None:
        self._options = parse_url(url)
        self._timeout = timeout
        self._max_waiting = max_waiting
        self._prepare = prepare
        self._link: _Link | None = None
        self._ready = False
        self._keeper: asyncio.Task[None] | None = None

    @property
    def connected(self) -> bool:
        """Whether commands would leave just now."""
        return self._ready

    async def start(self) -> None:
        """Connect once, then keep connected in the background. Does not raise when Redis is away."""
        first = asyncio.Event()
        self._keeper = asyncio.create_task(self._keep(first))
        with suppress(TimeoutError):
            await asyncio.wait_for(first.wait(), self._timeout + 1)

    async def close(self) -> None:
        """End the connection; commands on their way get their answers first."""
        if self._keeper:
            self._keeper.cancel()
            with suppress(asyncio.CancelledError):
                await self._keeper
        if self._link:
            self._link.abort()
        self._ready = False

    def call(self, *args: Argument) -> asyncio.Future[Any]:
        """Send one command; the future brings its answer.

        Raises:
            RedisAway: now or from the future. hiredis.ReplyError comes from the future when Redis refuses.
        """
        if self._link is None or not self._ready:
            raise RedisAway("not connected")
        return self._link.call(*args)

    async def _keep(self, first: asyncio.Event) -> None:
        pause = 0.05
        while True:
            try:
                async with asyncio.timeout(self._timeout + 1):
                    self._link = await self._open()
                    self._ready = True
                    if self._prepare:
                        await self._prepare(self)
                pause = 0.05
                first.set()
                await self._link.lost
                log.warning("redis_connection_lost")
            except (OSError, TimeoutError, RedisAway, hiredis.ReplyError) as error:
                first.set()
                log.warning("redis_unavailable", error=str(error) or type(error).__name__, retry_in=pause)
                self._ready = False
                if self._link:
                    self._link.abort()
                await asyncio.sleep(pause)
                pause = min(pause * 2, 1.0)
            finally:
                self._ready = False

    async def _open(self) -> _Link:
        options = self._options
        loop = asyncio.get_running_loop()

        def make() -> _Link:
            return _Link(self._timeout, self._max_waiting)

        if path := options.get("path"):
            _, link = await loop.create_unix_connection(make, path)
        else:
            secure = True if options.get("connection_class") is SSLConnection else None
            _, link = await loop.create_connection(
                make, options.get("host", "127.0.0.1"), options.get("port", 6379), ssl=secure
            )
        if password := options.get("password"):
            await link.call("AUTH", *([options["username"]] if options.get("username") else []), password)
        if options.get("db"):
            await link.call("SELECT", options["db"])
        return link
