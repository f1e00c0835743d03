"""Clients that hold on to what they get: others are served all the same."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.guard.conftest import KEYS
from tests.guard.raw_sockets import Process, Recorder, exchanged, guard_process, statuses

BODY = b'{"inputs": [[1.5, 3.5]]}'
CHAT = json.dumps({"model": "m", "messages": [{"role": "user", "content": "a"}], "stream": True})
EVENT = json.dumps(
    {"id": "chatcmpl-1", "choices": [{"index": 0, "delta": {"content": "x" * 2000}}]}
).encode()


def asking(client: str, path: str = "/predict", body: bytes = BODY, length: int = 0) -> bytes:
    head = f"POST {path} HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
    head += f"X-API-Key: {KEYS[client]}\r\nContent-Length: {length or len(body)}\r\n\r\n"
    return head.encode() + body


def stream(line: socket.socket) -> None:
    """Streams events for as long as anybody takes them."""
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
    line.sendall(head + b"Transfer-Encoding: chunked\r\n\r\n")
    event = b"data: " + EVENT + b"\n\n"
    part = b"%x\r\n" % len(event) + event + b"\r\n"
    with contextlib.suppress(OSError):
        for _ in range(20_000):
            line.sendall(part)


@contextlib.contextmanager
def held(guard: Process, raw: bytes, count: int) -> Iterator[None]:
    """Opens connections that ask and take nothing."""
    lines = []
    try:
        for _ in range(count):
            line = socket.socket()
            line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            line.connect(("127.0.0.1", guard.port))
            line.sendall(raw)
            lines.append(line)
        time.sleep(0.3)
        yield
    finally:
        for line in lines:
            line.close()


def test_slow_bodies_and_unread_streams_of_one_leave_room_for_others(tmp_path: Path) -> None:
    upstream = Recorder()
    limits = {"at_once": 8, "send_seconds": 1.0, "stop_seconds": 1}
    with guard_process(tmp_path, upstream.url, limits=limits) as guard:
        with held(guard, asking("alice", body=b"{", length=100), 30):
            assert statuses(exchanged(guard.port, asking("bob")))[0] == 200
            refused = exchanged(guard.port, asking("alice"))
            assert (statuses(refused)[0], b"retry-after" in refused) == (503, True)
        upstream.answer = stream
        with held(guard, asking("alice", "/v1/chat/completions", CHAT.encode()), 20):
            time.sleep(2.5)  # they are cut off after a second unread
            assert statuses(exchanged(guard.port, asking("alice")))[0] != 503
        assert {one["reason"] for one in guard.records()} >= {"Busy"}
    upstream.close()


def test_an_end_does_not_wait_for_who_reads_nothing(tmp_path: Path) -> None:
    upstream = Recorder()
    upstream.answer = stream
    limits = {"at_once": 100, "send_seconds": 60.0, "stop_seconds": 1}
    with (
        guard_process(tmp_path, upstream.url, limits=limits) as guard,
        held(guard, asking("alice", "/v1/chat/completions", CHAT.encode()), 50),
    ):
        began = time.monotonic()
        os.kill(guard.pid, signal.SIGTERM)
        while _lives(guard.pid):
            assert time.monotonic() - began < 20
            time.sleep(0.05)
        assert time.monotonic() - began < 10
    upstream.close()


def test_what_speaks_grpc_is_told_so(tmp_path: Path) -> None:
    upstream = Recorder()
    with guard_process(tmp_path, upstream.url) as guard:
        preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0"
        assert b"guards no gRPC" in exchanged(guard.port, preface)
    upstream.close()


def _lives(pid: int) -> bool:
    with contextlib.suppress(FileNotFoundError):
        return Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"
    return False


pytestmark = pytest.mark.medium
