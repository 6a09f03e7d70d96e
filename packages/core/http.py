"""What both web apps share: request ids, the one error renderer, health, readiness and metrics."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from http import HTTPStatus
from typing import Any

import asyncpg
import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.telemetry import TelemetryConfig
from opentelemetry import trace
from prometheus_client import CONTENT_TYPE_LATEST, Counter, Histogram, generate_latest
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from packages.core import errors, tracing
from packages.core.db.base import new_id
from packages.core.errors import AppError, InvalidInput, TooLarge, Unavailable
from packages.core.logging import bound, request_id

log = structlog.get_logger(__name__)
Check = Callable[[], Awaitable[None]]
BodyLimit = int | Callable[[str], int]
"""The most bytes a body may have: one number, or a function of the path."""

REQUESTS = Counter("parley_http_requests_total", "HTTP requests by route and status", ["method", "route", "status"])
DURATION = Histogram(
    "parley_http_request_seconds",
    "Time to the last byte of an answer",
    ["route"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10),
)
OWN_TELEMETRY: TelemetryConfig = {"tracing": False, "metrics": False, "logs": False, "operation_spans": False}
"""For `FastAPI(telemetry=…)`: spans, metrics and logs of requests are made here, once."""
_QUIET = frozenset({"/healthz", "/readyz", "/metrics"})
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_CODES = {kind.status: kind.code for kind in vars(errors).values() if isinstance(kind, type) and kind is not AppError
          and issubclass(kind, AppError)}  # fmt: skip
_AWAY = (asyncpg.InterfaceError, RedisConnectionError, RedisTimeoutError, PoolTimeout, ConnectionError, TimeoutError)


def install(
    app: FastAPI,
    checks: Callable[[], Mapping[str, Check]],
    *,
    max_body: BodyLimit = 64 * 1024 * 1024,
    spans: bool = False,
    quiet: tuple[str, ...] = (),
) -> None:
    """Give an app its error handlers, request ids, /healthz, /readyz and /metrics.

    Args:
        checks: called at each /readyz; a name and a coroutine function per dependency, which raises when it is away.
        max_body: larger request bodies are refused with 413 while they are read, in bytes.
        spans: whether each request is a span, continued from the caller's `traceparent`.
        quiet: successful requests to paths with these prefixes are counted, but not logged.
    """
    app.add_middleware(RequestContext, max_body=max_body, spans=spans, quiet=quiet)
    app.add_exception_handler(AppError, _app_error)
    app.add_exception_handler(HTTPException, _http_exception)
    app.add_exception_handler(RequestValidationError, _validation_error)

    async def healthz() -> dict[str, str]:
        """The process runs."""
        return {"status": "ok"}

    async def readyz() -> Response:
        """Each dependency by name: ok, or why not. 503 if any is away."""
        named = checks()
        results = await asyncio.gather(*(_checked(name, check) for name, check in named.items()))
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
    """Takes or makes X-Request-Id, binds it to logs and span, counts and logs each request, refuses oversized bodies.

    It is also the edge at which an unexpected exception becomes a 500: outside of it the request id is gone.
    """

    def __init__(
        self, app: ASGIApp, *, max_body: BodyLimit = 64 * 1024 * 1024, spans: bool = False, quiet: tuple[str, ...] = ()
    ) -> None:
        self.app = app
        self.max_body = max_body
        self.spans = spans
        self.quiet = quiet

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        own_id = _safe_id(headers.get(b"x-request-id", b"")) or new_id().hex
        token = request_id.set(own_id)
        try:
            with bound(request_id=own_id), self._span(scope, headers, own_id):
                await self._handle(scope, receive, send, headers, own_id.encode())
        finally:
            request_id.reset(token)

    async def _handle(
        self, scope: Scope, receive: Receive, send: Send, headers: Mapping[bytes, bytes], own_id: bytes
    ) -> None:
        started = time.perf_counter()
        status = 0

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], (b"x-request-id", own_id)]
            await send(message)

        limit = self.max_body if isinstance(self.max_body, int) else self.max_body(scope["path"])
        try:
            if _announced(headers) > limit:
                refusal = TooLarge(f"The body may have at most {limit} bytes.")
                await _render(refusal)(scope, receive, send_with_id)
            else:
                await self.app(scope, _limited(receive, limit), send_with_id)
        except ClientDisconnect:  # nobody is left to be answered; recorded as 499
            log.info("client_went_away", path=scope["path"])
        except Exception as error:
            if status:  # part of the answer has left: all that remains is to break the connection off
                raise
            await unexpected(error, scope["path"])(scope, receive, send_with_id)
        finally:
            self._record(scope, status or 499, time.perf_counter() - started)

    def _span(self, scope: Scope, headers: Mapping[bytes, bytes], own_id: str) -> AbstractContextManager[Any]:
        if not self.spans or scope["path"] in _QUIET:
            return nullcontext()
        parent = headers.get(b"traceparent", b"").decode("latin-1") or None
        return tracing.span(f"HTTP {scope['method']}", parent, **{"http.request.id": own_id, "url.path": scope["path"]})

    def _record(self, scope: Scope, status: int, seconds: float) -> None:
        route = getattr(scope.get("route"), "path", "unmatched")
        method = scope["method"] if scope["method"] in _METHODS else "other"
        REQUESTS.labels(method, route, status).inc()
        DURATION.labels(route).observe(seconds)
        if self.spans:
            trace.get_current_span().set_attributes({"http.route": route, "http.response.status_code": status})
        failed = status >= HTTPStatus.INTERNAL_SERVER_ERROR
        path = scope["path"]
        if path in _QUIET or (not failed and path.startswith(self.quiet or ("\0",))):
            return
        level = log.error if failed else log.info
        level("request", method=method, path=path, status=status, ms=round(seconds * 1000, 1))


def unexpected(error: Exception, path: str) -> JSONResponse:
    """Render what no handler took: 503 where a dependency is away, else 500. Logs it either way."""
    if isinstance(error, AppError):
        return _render(error)
    if _sqlstate(error).startswith("22"):
        # class 22: a value that a column cannot hold, such as U+0000 in a text
        return _render(InvalidInput("The request holds a value that cannot be stored, such as a null character."))
    if is_away(error):
        log.error("dependency_away", path=path, error=f"{type(error).__name__}: {error}"[:500])
        return _render(Unavailable("Something this needs is not reachable just now; please try again."))
    log.error("request_crashed", path=path, exc_info=error)
    return error_response("internal", "Something went wrong on our side; the request id helps us find it.", 500)


def is_away(error: BaseException) -> bool:
    """Whether an exception says that PostgreSQL, Redis or the network is away, rather than that the code is wrong."""
    if isinstance(error, DBAPIError | asyncpg.PostgresError):
        sqlstate = _sqlstate(error)
        # 08 connection, 53 resources, 57P0x shutting down or starting up, 40 serialisation and deadlock
        lost = isinstance(error, DBAPIError) and error.connection_invalidated
        return lost or not sqlstate or sqlstate.startswith(("08", "53", "57P0", "40"))
    return isinstance(error, _AWAY)


def _sqlstate(error: BaseException) -> str:
    """PostgreSQL's code of an error that came through SQLAlchemy or straight from the driver; empty for any other."""
    return str(getattr(error.orig if isinstance(error, DBAPIError) else error, "sqlstate", "") or "")


