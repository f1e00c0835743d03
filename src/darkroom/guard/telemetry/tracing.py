"""Spans and metrics of OpenTelemetry, where the policy asks for them.

What is sent where is said by OpenTelemetry's own environment variables, such as
``OTEL_EXPORTER_OTLP_ENDPOINT``. Names follow its conventions for HTTP servers; what only a guard
knows begins with ``darkroom.``. Neither inputs nor answers nor keys are among it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from darkroom.errors import MissingExtraError
from darkroom.guard.http.identifiers import TRACING
from darkroom.guard.http.requests import Scope
from darkroom.guard.sections import OpenTelemetrySection
from darkroom.guard.telemetry.record import Record, Trace

try:
    from opentelemetry import metrics, propagate, trace
except ImportError as error:
    raise MissingExtraError("opentelemetry-api", "opentelemetry") from error

SCOPE = "darkroom.guard"
NANOSECONDS = 1_000_000_000


class Spans:
    """Begins a span with each request, and ends it when the request is over."""

    def __init__(self, section: OpenTelemetrySection) -> None:
        """Takes what the policy says."""
        self._parents = section.parents
        self._tracer = trace.get_tracer(SCOPE)

    def begin(self, scope: Scope, record: Record) -> None:
        """Begins the span of a request; where the client tells of one, below it or beside it."""
        told = {
            name.decode("latin-1"): value.decode("latin-1")
            for name, value in scope["headers"]
            if name in TRACING
        }
        context = propagate.extract(told)
        client = trace.get_current_span(context).get_span_context()
        # A client in whose trace a request is decides whether the request is traced at all.
        beside = client.is_valid and not self._parents
        span = self._tracer.start_span(
            str(scope["method"]),
            context=context if self._parents else propagate.extract({}),
            links=[trace.Link(client)] if beside else None,
            kind=trace.SpanKind.SERVER,
            start_time=int(record.begun * NANOSECONDS),
        )
        carrier: dict[str, str] = {}
        propagate.inject(carrier, trace.set_span_in_context(span))
        headers = [(name.encode(), value.encode()) for name, value in carrier.items()]
        own = span.get_span_context()
        identity = trace.format_trace_id(own.trace_id) if own.is_valid else None
        record.trace = Trace(identity, headers, _ending(span, str(scope["method"])))


class Measurements:
    """Counts requests, rows and tokens as the metrics for Prometheus do."""

    def __init__(self) -> None:
        """Makes the instruments."""
        meter = metrics.get_meter(SCOPE)
        self._requests = meter.create_counter("darkroom.guard.requests", "{request}")
        self._charged = meter.create_counter("darkroom.guard.rows.charged", "{row}")
        self._released = meter.create_counter("darkroom.guard.rows.released", "{row}")
        self._tokens = meter.create_counter("darkroom.guard.tokens.charged", "{token}")
        self._refused = meter.create_counter("darkroom.guard.refusals", "{request}")
        self._alarms = meter.create_counter("darkroom.guard.alarms", "{alarm}")
        self._seconds = meter.create_histogram("http.server.request.duration", "s")

    def __call__(self, record: Record) -> None:
        """Counts one request."""
        who = {
            "darkroom.model": record.served or record.model,
            "darkroom.client": record.client or "unknown",
        }
        status = {"http.response.status_code": record.status}
        self._requests.add(1, {**who, **status, "darkroom.outcome": record.outcome})
        for counter, count in (
            (self._charged, record.rows),
            (self._released, record.rows if record.outcome == "released" else 0),
            (self._tokens, record.tokens),
            (self._alarms, record.alarms_begun),
        ):
            if count:
                counter.add(count, who)
        if record.reason is not None:
            why = {"darkroom.reason": record.reason, "darkroom.budget": record.budget or ""}
            self._refused.add(1, {**who, **why})
        self._seconds.record(record.seconds, {"darkroom.model": record.model, **status})


def end_span(record: Record) -> None:
    """Ends the span of a request, if it has one; an observer."""
    if record.trace is not None:
        record.trace.end(record)


def observers_of(section: OpenTelemetrySection) -> Sequence[Callable[[Record], None]]:
    """Returns what is told of each request when it is over."""
    return (*([end_span] if section.spans else []), *([Measurements()] if section.metrics else []))


def export(section: OpenTelemetrySection) -> Sequence[Callable[[], object]]:
    """Sends spans and metrics where the environment says, in a process that is the guard's own.

    Does nothing where somebody, such as ``opentelemetry-instrument``, has set that up.

    Returns:
        What sends the last of them, at the end.

    Raises:
        MissingExtraError: If the packages that send are not installed.
    """
    if not isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider):
        return []
    try:
        from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.metrics import MeterProvider
        from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
        from opentelemetry.sdk.resources import SERVICE_NAME, OTELResourceDetector, Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as error:
        raise MissingExtraError("opentelemetry-sdk", "opentelemetry") from error
    # What the environment calls the service comes before what the policy does.
    resource = Resource({SERVICE_NAME: section.service}).merge(OTELResourceDetector().detect())
    last: list[Callable[[], object]] = []
    if section.spans:
        tracers = TracerProvider(resource=resource)
        tracers.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        trace.set_tracer_provider(tracers)
        last.append(tracers.force_flush)
    if section.metrics:
        reader = PeriodicExportingMetricReader(OTLPMetricExporter())
        meters = MeterProvider(resource=resource, metric_readers=[reader])
        metrics.set_meter_provider(meters)
        last.append(meters.force_flush)
    return last


def _ending(span: trace.Span, method: str) -> Callable[[Record], None]:
    def end(record: Record) -> None:
        if record.path is not None:
            span.update_name(f"{method} {record.path}")
        told = {
            "http.request.method": method,
            "url.path": record.path,
            "http.response.status_code": record.status or None,
            "client.address": record.peer,
            "darkroom.request_id": record.id,
            "darkroom.model": record.served or record.model,
            "darkroom.client": record.client,
            "darkroom.wire": record.wire,
            "darkroom.rows": record.rows,
            "darkroom.tokens": record.tokens or None,
            "darkroom.outcome": record.outcome,
            "darkroom.reason": record.reason,
            "darkroom.budget": record.budget,
            "darkroom.shadow": record.shadow,
        }
        for name, value in told.items():
            if value is not None:
                span.set_attribute(name, value)
        if record.outcome == "failed" or record.status >= 500:
            span.set_status(trace.StatusCode.ERROR)
        span.end(int((record.begun + record.seconds) * NANOSECONDS))

    return end
