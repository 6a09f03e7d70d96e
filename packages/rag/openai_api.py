"""The way to OpenAI-compatible APIs that every message takes: the official SDK's client over a lean transport.

The SDK keeps addresses, keys, headers and the meaning of each refusal. Its typed resources walk over every parameter
and build a model of every answer, and httpx looks for redirects, cookies and authentication in each: together several
times the cost of the request itself. So calls go through `client.post`, the SDK's way for what it has no method for,
and from there straight to aiohttp.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from typing import Any
from urllib.request import getproxies

import aiohttp
import httpx
import msgspec
from httpx_aiohttp.transport import map_aiohttp_exceptions
from openai import AsyncOpenAI, AsyncStream, OpenAI
from openai._types import RequestOptions
from yarl import URL

KEPT_SECONDS = 60.0
BUFFER = 1 << 20
"""Bytes of an answer that may wait to be read before its sender is slowed down."""

_JSON: RequestOptions = {"headers": {"Content-Type": "application/json"}}


def connect(*, base_url: str | None, api_key: str, timeout: httpx.Timeout, connections: int) -> AsyncOpenAI:
    """A client of one API, without retries of its own; close it at the end.

    Args:
        base_url: None for the official API.
        timeout: for connecting and between two reads.
        connections: open at once; further calls wait for one.
    """
    return _Api(
        base_url=base_url,
        api_key=api_key,
        max_retries=0,
        timeout=timeout,
        # Bodies are read as they come, so nothing may be compressed.
        default_headers={"Accept-Encoding": "identity"},
        http_client=_Client(_Transport(timeout, connections)),
    )


async def post(client: AsyncOpenAI, path: str, body: Mapping[str, Any]) -> bytes:
    """The whole answer to a JSON body, undecoded.

    Raises:
        openai.OpenAIError: there is none.
    """
    content = msgspec.json.encode(body)
    response = await client.post(path, cast_to=httpx.Response, content=content, options=_JSON)
    return response.content


def post_sync(client: OpenAI, path: str, body: Mapping[str, Any]) -> bytes:
    """Like `post`, on a thread."""
    content = msgspec.json.encode(body)
    return client.post(path, cast_to=httpx.Response, content=content, options=_JSON).content


async def stream(client: AsyncOpenAI, path: str, body: Mapping[str, Any]) -> "Body":
    """The answer to a JSON body once its headers are there, to be read and closed.

    Raises:
        openai.OpenAIError: there is none.
    """
    content = msgspec.json.encode(body)
    response: Any = await client.post(  # the SDK's types know only its own kind of stream
        path, cast_to=httpx.Response, content=content, options=_JSON, stream=True, stream_cls=AsyncStream[Any]
    )
    answered: Body = response.extensions["body"]
    return answered


class Body(httpx.AsyncByteStream):
    """The body of an answer. `content_type` is as the API says; empty if it does not."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response
        self._content = response.content
        self.content_type = response.headers.get("content-type", "")

    @property
    def is_read(self) -> bool:
        """Whether it has ended and all of it was read."""
        return self._content.at_eof()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """The bytes, as they come."""
        with map_aiohttp_exceptions():
            async for chunk in self._content.iter_any():
                yield chunk

    async def read(self, gather: float = 0.0) -> bytes:
        """The next bytes: as soon as there are any, or what comes within `gather` seconds or until the end.

        To gather wakes nobody for each of the hundreds of pieces in which a model writes.

        Raises:
            httpx.TransportError: the connection broke.
        """
        with map_aiohttp_exceptions():
            if not gather:
                return await self._content.readany()
            if self._content.exception() is None:
                with suppress(TimeoutError):
                    async with asyncio.timeout(gather):
                        await self._content.wait_eof()
            return self._content.read_nowait()

    async def aclose(self) -> None:
        """Give the connection back, or close it where the body was not read to its end."""
        self._response.release()


class _Api(AsyncOpenAI):
    """The SDK's client; it asks for the same few addresses again and again."""

    def _prepare_url(self, url: str) -> httpx.URL:
        known: dict[str, httpx.URL] = self.__dict__.setdefault("_prepared", {})
        if url not in known:
            known[url] = super()._prepare_url(url)
        return known[url]


class _Transport(httpx.AsyncBaseTransport):
    """Requests through one aiohttp session, opened at the first of them."""

    def __init__(self, timeout: httpx.Timeout, connections: int) -> None:
        self._timeout = aiohttp.ClientTimeout(
            total=None, connect=timeout.pool, sock_connect=timeout.connect, sock_read=timeout.read
        )
        self._connections = connections
        self._session: aiohttp.ClientSession | None = None

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send one request; returns when the answer's headers are there."""
        session = self._session = self._session or self._opened()
        with map_aiohttp_exceptions():
            response = await session.request(
                request.method,
                URL(str(request.url), encoded=True),
                headers=[(name.decode("ascii"), value.decode("latin-1")) for name, value in request.headers.raw],
                data=await request.aread(),
                allow_redirects=False,
            )
        body = Body(response)
        return httpx.Response(
            response.status,
            headers=response.raw_headers,
            stream=body,
            request=request,
            extensions={"body": body},  # httpx wraps streams where it follows a redirect
        )

    async def aclose(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()

    def _opened(self) -> aiohttp.ClientSession:
        connector = aiohttp.TCPConnector(
            limit=self._connections, keepalive_timeout=KEPT_SECONDS, ssl=httpx.create_ssl_context()
        )
        return aiohttp.ClientSession(
            connector=connector,
            timeout=self._timeout,
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            read_bufsize=BUFFER,
            trust_env=bool(getproxies()),
        )


class _Client(httpx.AsyncClient):
    """Sends straight through the transport what needs nothing in between."""

    def __init__(self, transport: _Transport) -> None:
        super().__init__(transport=transport, follow_redirects=True)
        self._direct = transport

    def build_request(self, method: str, url: httpx.URL | str, **parts: Any) -> httpx.Request:
        """The request as the SDK wants it: it has put together address and headers already."""
        names = ("params", "headers", "content")
        return httpx.Request(method, url, **{name: parts[name] for name in names if parts.get(name) is not None})

    async def send(self, request: httpx.Request, *, stream: bool = False, **rest: Any) -> httpx.Response:
        """Like httpx; only a redirect takes its longer way."""
        response = await self._direct.handle_async_request(request)
        if response.has_redirect_location:
            await response.aclose()
            return await super().send(request, stream=stream, **rest)
        if not stream:
            try:
                await response.aread()
            finally:
                await response.aclose()
        return response
