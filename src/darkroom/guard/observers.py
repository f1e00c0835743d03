"""Those who are told of every request: Prometheus metrics and the audit log."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import orjson
from prometheus_client import CollectorRegistry, Counter, Histogram

from darkroom.guard.request_record import Record

logger = logging.getLogger("darkroom.guard")

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
        self._rows = Counter(
            "darkroom_guard_rows_charged", "Rows charged.", labels, registry=self.registry
        )
        self._released = Counter(
            "darkroom_guard_rows_released",
            "Rows whose answers left.",
            labels,
            registry=self.registry,
        )
        self._refused = Counter(
            "darkroom_guard_refusals",
            "Requests refused, in shadow mode those that would have been, by reason and budget.",
            (*labels, "reason", "budget"),
            registry=self.registry,
        )
        self._alarms = Counter(
            "darkroom_guard_alarms",
            "Alarms of the detector that began with a request.",
            labels,
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
        if record.reason is not None:
            self._refused.labels(*who, record.reason, record.budget or "").inc()
        if record.alarms_begun:
            self._alarms.labels(*who).inc(record.alarms_begun)
        self._seconds.labels(record.model).observe(record.seconds)


class AuditLog:
    """Writes a line of JSON a request, for its owner alone; without inputs and answers.

    A file that was moved away is begun anew. A log that cannot be written is told and does not
    stop the guard, whose budgets do not depend on it.
    """

    def __init__(self, path: Path) -> None:
        """Takes the file, whose folder exists."""
        self.path = path
        self._file: int | None = None
        self._inode: tuple[int, int] | None = None
        self._failed = False

    def __call__(self, record: Record) -> None:
        """Writes one line."""
        try:
            self._open()
            assert self._file is not None
            os.write(self._file, orjson.dumps(record.line(), option=orjson.OPT_APPEND_NEWLINE))
            self._failed = False
        except OSError as error:
            if not self._failed:
                logger.error("%s: the audit log cannot be written (%s)", self.path, error.strerror)
            self._failed = True

    def close(self) -> None:
        """Closes the file."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _open(self) -> None:
        try:
            found = self.path.stat()
            inode = (found.st_dev, found.st_ino)
        except FileNotFoundError:
            inode = None
        if self._file is not None and inode == self._inode:
            return
        self.close()
        self._file = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        found = os.fstat(self._file)
        self._inode = (found.st_dev, found.st_ino)
