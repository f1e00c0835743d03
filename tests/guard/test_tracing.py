"""Spans and metrics of OpenTelemetry."""

from __future__ import annotations

import asyncio
import http.server
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest
from benchmarks.guard.servers import free_port
from tests.guard.conftest import KEYS, Bench
from tests.guard.raw_sockets import Recorder, exchanged, guard_process, statuses
from tests.support.needs import needed

trace = needed("opentelemetry.trace")
sdk = needed("opentelemetry.sdk.trace")
sdk_export = needed("opentelemetry.sdk.trace.export.in_memory_span_exporter")
simple = needed("opentelemetry.sdk.trace.export").SimpleSpanProcessor
sdk_metrics = needed("opentelemetry.sdk.metrics")
reading = needed("opentelemetry.sdk.metrics.export").InMemoryMetricReader

Make = Callable[..., Bench]
PARENT = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
HEAD = [
    (b"host", b"a"),
    (b"content-type", b"application/json"),
    (b"x-api-key", KEYS["alice"].encode()),
    (b"traceparent", PARENT),
]


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Keeps spans in memory."""
    exporter = sdk_export.InMemorySpanExporter()
    provider = sdk.TracerProvider()
    provider.add_span_processor(simple(exporter))
    monkeypatch.setattr(
        "darkroom.guard.telemetry.tracing.trace.get_tracer", lambda name: provider.get_tracer(name)
    )
    yield exporter
    provider.shutdown()


def test_a_request_is_a_span_below_its_clients_and_above_its_models(
    bench: Make, spans: Any
) -> None:
    made = bench(
        opentelemetry={"metrics": False, "parents": True}, budget=[{"name": "daily", "rows": 1}]
    )
    for status in (200, 429):
        assert asyncio.run(made.ask(headers=HEAD)).status == status
    first, second = spans.get_finished_spans()
    assert first.name == "POST /predict"
    assert trace.format_trace_id(first.context.trace_id) == PARENT.split(b"-")[1].decode()
    assert trace.format_span_id(first.parent.span_id) == PARENT.split(b"-")[2].decode()
    assert first.attributes["darkroom.client"] == "alice"
    assert first.attributes["darkroom.request_id"] == made.records[0].id
    assert (second.attributes["darkroom.budget"], second.attributes["darkroom.rows"]) == (
        "daily",
        0,
    )
    sent = dict(made.model.seen[0]["headers"])[b"traceparent"].decode().split("-")
    assert sent[2] == trace.format_span_id(first.context.span_id)
    assert made.records[0].line()["trace"] == sent[1]


def test_a_clients_trace_is_not_gone_on_with_unless_the_policy_says_so(
    bench: Make, spans: Any
) -> None:
    made = bench(opentelemetry={"metrics": False})
    unrecorded = [*HEAD[:-1], (b"traceparent", PARENT[:-1] + b"0")]
    asyncio.run(made.ask(headers=unrecorded))
    (span,) = spans.get_finished_spans()
    assert span.parent is None
    (link,) = span.links
    assert trace.format_trace_id(link.context.trace_id) == PARENT.split(b"-")[1].decode()
    sent = [value for name, value in made.model.seen[0]["headers"] if name == b"traceparent"]
    assert len(sent) == 1
    assert PARENT.split(b"-")[1] not in sent[0]


def test_requests_and_rows_are_counted(bench: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    reader = reading()
    provider = sdk_metrics.MeterProvider(metric_readers=[reader])
    monkeypatch.setattr(
        "darkroom.guard.telemetry.tracing.metrics.get_meter", lambda name: provider.get_meter(name)
    )
    made = bench(opentelemetry={"spans": False}, budget=[{"name": "daily", "rows": 3}])
    for rows in (2, 2):
        asyncio.run(made.ask(rows))
    told = reader.get_metrics_data().resource_metrics[0].scope_metrics[0].metrics
    sums = {
        one.name: sum(getattr(point, "value", 0) for point in one.data.data_points) for one in told
    }
    assert (sums["darkroom.guard.requests"], sums["darkroom.guard.rows.charged"]) == (2, 2)
    assert sums["darkroom.guard.refusals"] == 1
    provider.shutdown()


def test_nothing_of_it_is_there_unless_it_is_asked_for(bench: Make) -> None:
    made = bench()
    asyncio.run(made.ask(headers=HEAD))
    assert "trace" not in made.records[0].line()


class Collector(http.server.BaseHTTPRequestHandler):
    """Takes what is sent over OTLP, and keeps it with its path."""

    taken: ClassVar[list[tuple[str, bytes]]] = []

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.taken.append((self.path, body))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.mark.medium
@pytest.mark.slow
def test_a_guard_sends_its_spans_and_ends_though_nobody_takes_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Collector.taken.clear()
    collector = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Collector)
    threading.Thread(target=collector.serve_forever, daemon=True).start()
    monkeypatch.setenv("NO_PROXY", "*")
    body = b'{"inputs": [[1.5, 3.5]]}'
    head = b"POST /predict HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
    key = f"X-API-Key: {KEYS['alice']}\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    upstream = Recorder()
    for number, port in enumerate((collector.server_port, free_port())):
        folder = tmp_path / str(number)
        folder.mkdir()
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{port}")
        with guard_process(folder, upstream.url, opentelemetry={}) as guard:
            assert statuses(exchanged(guard.port, head + key + body)) == [200]
            begun = time.monotonic()
        assert time.monotonic() - begun < 30
    collector.shutdown()
    collector.server_close()
    upstream.close()
    paths = {path for path, _ in Collector.taken}
    assert paths == {"/v1/traces", "/v1/metrics"}
    assert any(b"POST /predict" in content for _, content in Collector.taken)
    assert not any(KEYS["alice"].encode() in content for _, content in Collector.taken)
    assert [len(one.of("traceparent")) for one in upstream.heads] == [1, 1]