def error_response(code: str, message: str, status: int, details: Any = None, headers: Any = None) -> JSONResponse:
    """The one form of every error: `{"error": {code, message, details?, request_id}}`."""
    body: dict[str, Any] = {"code": code, "message": message, "request_id": request_id.get()}
    if details is not None:
        body["details"] = details
    return JSONResponse({"error": body}, status_code=status, headers=headers)


def _announced(headers: Mapping[bytes, bytes]) -> int:
    length = headers.get(b"content-length", b"0")
    return int(length) if length.isdigit() else 0


def _limited(receive: Receive, limit: int) -> Receive:
    """Count the body as it arrives; a false or absent Content-Length does not help a sender."""
    seen = 0

    async def limited() -> Message:
        nonlocal seen
        message = await receive()
        seen += len(message.get("body", b""))
        if seen > limit:
            # an HTTPException, because FastAPI turns every other error that it meets in a body into a plain 400
            raise HTTPException(TooLarge.status, f"The body may have at most {limit} bytes.")
        return message

    return limited


def _safe_id(value: bytes) -> str | None:
    """A caller's request id, if it is short and plain enough to be written into logs and headers."""
    text = value.decode("latin-1")
    return text if 0 < len(text) <= 128 and all(c.isascii() and (c.isalnum() or c in "-_.:") for c in text) else None


def _render(error: AppError) -> JSONResponse:
    return error_response(error.code, error.message, error.status, error.details, error.headers)


async def _app_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, AppError)
    return _render(error)


async def _http_exception(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if error.status_code in {204, 304}:
        return PlainTextResponse("", status_code=error.status_code)
    code = _CODES.get(error.status_code) or HTTPStatus(error.status_code).phrase.lower().replace(" ", "_")
    return error_response(code, str(error.detail), error.status_code, headers=error.headers)


async def _validation_error(_request: Request, error: Exception) -> Response:
    """The field and the problem, never the value: it may be a secret."""
    assert isinstance(error, RequestValidationError)
    details = [
        {"field": ".".join(str(part) for part in item["loc"]), "problem": item["msg"]} for item in error.errors()
    ]
    return error_response("invalid_input", "The request is malformed; see details.", 422, details)


async def _checked(name: str, check: Check) -> str:
    try:
        async with asyncio.timeout(3):
            await check()
    except Exception as error:  # noqa: BLE001 - a readiness check reports whatever went wrong
        log.warning("dependency_not_ready", dependency=name, error=f"{type(error).__name__}: {error}"[:500])
        return f"unavailable ({type(error).__name__})"
    return "ok"
