"""OpenTelemetry: one tracer provider per process, and trace context that travels inside stream entries and rows."""

from collections.abc import Iterator
from contextlib import contextmanager

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ParentBased, TraceIdRatioBased
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from packages.core.config import OtelSettings

tracer = trace.get_tracer("parley")
_propagator = TraceContextTextMapPropagator()


def configure(service: str, settings: OtelSettings) -> TracerProvider:
    """Make spans in this process, and send them over OTLP/HTTP where an endpoint is set. Call once."""
    # Without an endpoint nobody reads a span: then only its ids are made, for the logs and the traces of replies.
    sampler = ParentBased(TraceIdRatioBased(settings.sample_ratio)) if settings.endpoint else ALWAYS_OFF
    provider = TracerProvider(resource=Resource.create({"service.name": f"parley-{service}"}), sampler=sampler)
    if settings.endpoint:
        exporter = OTLPSpanExporter(endpoint=f"{settings.endpoint.rstrip('/')}/v1/traces", timeout=5)
        provider.add_span_processor(BatchSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    return provider


def traceparent() -> str | None:
    """The W3C `traceparent` of the current span, to be carried in a stream entry or a row."""
    carrier: dict[str, str] = {}
    _propagator.inject(carrier)
    return carrier.get("traceparent")


@contextmanager
def span(name: str, parent: str | None = None, **attributes: str | int | float | bool) -> Iterator[trace.Span]:
    """A span, continued from `parent` (a `traceparent`) where one is given."""
    context = _propagator.extract({"traceparent": parent}) if parent else None
    with tracer.start_as_current_span(name, context=context, attributes=attributes) as current:
        yield current


def trace_id() -> str | None:
    """The current trace id, 32 hexadecimal digits, or None outside a span."""
    context = trace.get_current_span().get_span_context()
    return trace.format_trace_id(context.trace_id) if context.is_valid else None
