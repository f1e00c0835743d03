"""Whether three workers ask a server at one pace, and count each row that it sees."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import tomli_w

from benchmarks.claims import Claim, Table, tell
from benchmarks.scale.subjects import darkroom, finish, results_without_times, write_rows
from darkroom.auditing.claims import Claims
from darkroom.auditing.store import Store

AT_ONCE = 2
SECONDS = 0.02
"""How long the server takes for a request."""


class _Server(ThreadingHTTPServer):
    """Predicts grades, slowly, and counts.

    Attributes:
        rows: How many it saw.
        most: How many requests it had at once.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.lock = threading.Lock()
        self.rows = self.now = self.most = 0

    def answer(self, rows: list[dict[str, object]]) -> list[list[float]]:
        with self.lock:
            self.rows += len(rows)
            self.now += 1
            self.most = max(self.most, self.now)
        time.sleep(SECONDS)
        with self.lock:
            self.now -= 1
        places = [int(float(str(one["age"])) > 50) + int(one["secret"] == "o") for one in rows]
        return [[0.9 if grade == place else 0.05 for grade in range(3)] for place in places]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_POST(self) -> None:
        sent = json.loads(self.rfile.read(int(self.headers["content-length"])))
        content = json.dumps({"answers": self.server.answer(sent["inputs"])}).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *arguments: object) -> None:
        """Says nothing."""


def pace_claims(folder: Path, *, quick: bool, seed: int) -> tuple[list[Claim], list[Table]]:
    """Audits a model behind a server on loopback by one process, and by three workers.

    Args:
        folder: Empty.
        quick: Makes no difference.
        seed: Decides the rows.
    """
    del quick
    tell("one process, then three workers ask a server")
    write_rows(folder, seed)
    rows: list[tuple[int, int, int, int]] = []
    found = []
    with _serving() as server:
        for workers in (1, 3):
            server.rows = server.most = 0
            run = _audited(folder, server.server_address[1], workers)
            counted = Claims(Store(run)).rows_asked() or 0
            rows.append((workers, server.most, server.rows, counted))
            found.append(results_without_times(run))
            run.rename(folder / f"by-{workers}")
    title = f"A server that may have {AT_ONCE} requests at once"
    columns = ("workers", "requests at once", "rows it saw", "rows counted")
    asked = rows[1]
    claims = [
        Claim("pace: requests at once of 3 workers", AT_ONCE, asked[1], at_most=True),
        Claim(
            "pace: rows that the server saw and the run did not count",
            0,
            abs(asked[2] - asked[3]),
            at_most=True,
        ),
        Claim("pace: results of 3 workers are those of one process", 1, int(found[0] == found[1])),
    ]
    return claims, [Table(title, columns, rows)]


@contextmanager
def _serving() -> Iterator[_Server]:
    with _Server() as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server
        server.shutdown()


def _audited(folder: Path, port: int, workers: int) -> Path:
    """Audits, and returns the run's folder."""
    priors = ("uniform", "marginals", "imputation")
    table = {
        "run": {"name": "scale", "out": "runs", "authorized_by": "the benchmark"},
        "target": {
            "kind": "http",
            "protocol": "json",
            "url": f"http://127.0.0.1:{port}/grade",
            "path": "answers",
            "answers": "scores",
            "response": "grade",
            "inputs": ["age", "city", "secret"],
            "concurrency": AT_ONCE,
            "batch": 8,
        },
        "private": {
            "table": "rows.csv",
            "rows": "0:140",
            "sensitive": "secret",
            "trained_on": "0:90",
            "groups": [],
        },
        "public": {"table": "rows.csv", "rows": "140:", "imputer": "logistic"},
        "attack": [
            *({"name": "map", "prior": {"name": name}} for name in priors),
            {"name": "csmia"},
            {"name": "lomia"},
        ],
    }
    (folder / "plan.toml").write_text(tomli_w.dumps(table))
    finish(darkroom(folder, "audit", "plan.toml", "--workers", str(workers)), folder)
    return folder / "runs" / "scale"
