"""What both web apps share: request ids, the one error renderer, health, readiness and metrics."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from prometheus_client import CONTENT_TYPE_LATEST, Counter, Histogram, generate_latest
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from packages.core.db.base import new_id
from packages.core.errors import AppError, TooLarge
from packages.core.logging import bound, request_id

log = structlog.get_logger(__name__)
Check = Callable[[], Awaitable[None]]

REQUESTS = Counter("parley_http_requests_total", "HTTP requests by route and status", ["method", "route", "status"])
DURATION = Histogram(
    "parley_http_request_seconds",
    "Time to the last byte of an answer",
    ["route"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10),
)
_QUIET = frozenset({"/healthz", "/readyz", "/metrics"})


def install(app: FastAPI, checks: Callable[[], Mapping[str, Check]], *, max_body: int = 64 * 1024 * 1024) -> None:
    """Give an app its error handlers, request ids, /healthz, /readyz and /metrics.

    Args:
        checks: called at each /readyz; a name and a coroutine function per dependency, which raises when it is away.
        max_body: larger request bodies are refused with 413 before they are read, in bytes.
    """
    app.add_middleware(RequestContext, max_body=max_body)
    app.add_exception_handler(AppError, _app_error)
    app.add_exception_handler(HTTPException, _http_exception)
    app.add_exception_handler(RequestValidationError, _validation_error)
    app.add_exception_handler(Exception, _crash)

    async def healthz() -> dict[str, str]:
        """The process runs."""
        return {"status": "ok"}

    async def readyz() -> Response:
        """Each dependency by name: ok, or why not. 503 if any is away."""
        named = checks()
        results = await asyncio.gather(*(_checked(check) for check in named.values()))
        ready = all(result == "ok" for result in results)
        return JSONResponse(
            {"status": "ok" if ready else "unavailable", "dependencies": dict(zip(named, results, strict=True))},
            status_code=200 if ready else 503,
        )

    async def metrics() -> Response:
        """Prometheus text format."""
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)

    for path, endpoint in (("/healthz", healthz), ("/readyz", readyz), ("/metrics", metrics)):
        app.add_api_route(path, endpoint, tags=["operations"], response_model=None)


class RequestContext:
    """Takes or makes X-Request-Id, binds it to the logs, counts and logs each request, refuses oversized bodies."""

    def __init__(self, app: ASGIApp, max_body: int) -> None:
        self.app = app
        self.max_body = max_body

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        own_id = _safe_id(headers.get(b"x-request-id", b"")) or new_id().hex
        token = request_id.set(own_id)
        started = time.perf_counter()
        status = 500

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], (b"x-request-id", own_id.encode())]
            await send(message)

        try:
            with bound(request_id=own_id):
                try:
                    await self.app(scope, _limited(receive, headers, self.max_body), send_with_id)
                finally:
                    _record(scope, status, time.perf_counter() - started)
        finally:
            request_id.reset(token)


def _limited(receive: Receive, headers: dict[bytes, bytes], max_body: int) -> Receive:
    """Count the body as it arrives; a false or absent Content-Length does not help a sender."""
    seen = 0
    announced = headers.get(b"content-length", b"0")
    too_large = announced.isdigit() and int(announced) > max_body

    async def limited() -> Message:
        nonlocal seen
        if too_large:
            raise TooLarge(f"The body may have at most {max_body} bytes.")
        message = await receive()
        seen += len(message.get("body", b""))
        if seen > max_body:
            raise TooLarge(f"The body may have at most {max_body} bytes.")
        return message

    return limited


def _record(scope: Scope, status: int, seconds: float) -> None:
    route = getattr(scope.get("route"), "path", "unmatched")
    REQUESTS.labels(scope["method"], route, status).inc()
    DURATION.labels(route).observe(seconds)
    level = log.error if status >= HTTPStatus.INTERNAL_SERVER_ERROR else log.info
    if route not in _QUIET:
        level("request", method=scope["method"], path=scope["path"], status=status, ms=round(seconds * 1000, 1))


def _safe_id(value: bytes) -> str | None:
    """A caller's request id, if it is short and plain enough to be written into logs and headers."""
    text = value.decode("latin-1")
    return text if 0 < len(text) <= 128 and all(c.isalnum() or c in "-_.:" for c in text) else None


def error_response(code: str, message: str, status: int, details: Any = None, headers: Any = None) -> JSONResponse:
    """The one form of every error: `{"error": {code, message, details?, request_id}}`."""
    body: dict[str, Any] = {"code": code, "message": message, "request_id": request_id.get()}
    if details is not None:
        body["details"] = details
    return JSONResponse({"error": body}, status_code=status, headers=headers)


async def _app_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, AppError)
    return error_response(error.code, error.message, error.status, error.details, error.headers)


async def _http_exception(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if error.status_code in {204, 304}:
        return PlainTextResponse("", status_code=error.status_code)
    code = HTTPStatus(error.status_code).phrase.lower().replace(" ", "_")
    return error_response(code, str(error.detail), error.status_code, headers=error.headers)


async def _validation_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    details = [
        {"field": ".".join(str(part) for part in item["loc"]), "problem": item["msg"]} for item in error.errors()
    ]
    return error_response("invalid_input", "The request is malformed; see details.", 422, details)


async def _crash(request: Request, error: Exception) -> Response:
    log.error("request_crashed", path=request.url.path, exc_info=error)
    return error_response("internal", "Something went wrong on our side; the request id helps us find it.", 500)


async def _checked(check: Check) -> str:
    try:
        async with asyncio.timeout(3):
            await check()
    except Exception as error:  # noqa: BLE001 - a readiness check reports whatever went wrong
        return f"{type(error).__name__}: {error}"[:200]
    return "ok"
