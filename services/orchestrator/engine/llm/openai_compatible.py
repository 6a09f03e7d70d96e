"""Any OpenAI-compatible chat endpoint, through the openai SDK's one shared client.

Answers are always streamed, so that a server that hangs is noticed by its silence rather than at the very end. The SDK
makes the request; the events are decoded here, because its own models cost more CPU per token than all else together.
"""

import asyncio
import random
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import TypeAlias
from urllib.parse import urlsplit

import httpx
import msgspec
import openai
import stamina
from openai import AsyncAPIResponse, AsyncOpenAI, AsyncStream, DefaultAioHttpClient
from openai.types.chat import ChatCompletionChunk

from packages.core.config import LLMEndpoint, LLMSettings
from services.orchestrator.engine.llm import Completion, ModelFailed, Prompt

OpenResponse: TypeAlias = AsyncAPIResponse[AsyncStream[ChatCompletionChunk]]

TEMPERATURE = 0.2
QUICK_SECONDS = 2.0
"""An endpoint that refuses within this time (429, 503) is asked once more."""
LONGEST_PAUSE = 1.5
CONNECTIONS = 256

_STATUS_REASONS = {401: "unauthorized", 403: "unauthorized", 408: "timeout", 429: "rate_limited", 503: "overloaded"}


class _Delta(msgspec.Struct):
    content: str | None = None


class _Choice(msgspec.Struct):
    delta: _Delta | None = None
    message: _Delta | None = None
    finish_reason: str | None = None


class _Usage(msgspec.Struct):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None


class _Event(msgspec.Struct):
    choices: list[_Choice] = msgspec.field(default_factory=list)
    usage: _Usage | None = None
    error: object = None


_decode = msgspec.json.Decoder(_Event).decode


@dataclass(slots=True)
class _Reading:
    """What was read of one answer so far."""

    started: float = field(default_factory=time.perf_counter)
    first_token: float | None = None
    usage: _Usage | None = None
    finished: bool = False

    def take(self, event: _Event) -> str:
        if event.error is not None:
            raise ModelFailed("server_error", repr(event.error))
        self.usage = event.usage or self.usage
        piece = ""
        for choice in event.choices[:1]:
            self.finished = self.finished or choice.finish_reason is not None or choice.message is not None
            part = choice.delta or choice.message
            piece = (part.content or "") if part else ""
        if piece and self.first_token is None:
            self.first_token = time.perf_counter()
        return piece


