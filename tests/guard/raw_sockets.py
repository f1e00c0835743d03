"""A guard in a process of its own, an upstream that keeps every byte, and lines to both."""

from __future__ import annotations

import contextlib
import json
import re
import select
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import tomli_w
from tests.guard.conftest import policy_table

START = "import sys; from darkroom.commands.main import main; sys.argv[0] = 'darkroom'; main()"
ANSWER = b'{"scores": [[0.25, 0.75]]}'
OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


class Head(NamedTuple):
    """A request's head as the upstream got it.

    Attributes:
        method: Of the request line.
        target: Likewise.
        fields: Names in lower case, and values, in order.
    """

    method: str
    target: str
    fields: list[tuple[str, str]]

    def of(self, name: str) -> list[str]:
        """Returns all values of a field."""
        return [value for key, value in self.fields if key == name]


def answer(line: socket.socket) -> None:
    """Sends one row of scores."""
    line.sendall(OK + b"Content-Length: %d\r\n\r\n" % len(ANSWER) + ANSWER)


class Recorder:
    """A server that keeps every byte and reads requests as strictly as can be.

    Attributes:
        heads: Of the requests that came.
        errors: What was no request.
        answer: Called with the connection after each request.
    """

    def __init__(self) -> None:
        self.heads: list[Head] = []
        self.errors: list[bytes] = []
        self.answer: Callable[[socket.socket], None] = answer
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}"
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self._thread.join()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                line, _ = self._listening.accept()
                threading.Thread(target=self._serve, args=(line,), daemon=True).start()

    def _serve(self, line: socket.socket) -> None:
        seen = b""
        with line, contextlib.suppress(OSError):
            while part := line.recv(1 << 20):
                seen += part
                while (taken := self._request(seen)) > 0:
                    seen = seen[taken:]
                    self.answer(line)
        if seen:
            self.errors.append(seen)

    def _request(self, seen: bytes) -> int:
        """Notes the request at the start, and returns its length; 0 if it is not whole yet."""
        head, found, rest = seen.partition(b"\r\n\r\n")
        if not found:
            return 0
        first, *lines = head.decode("latin-1").split("\r\n")
        method, target, version = first.split(" ")
        fields = [
            (name.lower(), value.strip()) for name, _, value in (s.partition(":") for s in lines)
        ]
        made = Head(method, target, fields)
        lengths = made.of("content-length")
        size = int(lengths[0]) if lengths else 0
        if len(rest) < size:
            return 0
        plain = version == "HTTP/1.1" and len(lengths) <= 1 and not made.of("transfer-encoding")
        if (
            not plain
            or len(made.of("host")) != 1
            or re.search(r"[\r\n\0]", head.decode("latin-1").replace("\r\n", ""))
        ):
            self.errors.append(seen)
        self.heads.append(made)
        return len(head) + 4 + size


class Process(NamedTuple):
    """A guard that runs.

    Attributes:
        port: Where it listens.
        pid: Of the process.
        log: Its audit log.
    """

    port: int
    pid: int
    log: Path

    def charged(self, least: int = 0) -> int:
        """Returns the rows charged so far, of requests that are over.

        Args:
            least: How many are waited for: the log is written after the answer.
        """
        while (rows := sum(int(line["rows"]) for line in self.records())) < least:
            time.sleep(0.01)
        return rows

    def records(self) -> list[dict[str, Any]]:
        """Returns what the audit log says."""
        if not self.log.exists():
            return []
        lines = self.log.read_text().splitlines(keepends=True)
        # The last may be half written at this moment.
        return [json.loads(line) for line in lines if line.endswith("\n")]

    def forget_peak(self) -> None:
        """Begins anew with what is resident now."""
        Path(f"/proc/{self.pid}/clear_refs").write_text("5")

    def peak(self) -> int:
        """Returns the most bytes that were resident at a time."""
        told = Path(f"/proc/{self.pid}/status").read_text()
        found = re.search(r"VmHWM:\s+(\d+) kB", told)
        assert found is not None
        return int(found[1]) * 1024


@contextlib.contextmanager
def guard_process(folder: Path, upstream: str, *more: str, **changes: object) -> Iterator[Process]:
    """Runs ``darkroom guard`` on a free port.

    Args:
        folder: For its files.
        upstream: The model's server.
        more: Further arguments.
        changes: Tables of the policy.
    """
    log = folder / "audit.log"
    wires = [{"name": "json", "route": "/predict"}, {"name": "openai"}]
    table = policy_table(
        **{
            "wire": wires,
            "log": {"path": str(log)},
            "store": {"path": str(folder / "guard.sqlite"), "create": True},
            "budget": [{"name": "daily", "per": "client", "rows": 10_000}],
            **changes,
        }
    )
    policy = folder / "guard.toml"
    policy.write_text(tomli_w.dumps(table))
    arguments = ["guard", "--policy", str(policy), "--upstream", upstream]
    if "--port" not in more:
        arguments += ["--port", "0"]
    command = [sys.executable, "-c", START, *arguments, *more]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as running:
        assert running.stderr is not None
        try:
            said = ""
            while not (found := re.search(r" on http://127\.0\.0\.1:(\d+)", said)):
                line = running.stderr.readline()
                assert line, said
                said += line
            made = Process(int(found[1]), running.pid, log)
            _listens(made.port)
            # A pipe that nobody reads is full after 64 KiB, and then the guard waits for ever.
            reading = threading.Thread(target=running.stderr.read)
            reading.start()
            try:
                yield made
            finally:
                running.terminate()
                reading.join()
        finally:
            running.terminate()


def _listens(port: int) -> None:
    """Waits until somebody takes connections there."""
    for _ in range(1200):
        with contextlib.suppress(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port)).close()
            return
        time.sleep(0.05)
    raise AssertionError("nobody listens")


def exchanged(port: int, raw: bytes, *, answers: int = 1, patience: float = 60.0) -> bytes:
    """Sends bytes and returns what comes back, without hanging up in between.

    Args:
        port: Where.
        raw: All of it.
        answers: How many are waited for; what follows at once is returned with them.
        patience: Seconds to wait for the next byte of them.
    """
    came = b""
    with socket.create_connection(("127.0.0.1", port)) as line, contextlib.suppress(OSError):
        line.settimeout(patience)
        with contextlib.suppress(OSError):
            line.sendall(raw)
        while part := line.recv(65536):
            came += part
            if len(re.findall(rb"HTTP/1\.1 [2-5]", came)) >= answers:
                line.settimeout(0.05)
    return came


def poured(port: int, head: bytes, part: bytes, most: int) -> tuple[bytes, int]:
    """Sends a head and then a part again and again, until the other side answers or ends.

    Args:
        port: Where.
        head: Of the request.
        part: Repeated.
        most: When to give up, in bytes.

    Returns:
        What came back, and how many bytes could be sent.
    """
    sent = 0
    with socket.create_connection(("127.0.0.1", port), timeout=10) as line:
        line.sendall(head)
        with contextlib.suppress(OSError):
            while sent < most and not select.select([line], [], [], 0)[0]:
                sent += line.send(part)
        return _rest(line), sent


def _rest(line: socket.socket) -> bytes:
    came = b""
    with contextlib.suppress(OSError):
        while part := line.recv(65536):
            came += part
    return came


def statuses(came: bytes) -> list[int]:
    """Returns the statuses of the answers in what came back."""
    return [int(one) for one in re.findall(rb"HTTP/1\.1 (\d{3}) ", came)]
