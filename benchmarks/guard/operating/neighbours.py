"""What stands around a guard in a day: models that count, clients, a Redis, a name that turns."""

from __future__ import annotations

import http.client
import json
import signal
import socket
import subprocess
import threading
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from benchmarks.guard.servers import found, free_port

NUMBERS = {"alice": 1.0, "bob": 2.0, "carol": 3.0}
"""By which the model knows whose rows it sees."""


class Model:
    """A model that counts whose rows it sees."""

    def __init__(self) -> None:
        """Has seen none."""
        self.rows: Counter[float] = Counter()
        self.app = Starlette(routes=[Route("/predict", self._predict, methods=["POST"])])

    async def _predict(self, request: Request) -> JSONResponse:
        rows = (await request.json())["inputs"]
        self.rows.update(row[0] for row in rows)
        return JSONResponse({"scores": [[0.75, 0.25]] * len(rows)})

    def of(self, client: str) -> int:
        """Returns a client's rows."""
        return self.rows[NUMBERS[client]]


def ask(port: int, client: str, key: str | None = None) -> int:
    """Asks one row on a connection of its own; returns the status, 0 if the connection broke."""
    body = json.dumps({"inputs": [[NUMBERS[client], 1.0]]})
    head = {"x-api-key": key or f"dk_{client}", "content-type": "application/json"}
    line = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        line.request("POST", "/predict", body, head)
        answer = line.getresponse()
        answer.read()
        return answer.status
    except (OSError, http.client.HTTPException):
        return 0
    finally:
        line.close()


class Honest:
    """A client that asks a row fifty times a second, and counts what it gets."""

    def __init__(self, port: int) -> None:
        """Begins."""
        self.key, self._port = "dk_alice", port
        self.seen: Counter[int] = Counter()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._ask)
        self._thread.start()

    def _ask(self) -> None:
        while not self._over.wait(0.02):
            self.seen[ask(self._port, "alice", self.key)] += 1

    def taken(self) -> Counter[int]:
        """Returns what came since the last time."""
        seen, self.seen = self.seen, Counter()
        return seen

    def stop(self) -> None:
        """Ends."""
        self._over.set()
        self._thread.join()


class Switch:
    """A port that leads to one of several others, as the name of a primary does."""

    def __init__(self, to: int) -> None:
        """Listens."""
        self.to = to
        self._lines: list[socket.socket] = []
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listening.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    def turn(self, to: int) -> None:
        """Leads elsewhere from now on, and ends the connections there are."""
        self.to = to
        for line in self._lines:
            with suppress(OSError):
                line.shutdown(socket.SHUT_RDWR)
        self._lines = []

    def close(self) -> None:
        """Takes no more."""
        self.turn(self.to)
        self._listening.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                line, _ = self._listening.accept()
                try:
                    other = socket.create_connection(("127.0.0.1", self.to))
                except OSError:
                    line.close()
                    continue
                self._lines += [line, other]
                for pair in ((line, other), (other, line)):
                    threading.Thread(target=_carry, args=pair, daemon=True).start()


def _carry(one: socket.socket, other: socket.socket) -> None:
    with suppress(OSError):
        while part := one.recv(65536):
            other.sendall(part)
    for line in (one, other):
        with suppress(OSError):
            line.shutdown(socket.SHUT_RDWR)


class Redis:
    """A Redis that keeps all it is told, which may be ended and started again."""

    def __init__(self, folder: Path, *more: str) -> None:
        """Starts it in a folder of its own."""
        folder.mkdir()
        self.port = free_port()
        program = found("redis-server") or found("valkey-server")
        assert program is not None
        durable = ["--appendonly", "yes", "--appendfsync", "always", "--save", ""]
        self._command = [program, "--port", str(self.port), "--bind", "127.0.0.1"]
        self._command += ["--dir", str(folder), *durable, *more]
        self.start()

    def start(self) -> None:
        """Starts it, and waits until it answers."""
        import redis

        self.process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL)
        with redis.Redis(port=self.port) as client:
            for _ in range(200):
                with suppress(redis.RedisError):
                    client.ping()
                    return
                time.sleep(0.05)
        raise RuntimeError("Redis does not start")

    def end(self, how: signal.Signals = signal.SIGTERM) -> None:
        """Ends it."""
        self.process.send_signal(how)
        self.process.wait(20)
