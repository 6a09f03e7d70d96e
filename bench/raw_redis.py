"""The least that a Redis client can be: commands of one tick in one write, answers in order. For the reference only."""

import asyncio
from collections import deque
from typing import Any
from urllib.parse import urlsplit

import hiredis


class RawRedis(asyncio.Protocol):
    """One connection. No timeouts, no reconnecting."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._reader = hiredis.Reader()
        self._waiting: deque[asyncio.Future[Any]] = deque()
        self._out: list[bytes] = []
        self._transport: Any = None

    @classmethod
    async def connect(cls, url: str) -> "RawRedis":
        """Connect and log in."""
        parts = urlsplit(url)
        _, self = await asyncio.get_running_loop().create_connection(cls, str(parts.hostname), parts.port or 6379)
        await self.call("AUTH", parts.password or "")
        return self

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See `asyncio.Protocol`."""
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """See `asyncio.Protocol`."""
        self._reader.feed(data)
        while (answer := self._reader.gets()) is not False:
            future = self._waiting.popleft()
            if isinstance(answer, Exception):
                future.set_exception(answer)
            else:
                future.set_result(answer)

    def call(self, *args: str | bytes | int) -> "asyncio.Future[Any]":
        """Send one command with the others of this tick."""
        future: asyncio.Future[Any] = self._loop.create_future()
        self._waiting.append(future)
        if not self._out:
            self._loop.call_soon(self._flush)
        self._out.append(hiredis.pack_command(args))  # type: ignore[arg-type]
        return future

    def _flush(self) -> None:
        out, self._out = self._out, []
        self._transport.write(b"".join(out))
