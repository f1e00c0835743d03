"""A model's server to try the guard with: it answers the same scores for every row."""

from __future__ import annotations

import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

SCORES = [0.7345, 0.2155, 0.05]


class Handler(BaseHTTPRequestHandler):
    """Answers ``POST /predict`` and ``GET /health``."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Says that it is well."""
        self._answer({"ok": True})

    def do_POST(self) -> None:
        """Answers as many rows as are asked."""
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self._answer({"scores": [SCORES] * len(body["inputs"])})

    def _answer(self, what: object) -> None:
        content = json.dumps(what).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


if __name__ == "__main__":
    ThreadingHTTPServer((sys.argv[1], int(sys.argv[2])), Handler).serve_forever()
