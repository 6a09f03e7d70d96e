"""Any OpenAI-compatible chat endpoint, through the openai SDK's one shared client.

Answers are always streamed, so that a server that hangs is noticed by its silence rather than at the very end. The SDK
makes the request; the events are decoded here, because its own models cost more CPU per token than all else together.
"""

import asyncio
import random
import time
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import httpx
import msgspec
import openai

from packages.core.config import LLMEndpoint, LLMSettings
from packages.rag import openai_api
from services.orchestrator.acting.tool_calls import ToolCallPieces
from services.orchestrator.engine.llm import Completion, ModelFailed, Prompt

PATH = "/chat/completions"
TEMPERATURE = 0.2
QUICK_SECONDS = 2.0
"""An endpoint that refuses within this time (429, 503) is asked once more."""
LONGEST_PAUSE = 1.5
CONNECTIONS = 256
GATHERING = 0.25
"""Share of the patience with a silent endpoint for which pieces are gathered before anybody looks at them."""

_STATUS_REASONS = {401: "unauthorized", 403: "unauthorized", 408: "timeout", 429: "rate_limited", 503: "overloaded"}


class _Delta(msgspec.Struct):
    content: str | None = None
    tool_calls: list[dict[str, Any]] | None = None


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
    """What was read of one answer so far: server-sent events, or one JSON body where the endpoint does not stream."""

    has_events: bool = True
    started: float = field(default_factory=time.perf_counter)
    first_token: float | None = None
    usage: _Usage | None = None
    finished: bool = False
    ended: bool = False
    rest: bytes = b""
    calls: ToolCallPieces = field(default_factory=ToolCallPieces)
    beats: int = 0

    def take(self, chunk: bytes, *, is_last: bool) -> list[str]:
        """The pieces of text in the next bytes, which may end anywhere.

        Raises:
            ModelFailed: the endpoint reports an error, or sends what is no event.
        """
        *lines, self.rest = (self.rest + chunk).split(b"\n") if self.has_events else [self.rest + chunk]
        if is_last:
            self.ended = True
            lines.append(self.rest if self.has_events else b"data:" + self.rest)
        pieces = []
        for line in lines:
            data = line[5:].strip() if line.startswith(b"data:") else b""
            if data == b"[DONE]":
                self.ended = True
            elif data and (piece := self._piece(_parsed(data))):
                pieces.append(piece)
        return pieces

    def _piece(self, event: _Event) -> str:
        if event.error is not None:
            raise ModelFailed("server_error", repr(event.error))
        self.usage = event.usage or self.usage
        piece = ""
        for choice in event.choices[:1]:
            self.finished = self.finished or choice.finish_reason is not None or choice.message is not None
            part = choice.delta or choice.message
            piece = (part.content or "") if part else ""
            calls = part.tool_calls if part else None
            self.calls.take(calls)
            self.beats += bool(piece or calls)
        if self.beats and self.first_token is None:
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
        self._client = openai_api.connect(
            base_url=endpoint.base_url,
            api_key=endpoint.api_key.get_secret_value(),
            timeout=httpx.Timeout(None, connect=settings.connect_timeout),  # silence is watched for here
            connections=CONNECTIONS,
        )

    async def complete(
        self, prompt: Prompt, *, seconds: float | None = None, tools: Sequence[Mapping[str, Any]] = ()
    ) -> Completion:
        """The whole answer; see `Model`."""
        reading = _Reading()
        gather = GATHERING * min(self._settings.first_token_timeout, 2.0)
        text = "".join([piece async for piece in self._pieces(prompt, reading, seconds, gather, tools)]).strip()
        tool_calls = tuple(reading.calls.whole())
        if not text and not tool_calls:
            raise ModelFailed("empty")
        ended = time.perf_counter()
        return Completion(
            text=text,
            model=self.name,
            ms=(ended - reading.started) * 1000,
            first_token_ms=((reading.first_token or ended) - reading.started) * 1000,
            tokens_in=reading.usage.prompt_tokens if reading.usage else None,
            tokens_out=reading.usage.completion_tokens if reading.usage else None,
            tool_calls=tool_calls,
        )

    async def stream(self, prompt: Prompt, *, seconds: float | None = None) -> AsyncIterator[str]:
        """The answer piece by piece; see `Model`."""
        async for piece in self._pieces(prompt, _Reading(), seconds):
            yield piece

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()

    async def _pieces(
        self,
        prompt: Prompt,
        reading: _Reading,
        seconds: float | None,
        gather: float = 0.0,
        tools: Sequence[Mapping[str, Any]] = (),
    ) -> AsyncGenerator[str]:
        """Text pieces as they come, or from the first on in handfuls gathered for so many seconds.

        None is awaited longer than the time for a first token, or the time that is left.
        """
        clock, patience = asyncio.get_running_loop().time, self._settings.first_token_timeout
        deadline = self._deadline(seconds)
        limit = min(deadline, clock() + patience)
        async with _heard_until(limit, reading):
            body = await self._opened(prompt, tools)
        reading.has_events = "json" not in body.content_type
        try:
            while not reading.ended:
                async with _heard_until(limit, reading):
                    chunk = await body.read(gather if reading.first_token else 0.0)
                beats, pieces = reading.beats, reading.take(chunk, is_last=body.is_read)
                if reading.beats > beats:
                    limit = min(deadline, clock() + patience)
                for piece in pieces:
                    yield piece
        finally:
            await body.aclose()
        if not reading.finished:
            raise ModelFailed("truncated", "the stream ended before the answer did")

    def _deadline(self, seconds: float | None) -> float:
        """The loop's time by which the answer must be whole."""
        total = self._settings.total_timeout
        return asyncio.get_running_loop().time() + min(seconds or total, total)

    async def _opened(self, prompt: Prompt, tools: Sequence[Mapping[str, Any]]) -> openai_api.Body:
        """The answer once its headers are there. A quick refusal (429, 503) is tried once more, after a pause."""
        try:
            return await self._requested(prompt, tools)
        except ModelFailed as refusal:
            if refusal.retry_after is None or refusal.retry_after > LONGEST_PAUSE:
                raise
            pause = refusal.retry_after + random.uniform(0.05, 0.25)  # noqa: S311 - jitter is no secret
        await asyncio.sleep(pause)
        return await self._requested(prompt, tools)

    async def _requested(self, prompt: Prompt, tools: Sequence[Mapping[str, Any]]) -> openai_api.Body:
        started = time.perf_counter()
        try:
            return await self._send(prompt, tools)
        except openai.BadRequestError as error:
            if not self._gives_way(str(error)):
                raise ModelFailed("rejected", str(error), blames_endpoint=False) from error
            return await self._requested(prompt, tools)
        except openai.APIStatusError as error:
            raise _status_failure(error, quick=time.perf_counter() - started < QUICK_SECONDS) from error
        except openai.APIConnectionError as error:  # time-outs too: while connecting there is no other
            raise ModelFailed("unreachable", repr(error.__cause__ or error)) from error

    async def _send(self, prompt: Prompt, tools: Sequence[Mapping[str, Any]]) -> openai_api.Body:
        messages = [{"role": item.role, "content": item.content, **item.more} for item in prompt]
        body = {"model": self._model, "messages": messages, "stream": True} | self._options
        if tools:
            body["tools"] = list(tools)
        return await openai_api.stream(self._client, PATH, body)

    def _gives_way(self, complaint: str) -> bool:
        """Endpoints differ in which options they know: change the one they complain of, once and for good."""
        for option in ("stream_options", "max_tokens", "temperature"):
            if option in complaint and option in self._options:
                value = self._options.pop(option)
                if option == "max_tokens":
                    self._options["max_completion_tokens"] = value
                return True
        return False


@asynccontextmanager
async def _heard_until(limit: float, reading: _Reading) -> AsyncIterator[None]:
    """Within this block the endpoint is heard of before the loop's time `limit`, or has failed."""
    try:
        async with asyncio.timeout_at(limit):
            yield
    except TimeoutError as error:
        stage = "silent before the first token" if reading.first_token is None else "silent in mid-answer"
        raise ModelFailed("timeout", stage) from error
    except httpx.HTTPError as error:
        raise ModelFailed("truncated", repr(error)) from error


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
