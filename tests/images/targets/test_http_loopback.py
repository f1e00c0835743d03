"""Models behind an API, over real sockets: servers that die, that are hostile, that say wait."""

from __future__ import annotations

import json
import select
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from numpy.typing import NDArray

from darkroom.errors import TargetError
from darkroom.images.targets.http import HttpTarget
from darkroom.images.targets.wire.plain_json import PlainJson
from darkroom.ledger import QueryLedger
from darkroom.remote.delivery import Delivery
from darkroom.vision.spec import ImageSpec

SHAPE = (1, 2, 2)
WEIGHTS = np.random.default_rng(5).standard_normal((4, 3))


def truth(images: NDArray[np.float32]) -> NDArray[np.float64]:
    raised = np.exp(images.reshape(-1, 4).astype(np.float64) @ WEIGHTS)
    return np.asarray(raised / raised.sum(axis=1, keepdims=True))


def photos(count: int) -> NDArray[np.float32]:
    return np.random.default_rng(count).random((count, *SHAPE), np.float32)


@contextmanager
def reaching(port: int, delivery: Delivery, query: str = "") -> Iterator[HttpTarget]:
    wire = PlainJson(f"http://127.0.0.1:{port}/faces{query}", ImageSpec(SHAPE))
    target = HttpTarget(wire, SHAPE, authorized_by="the owner", delivery=delivery)
    try:
        yield target
    finally:
        target.close()


def ask(target: HttpTarget, ledger: QueryLedger, rows: int) -> NDArray[np.float64]:
    with target.billed(ledger.bill(np.zeros(rows, np.int64))):
        return target.scores(photos(rows))


class Process:
    """A server in a process of its own, which may be killed and started again."""

    def __init__(self, counter: Path) -> None:
        self.counter, self.port = counter, 0
        self.start()

    def start(self) -> None:
        script = Path(__file__).with_name("serve.py")
        self.process = subprocess.Popen(
            [sys.executable, str(script), str(self.port), str(self.counter)],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        self.port = int(self.process.stdout.readline())

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()

    @property
    def rows(self) -> int:
        return sum(map(int, self.counter.read_text().split()))


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Process]:
    (tmp_path / "rows").touch()
    process = Process(tmp_path / "rows")
    yield process
    process.kill()


def test_rows_counted_are_rows_served(server: Process) -> None:
    ledger = QueryLedger(1)
    with reaching(server.port, Delivery(batch=16, concurrency=4)) as target:
        met = server.rows
        for rows in (1, 200, 33):
            np.testing.assert_allclose(ask(target, ledger, rows), truth(photos(rows)), atol=1e-9)
        assert ledger.total == server.rows - met == 234
        assert target.rows_sent == server.rows


@pytest.mark.medium
def test_a_server_killed_between_queries_costs_time_only(server: Process) -> None:
    ledger = QueryLedger(1)
    with reaching(server.port, Delivery(batch=8, backoff=0.05)) as target:
        met = server.rows
        before = ask(target, ledger, 40)
        server.kill()
        again = threading.Timer(0.5, server.start)
        again.start()
        after = ask(target, ledger, 40)
        again.join()
        np.testing.assert_array_equal(before, after)
        assert ledger.total == server.rows - met == 80


@pytest.mark.medium
def test_a_server_killed_in_a_query_costs_what_it_may_have_seen(server: Process) -> None:
    ledger = QueryLedger(1)
    delivery = Delivery(batch=4, concurrency=3, backoff=0.05)
    with reaching(server.port, delivery) as target:
        met = server.rows
        killed = []

        def kill_and_start() -> None:
            while server.rows - met < 200:
                time.sleep(0.002)
            server.kill()
            killed.append(server.rows - met)
            server.start()

        thread = threading.Thread(target=kill_and_start)
        thread.start()
        scores = ask(target, ledger, 2000)
        thread.join()
        assert 200 <= killed[0] < 2000, "it died in the middle"
        np.testing.assert_allclose(scores, truth(photos(2000)), atol=1e-9)
        unseen = ledger.total - (server.rows - met)
        assert 0 <= unseen <= 3 * 4, "at most what was on its way when it died"


@pytest.mark.medium
def test_too_many_requests(server: Process) -> None:
    ledger = QueryLedger(1)
    delivery = Delivery(batch=5, concurrency=2, backoff=0.05)
    with reaching(server.port, delivery, "?limit=4") as target:
        met = server.rows
        scores = ask(target, ledger, 40)
        np.testing.assert_allclose(scores, truth(photos(40)), atol=1e-9)
        assert ledger.total == server.rows - met > 40, "requests that were refused were seen too"


@pytest.mark.medium
def test_a_server_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    tries = []

    async def connect(transport: httpx.AsyncHTTPTransport, request: httpx.Request) -> Any:
        tries.append(request)
        return await real(transport, request)

    real = httpx.AsyncHTTPTransport.handle_async_request
    monkeypatch.setattr(httpx.AsyncHTTPTransport, "handle_async_request", connect)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        with (
            pytest.raises(TargetError, match="cannot be reached: ConnectError"),
            reaching(taken.getsockname()[1], Delivery(patience=0.3, backoff=0.1)),
        ):
            pass
    # Pauses double, so that after 0.3 seconds of them no more than five attempts were made.
    assert 1 <= len(tries) <= 5


OK = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"


