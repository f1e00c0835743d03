"""A small server of a linear model, to be run, killed and run again: PORT, and where to count.

Every row is written down before it is answered. ``POST /faces`` answers; a query ``?limit=N``
allows N requests a second and sends 429 with Retry-After for the others.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import numpy as np

WEIGHTS = np.random.default_rng(5).standard_normal((4, 3))
RECENT: list[float] = []
LOCK = threading.Lock()


class Handler(BaseHTTPRequestHandler):
    """Answers one request after another on a connection."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    counter: Path

    def do_POST(self) -> None:
        content = self.rfile.read(int(self.headers["content-length"]))
        rows = np.array(json.loads(content)["inputs"]).reshape(-1, 4)
        with self.counter.open("a") as file:
            file.write(f"{len(rows)}\n")
        limit = parse_qs(urlsplit(self.path).query).get("limit")
        if limit and not self.allowed(int(limit[0])):
            self.reply(429, b"too many", [("retry-after", "1")])
            return
        raised = np.exp(rows.astype(np.float32).astype(np.float64) @ WEIGHTS)
        scores = raised / raised.sum(axis=1, keepdims=True)
        self.reply(200, json.dumps({"scores": scores.tolist()}).encode(), [])

    def allowed(self, limit: int) -> bool:
        with LOCK:
            RECENT[:] = [one for one in RECENT if one > time.monotonic() - 1]
            if len(RECENT) >= limit:
                return False
            RECENT.append(time.monotonic())
            return True

    def reply(self, status: int, body: bytes, headers: list[tuple[str, str]]) -> None:
        self.send_response(status)
        for name, value in [("content-length", str(len(body))), *headers]:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002
        pass


if __name__ == "__main__":
    Handler.counter = Path(sys.argv[2])
    server = ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler)
    sys.stdout.write(f"{server.server_address[1]}\n")
    sys.stdout.flush()
    server.serve_forever()