class OpenAICompatible:
    """One endpoint and model.

    Args:
        endpoint: address, key and model.
        settings: timeouts and the length of answers.
    """

    def __init__(self, endpoint: LLMEndpoint, settings: LLMSettings) -> None:
        self.name = f"{endpoint.model}@{urlsplit(endpoint.base_url).netloc.rpartition('@')[2]}"
        self._model = endpoint.model
        self._settings = settings
        self._options: dict[str, object] = {
            "temperature": TEMPERATURE,
            "max_tokens": settings.max_tokens,
            "stream_options": {"include_usage": True},
        }
        timeout = httpx.Timeout(settings.total_timeout, connect=settings.connect_timeout)
        limits = httpx.Limits(max_connections=CONNECTIONS, max_keepalive_connections=64, keepalive_expiry=60)
        self._client = AsyncOpenAI(
            base_url=endpoint.base_url,
            api_key=endpoint.api_key.get_secret_value(),
            max_retries=0,
            timeout=timeout,
            http_client=DefaultAioHttpClient(timeout=timeout, limits=limits),
        )
        # The SDK imports its resources at their first use, which would be half a second of the first customer's time.
        self._create = self._client.chat.completions.with_streaming_response.create

    async def complete(self, prompt: Prompt, *, seconds: float | None = None) -> Completion:
        """The whole answer; see `Model`."""
        reading = _Reading()
        text = "".join(await self._gathered(prompt, reading, seconds)).strip()
        if not text:
            raise ModelFailed("empty")
        ended = time.perf_counter()
        return Completion(
            text=text,
            model=self.name,
            ms=(ended - reading.started) * 1000,
            first_token_ms=((reading.first_token or ended) - reading.started) * 1000,
            tokens_in=reading.usage.prompt_tokens if reading.usage else None,
            tokens_out=reading.usage.completion_tokens if reading.usage else None,
        )

    async def stream(self, prompt: Prompt, *, seconds: float | None = None) -> AsyncIterator[str]:
        """The answer piece by piece; see `Model`."""
        async for piece in self._pieces(prompt, _Reading(), seconds):
            yield piece

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()

    async def _gathered(self, prompt: Prompt, reading: _Reading, seconds: float | None) -> list[str]:
        """All pieces of text. One timer watches over them, moved at most once a second: a timer of its own for each of
        hundreds of pieces would cost more than reading it."""
        loop, patience = asyncio.get_running_loop(), self._settings.first_token_timeout
        deadline = self._deadline(seconds)
        moved, gathered = loop.time(), []
        try:
            async with asyncio.timeout_at(min(deadline, moved + patience)) as guard:
                async with aclosing(self._read(prompt, reading)) as pieces:
                    async for piece in pieces:
                        gathered.append(piece)
                        if (now := loop.time()) - moved >= min(1.0, patience / 4):
                            moved = now
                            guard.reschedule(min(deadline, now + patience))
        except TimeoutError as error:
            raise _silence(reading) from error
        _refuse_unfinished(reading)
        return gathered

    async def _pieces(self, prompt: Prompt, reading: _Reading, seconds: float | None) -> AsyncIterator[str]:
        """Text pieces as they come, each awaited no longer than the time for a first token or the time that is left."""
        loop = asyncio.get_running_loop()
        deadline = self._deadline(seconds)
        pieces = self._read(prompt, reading)
        try:
            while True:
                limit = min(deadline, loop.time() + self._settings.first_token_timeout)
                try:
                    async with asyncio.timeout_at(limit):
                        piece = await anext(pieces)
                except StopAsyncIteration:
                    break
                except TimeoutError as error:
                    raise _silence(reading) from error
                yield piece
        finally:
            await pieces.aclose()
        _refuse_unfinished(reading)

    def _deadline(self, seconds: float | None) -> float:
        """The loop's time by which the answer must be whole."""
        total = self._settings.total_timeout
        return asyncio.get_running_loop().time() + min(seconds or total, total)

    async def _read(self, prompt: Prompt, reading: _Reading) -> AsyncGenerator[str]:
        response = await self._opened(prompt)
        try:
            if "event-stream" not in response.headers.get("content-type", "event-stream"):
                yield reading.take(_parsed(await response.read()))
                return
            async for data in _events(response.iter_bytes()):
                if data == b"[DONE]":
                    return
                if piece := reading.take(_parsed(data)):
                    yield piece
        except httpx.HTTPError as error:
            raise ModelFailed("truncated", repr(error)) from error
        finally:
            await response.close()

    async def _opened(self, prompt: Prompt) -> OpenResponse:
        """The response once its headers are there. A quick refusal (429, 503) is tried once more, after a pause."""
        async for attempt in stamina.retry_context(on=_pause, attempts=2, timeout=None):
            with attempt:
                return await self._requested(prompt)
        raise AssertionError("the last attempt returns or raises")

    async def _requested(self, prompt: Prompt) -> OpenResponse:
        started = time.perf_counter()
        try:
            return await self._send(prompt)
        except openai.BadRequestError as error:
            if not self._gives_way(str(error)):
                raise ModelFailed("rejected", str(error), blames_endpoint=False) from error
            return await self._requested(prompt)
        except openai.APIStatusError as error:
            raise _status_failure(error, quick=time.perf_counter() - started < QUICK_SECONDS) from error
        except openai.APIConnectionError as error:  # time-outs too: while connecting there is no other
            raise ModelFailed("unreachable", repr(error.__cause__ or error)) from error

    async def _send(self, prompt: Prompt) -> OpenResponse:
        # As `extra_body` the messages escape the SDK's walk over every typed parameter, a third of a call's CPU time.
        body = self._options | {"messages": [{"role": item.role, "content": item.content} for item in prompt]}
        opening = self._create(model=self._model, messages=[], stream=True, extra_body=body)
        return await opening.__aenter__()

    def _gives_way(self, complaint: str) -> bool:
        """Endpoints differ in which options they know: change the one they complain of, once and for good."""
        for option in ("stream_options", "max_tokens", "temperature"):
            if option in complaint and option in self._options:
                value = self._options.pop(option)
                if option == "max_tokens":
                    self._options["max_completion_tokens"] = value
                return True
        return False


def _silence(reading: _Reading) -> ModelFailed:
    stage = "silent before the first token" if reading.first_token is None else "silent in mid-answer"
    return ModelFailed("timeout", stage)


def _refuse_unfinished(reading: _Reading) -> None:
    if not reading.finished:
        raise ModelFailed("truncated", "the stream ended before the answer did")


async def _events(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The `data` fields of server-sent events. Chunks may end anywhere."""
    rest = b""
    async for chunk in chunks:
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            if line.startswith(b"data:"):
                yield line[5:].strip()
    if rest.startswith(b"data:"):
        yield rest[5:].strip()


def _parsed(data: bytes) -> _Event:
    try:
        return _decode(data)
    except msgspec.DecodeError as error:
        raise ModelFailed("malformed", str(error)) from error


def _status_failure(error: openai.APIStatusError, *, quick: bool) -> ModelFailed:
    status = error.status_code
    reason = _STATUS_REASONS.get(status, "server_error" if status >= 500 else "rejected")
    refusal = ModelFailed(reason, f"HTTP {status}", blames_endpoint=reason != "rejected")
    if quick and reason in {"rate_limited", "overloaded"}:
        refusal.retry_after = _seconds(error.response.headers.get("retry-after"))
    return refusal


def _seconds(header: str | None) -> float:
    """`Retry-After` in seconds; dates and nonsense count as half a second."""
    try:
        return max(0.0, float(header or 0.5))
    except ValueError:
        return 0.5


def _pause(error: Exception) -> float | bool:
    """Before another attempt, in seconds with jitter; False where there shall be none."""
    if not isinstance(error, ModelFailed) or error.retry_after is None or error.retry_after > LONGEST_PAUSE:
        return False
    return error.retry_after + random.uniform(0.05, 0.25)  # noqa: S311 - jitter is no secret