class Raw:
    """Answers the first connection as it should and every later one as it is told to."""

    def __init__(self, behaviour: Callable[[socket.socket], None]) -> None:
        self.behaviour, self.connections = behaviour, 0
        self.ended = threading.Event()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.thread = threading.Thread(target=self.serve)
        self.thread.start()

    def serve(self) -> None:
        threads = []
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                break
            if self.ended.is_set():
                connection.close()
                break
            self.connections += 1
            work = sound if self.connections == 1 else self.behaviour
            threads.append(threading.Thread(target=self.handle, args=(connection, work)))
            threads[-1].start()
        for thread in threads:
            thread.join()

    def handle(self, connection: socket.socket, work: Callable[[socket.socket], None]) -> None:
        with connection, suppress(OSError):
            connection.settimeout(60)
            work(connection)

    def end(self) -> None:
        self.ended.set()
        with suppress(OSError):
            socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
        self.thread.join()
        self.listener.close()


def read_request(connection: socket.socket) -> NDArray[np.float32]:
    received = b""
    while b"\r\n\r\n" not in received:
        received += connection.recv(65536)
    head, _, body = received.partition(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length:")[2].split()[0])
    while len(body) < length:
        body += connection.recv(65536)
    return np.array(json.loads(body)["inputs"], np.float32)


def body_of(images: NDArray[np.float32]) -> bytes:
    return json.dumps({"scores": truth(images).tolist()}).encode()


def sound(connection: socket.socket) -> None:
    body = body_of(read_request(connection))
    connection.sendall(
        OK + f"connection: close\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body
    )


def answering(head: bytes, body: bytes = b"", times: int = 1) -> Callable[[socket.socket], None]:
    def behave(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(head)
        for _ in range(times):
            connection.sendall(body)

    return behave


def dripping(head: bytes, drop: bytes) -> Callable[[socket.socket], None]:
    def behave(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(head)
        while True:  # until the other side hangs up
            connection.sendall(drop)
            time.sleep(0.02)

    return behave


def deaf(connection: socket.socket) -> None:
    hung_up = select.poll()
    hung_up.register(connection, select.POLLRDHUP)
    hung_up.poll()


HOSTILE: dict[str, Callable[[socket.socket], None]] = {
    "closes at once": lambda connection: None,
    "reads and closes": answering(b""),
    "never reads": deaf,
    "drips a status line": dripping(b"HTTP/1.1 200 ", b"O"),
    "drips headers": dripping(OK, b"x: y\r\n"),
    "drips a body": dripping(OK + b"content-length: 100000\r\n\r\n", b" "),
    "drips without length": dripping(OK + b"\r\n", b" "),
    "continues for ever": dripping(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "endless headers": answering(OK, b"x: " + b"y" * 1000 + b"\r\n", 1000),
    "truncated": answering(OK + b'content-length: 1000\r\n\r\n{"scores": [['),
    "truncated chunks": answering(OK + b"transfer-encoding: chunked\r\n\r\n5\r\n{"),
    "wrong chunks": answering(OK + b"transfer-encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n"),
    "no HTTP": answering(b"\x00\x01\x02 nonsense\r\n\r\n"),
    "another protocol": answering(b"SSH-2.0-server\r\n"),
    "wrong length": answering(OK + b"content-length: -5\r\n\r\n"),
    "two lengths": answering(OK + b"content-length: 5\r\ncontent-length: 6\r\n\r\n{}"),
    "huge": answering(OK + b"content-length: 10000000000\r\n\r\n", b"x" * 65536, 200),
    "huge chunks": answering(
        OK + b"transfer-encoding: chunked\r\n\r\n", b"10000\r\n" + b"x" * 65536 + b"\r\n", 200
    ),
    "compressed": answering(OK + b"content-encoding: gzip\r\ncontent-length: 2\r\n\r\n\x1f\x8b"),
    "redirects": answering(b"HTTP/1.1 307 X\r\nlocation: http://127.0.0.1:9/\r\n\r\n"),
    "asks to upgrade": answering(b"HTTP/1.1 101 X\r\nupgrade: y\r\n\r\n"),
    "odd status": answering(b"HTTP/1.1 999 X\r\ncontent-length: 0\r\n\r\n"),
    "no JSON": answering(OK + b"content-length: 3\r\n\r\n\xff\xfe\x00"),
    "odd limits": answering(
        b"HTTP/1.1 429 X\r\nretry-after: -1e999\r\nratelimit: \xff;;;\r\ncontent-length: 0\r\n\r\n"
    ),
    "a limit of years": answering(b"HTTP/1.1 503 X\r\nretry-after: 999999999\r\n\r\n"),
}


@pytest.mark.medium
@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_server_is_refused_in_time_and_counted(name: str) -> None:
    server = Raw(HOSTILE[name])
    delivery = Delivery(
        batch=2, timeout=0.6, retries=1, backoff=0.01, patience=2, longest_answer=1_000_000
    )
    ledger = QueryLedger(1)
    try:
        with reaching(server.port, delivery) as target:
            with pytest.raises(TargetError) as caught:
                ask(target, ledger, 2)
            assert ledger.total == 2 * (server.connections - 1) > 0
            assert target.rows_sent == 2 * server.connections
    finally:
        server.end()
    assert str(caught.value).isprintable()


def test_one_hostile_answer_is_survived() -> None:
    turns = []

    def behave(connection: socket.socket) -> None:
        turns.append(1)
        (HOSTILE["truncated"] if len(turns) == 1 else sound)(connection)

    server = Raw(behave)
    ledger = QueryLedger(1)
    try:
        with reaching(server.port, Delivery(batch=2, backoff=0.01)) as target:
            np.testing.assert_allclose(ask(target, ledger, 2), truth(photos(2)), atol=1e-6)
        assert ledger.total == 4
    finally:
        server.end()
