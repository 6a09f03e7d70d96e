"""A stand-in for a language model: an OpenAI-compatible server that answers after a fixed time, for hardly any CPU.

    FAKE_LLM_FIRST_MS=400 FAKE_LLM_PIECE_MS=30 uvicorn bench.fake_llm:app

POST /v1/chat/completions quotes the first passage of the prompt, with its mark, in 30 pieces; a caller who does not
stream waits until the last piece would have come. POST /v1/embeddings gives each text a direction of its words.
"""

import asyncio
import base64
import hashlib
import os
import re
import time
from typing import Any

import msgspec
import numpy as np
from starlette.types import Receive, Scope, Send

PIECES = 30
FIRST_SECONDS = float(os.environ.get("FAKE_LLM_FIRST_MS", "400")) / 1000
PIECE_SECONDS = float(os.environ.get("FAKE_LLM_PIECE_MS", "30")) / 1000
_PASSAGE = re.compile(r"\[1\] ?(?:\([^\n]*\)\n)?(?:#[^\n]*\n+)*([^.!?\n]{3,}[.!?]?)")
_WORD = re.compile(r"[a-z]{3,}")
_JSON = (b"content-type", b"application/json")
_STREAM = [(b"content-type", b"text/event-stream")]


def ideal_ms(first_ms: float, piece_ms: float) -> float:
    """How long an answer takes where nothing else costs time."""
    return first_ms + (PIECES - 1) * piece_ms


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """The ASGI application."""
    if scope["type"] == "lifespan":
        while (message := await receive())["type"] == "lifespan.startup":
            await send({"type": "lifespan.startup.complete"})
        await send({"type": f"{message['type']}.complete"})
        return
    started = time.perf_counter()
    request = msgspec.json.decode(await _body(receive))
    if scope["path"].endswith("/embeddings"):
        await _answer(send, _embeddings(request))
    elif request.get("stream"):
        await _stream(send, _say(request), started)
    else:
        await _until(started + FIRST_SECONDS + (PIECES - 1) * PIECE_SECONDS)
        message = {"role": "assistant", "content": _say(request)}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        await _answer(send, {"id": "chatcmpl-bench", "object": "chat.completion", "choices": [choice]})


async def _body(receive: Receive) -> bytes:
    parts = []
    while True:
        message = await receive()
        parts.append(message.get("body", b""))
        if not message.get("more_body"):
            return b"".join(parts)


async def _answer(send: Send, value: Any) -> None:
    body = msgspec.json.encode(value)
    headers = [_JSON, (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _stream(send: Send, text: str, started: float) -> None:
    await _until(started + FIRST_SECONDS)
    await send({"type": "http.response.start", "status": 200, "headers": _STREAM})
    size = -(-len(text) // PIECES)
    for number in range(PIECES):
        await _until(started + FIRST_SECONDS + number * PIECE_SECONDS)
        await send(_event({"content": text[number * size : (number + 1) * size]}, None))
    await send(_event({}, "stop"))
    await send({"type": "http.response.body", "body": b"data: [DONE]\n\n"})


def _event(delta: dict[str, str], finish_reason: str | None) -> dict[str, Any]:
    choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
    chunk = {"id": "chatcmpl-bench", "object": "chat.completion.chunk", "model": "fake", "choices": [choice]}
    return {"type": "http.response.body", "body": b"data: " + msgspec.json.encode(chunk) + b"\n\n", "more_body": True}


async def _until(moment: float) -> None:
    if (wait := moment - time.perf_counter()) > 0:
        await asyncio.sleep(wait)


def _say(request: dict[str, Any]) -> str:
    """The first sentence of passage [1], wherever in the prompt that is."""
    for message in reversed(request["messages"]):
        if found := _PASSAGE.search(message["content"]):
            return f"{found[1].strip()} [1]"
    return "NO_ANSWER"


def _embeddings(request: dict[str, Any]) -> dict[str, Any]:
    texts = request["input"] if isinstance(request["input"], list) else [request["input"]]
    dimensions = int(request.get("dimensions") or 384)
    as_text = request.get("encoding_format") == "base64"
    rows = []
    for index, text in enumerate(texts):
        vector = _direction(text, dimensions)
        value = base64.b64encode(vector.tobytes()).decode() if as_text else vector.tolist()
        rows.append({"object": "embedding", "index": index, "embedding": value})
    usage = {"prompt_tokens": 1, "total_tokens": 1}
    return {"object": "list", "data": rows, "model": request.get("model", "fake"), "usage": usage}


def _direction(text: str, dimensions: int) -> "np.ndarray[Any, np.dtype[np.float32]]":
    vector = np.full(dimensions, 1e-3, np.float32)
    for word in _WORD.findall(text.lower()):
        digest = hashlib.blake2b(word.encode(), digest_size=8).digest()
        vector[int.from_bytes(digest[:4], "little") % dimensions] += 1 if digest[4] & 1 else -1
    return vector / np.float32(np.linalg.norm(vector))
