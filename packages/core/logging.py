"""Structured logs: one JSON object a line, with trace, request, tenant and conversation ids, and without secrets."""

import contextvars
import logging
import re
import sys
from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from typing import Any

import structlog
from opentelemetry import trace

_SECRET_NAME = re.compile(r"password|secret|token|authorization|api_?key|credential|cookie|signature", re.IGNORECASE)
_SECRET_VALUE = re.compile(
    r"(?i)\b(bearer|basic)\s+[\w.~+/=-]{8,}"  # authorization headers
    r"|\b(sk|pk|rk|whsec|xoxb)[-_][\w-]{12,}"  # API keys
    r"|\bEAA[\w]{20,}"  # Meta access tokens
    r"|\b\d{6,12}:[\w-]{30,}"  # Telegram bot tokens
    r"|://[^/\s:@]*:[^/\s@]+@"  # passwords in URLs
    r"|\beyJ[\w-]+\.[\w-]+\.[\w-]+"  # JSON web tokens
)
_ID_NAMES = frozenset({"token_count", "tokens", "token_type", "max_tokens", "first_token_ms"})
REDACTED = "[redacted]"

request_id: contextvars.ContextVar[str | None] = contextvars.ContextVar("request_id", default=None)


def configure(service: str, level: str = "info", fmt: str = "json") -> None:
    """Set up structlog and route the standard library's logging through it. Call once per process."""
    shared: list[structlog.types.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        add_trace_ids,
        structlog.processors.format_exc_info,
        redact_secrets,
    ]
    renderer: structlog.types.Processor = (
        structlog.dev.ConsoleRenderer(colors=False) if fmt == "console" else structlog.processors.JSONRenderer()
    )
    structlog.configure(
        processors=[*shared, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level.upper())),
        logger_factory=structlog.PrintLoggerFactory(sys.stdout),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.WARNING if level == "info" else level.upper())
    structlog.contextvars.bind_contextvars(service=service)


@contextmanager
def bound(**ids: Any) -> Iterator[None]:
    """Bind ids (tenant_id, conversation_id, request_id …) to every log line inside the block."""
    tokens = structlog.contextvars.bind_contextvars(**{name: str(value) for name, value in ids.items()})
    try:
        yield
    finally:
        structlog.contextvars.reset_contextvars(**tokens)


def add_trace_ids(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Add the ids of the current OpenTelemetry span."""
    context = trace.get_current_span().get_span_context()
    if context.is_valid:
        event["trace_id"] = trace.format_trace_id(context.trace_id)
        event["span_id"] = trace.format_span_id(context.span_id)
    return event


def redact_secrets(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Hide values whose name or form says that they are secret, at any depth."""
    for name, value in event.items():
        event[name] = _redacted(name, value)
    return event


def _redacted(name: str, value: Any) -> Any:
    if name not in _ID_NAMES and _SECRET_NAME.search(name):
        return REDACTED
    if isinstance(value, str):
        return _SECRET_VALUE.sub(_mask, value)
    if isinstance(value, Mapping):
        return {key: _redacted(str(key), item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_redacted("", item) for item in value]
    return value


def _mask(match: re.Match[str]) -> str:
    return f"://{REDACTED}@" if match.group().startswith("://") else REDACTED
