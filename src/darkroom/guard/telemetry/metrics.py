"""Prometheus metrics of requests and rows."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Histogram

from darkroom.guard.telemetry.record import Record

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class Metrics:
    """Counts requests and rows for Prometheus.

    Attributes:
        registry: Has the metrics, and no others.
    """

    def __init__(self) -> None:
        """Makes a registry of its own."""
        self.registry = CollectorRegistry()
        labels = ("model", "client")
        self._requests = Counter(
            "darkroom_guard_requests",
            "Requests by what became of them.",
            (*labels, "outcome", "status"),
            registry=self.registry,
        )

        def counted(name: str, what: str) -> Counter:
            return Counter(f"darkroom_guard_{name}", what, labels, registry=self.registry)

        self._rows = counted("rows_charged", "Rows charged.")
        self._released = counted("rows_released", "Rows whose answers left.")
        self._tokens = counted("tokens_charged", "Tokens of language models charged.")
        self._alarms = counted("alarms", "Alarms of the detector that began with a request.")
        self._refused = Counter(
            "darkroom_guard_refusals",
            "Requests refused, in shadow mode those that would have been, by reason and budget.",
            (*labels, "reason", "budget"),
            registry=self.registry,
        )
        self._seconds = Histogram(
            "darkroom_guard_seconds",
            "Seconds from a request's head to the end of its answer.",
            ("model",),
            buckets=SECONDS,
            registry=self.registry,
        )

    def __call__(self, record: Record) -> None:
        """Counts one request."""
        who = (record.model, record.client or "unknown")
        self._requests.labels(*who, record.outcome, str(record.status)).inc()
        if record.rows:
            self._rows.labels(*who).inc(record.rows)
            if record.outcome == "released":
                self._released.labels(*who).inc(record.rows)
        if record.tokens:
            self._tokens.labels(*who).inc(record.tokens)
        if record.reason is not None:
            self._refused.labels(*who, record.reason, record.budget or "").inc()
        if record.alarms_begun:
            self._alarms.labels(*who).inc(record.alarms_begun)
        self._seconds.labels(record.model).observe(record.seconds)
