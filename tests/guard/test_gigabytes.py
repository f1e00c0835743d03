"""Bodies and answers of a gigabyte: refused early, in bounded memory, by a guard on loopback."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable, Iterator

import pytest
from tests.guard.conftest import KEYS
from tests.guard.raw_sockets import (
    OK,
    Process,
    Recorder,
    exchanged,
    guard_process,
    poured,
    statuses,
)
from tests.support.processes import cpu_seconds

GIGABYTE = 2**30
LIMIT = 8 * 2**20
"""What a guard reads of a body or an answer, unless told otherwise."""
RISE = 64 * 2**20
BUFFERS = 32 * 2**20
"""What lies in sockets at most: sent, and not read by anybody."""
PART = b"1.5,3.5," * (2**17)
WHO = f"Host: a\r\nContent-Type: application/json\r\nAuthorization: Bearer {KEYS['alice']}\r\n"
ASK = f"POST /predict HTTP/1.1\r\n{WHO}".encode()
SMALL = b'{"inputs": [[1.5, 3.5]]}'
SOUND = ASK + b"Content-Length: %d\r\n\r\n" % len(SMALL) + SMALL


@pytest.fixture(scope="module")
def upstream() -> Iterator[Recorder]:
    made = Recorder()
    yield made
    made.close()


@pytest.fixture(scope="module")
def guard(upstream: Recorder, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    with guard_process(tmp_path_factory.mktemp("gigabytes"), upstream.url) as made:
        assert statuses(exchanged(made.port, SOUND)) == [200]
        yield made


@contextlib.contextmanager
def bounded(
    guard: Process, upstream: Recorder, seconds: float, *, asked: int = 0
) -> Iterator[None]:
    """Fails if the guard works longer, or its memory rises; or if it serves nobody afterwards.

    Args:
        guard: Whose work and memory.
        upstream: Behind it.
        seconds: How long it may work.
        asked: How often the upstream is asked, and rows are charged.
    """
    guard.forget_peak()
    before, heads, began = guard.peak(), len(upstream.heads), cpu_seconds(guard.pid)
    charged = guard.charged()
    yield
    worked, rise = cpu_seconds(guard.pid) - began, guard.peak() - before
    print(f"{worked:.2f} s, {rise / 2**20:.1f} MiB more")  # noqa: T201
    assert worked < seconds
    assert rise < RISE
    assert statuses(exchanged(guard.port, SOUND)) == [200]
    assert len(upstream.heads) - heads == asked + 1
    assert guard.charged(charged + asked + 1) - charged == asked + 1


@pytest.mark.medium
def test_a_declared_gigabyte_is_refused_from_its_head(guard: Process, upstream: Recorder) -> None:
    with bounded(guard, upstream, 1.0):
        came, sent = poured(
            guard.port, ASK + b"Content-Length: %d\r\n\r\n" % GIGABYTE, PART, GIGABYTE
        )
    assert statuses(came) == [413]
    assert sent < BUFFERS


@pytest.mark.medium
@pytest.mark.parametrize("size", [len(PART), 16])
def test_a_gigabyte_in_chunks_is_refused_at_the_limit(
    size: int, guard: Process, upstream: Recorder
) -> None:
    chunk = b"%x\r\n" % size + PART[:size] + b"\r\n"
    with bounded(guard, upstream, 2.0 if size > 16 else 10.0):
        chunks = chunk * max(1, len(PART) // len(chunk))
        came, sent = poured(
            guard.port, ASK + b"Transfer-Encoding: chunked\r\n\r\n", chunks, GIGABYTE
        )
    assert statuses(came) == [413]
    assert sent < (LIMIT + BUFFERS) * (len(chunk) / size)


@pytest.mark.medium
def test_a_gigabyte_without_a_key_is_not_read_at_all(guard: Process, upstream: Recorder) -> None:
    head = b"POST /predict HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    with bounded(guard, upstream, 1.0):
        came, sent = poured(guard.port, head, b"%x\r\n" % len(PART) + PART + b"\r\n", GIGABYTE)
    assert statuses(came) == [401]
    assert sent < BUFFERS


CHUNKS = ASK + b"Transfer-Encoding: chunked\r\n\r\n"
LAST = b"18\r\n" + SMALL + b"\r\n0\r\n"
ENDLESS = {
    "a field": (ASK + b"X-Pad: ", b"a" * 65536),
    "fields": (ASK, b"X-Pad: a\r\n" * 6554),
    "a name": (ASK, b"a" * 65536),
    "a target": (b"GET /", b"a" * 65536),
    "a method": (b"", b"A" * 65536),
    "empty lines": (b"", b"\r\n" * 32768),
    "a chunk's extension": (CHUNKS + b"18;", b"a" * 65536),
    "a trailer": (CHUNKS + LAST + b"X-Pad: ", b"a" * 65536),
    "trailers": (CHUNKS + LAST, b"X-Pad: a\r\n" * 6554),
}


@pytest.mark.medium
@pytest.mark.parametrize("name", ENDLESS)
def test_what_never_comes_to_an_end_is_cut_off(
    name: str, guard: Process, upstream: Recorder
) -> None:
    with bounded(guard, upstream, 1.0):
        came, sent = poured(guard.port, *ENDLESS[name], GIGABYTE)
    assert statuses(came) in ([431], [400], [])
    assert sent < BUFFERS


def poured_answer(head: bytes, part: bytes, poured: list[int]) -> Callable[[socket.socket], None]:
    """Returns an answer of a gigabyte, which notes how much of it was taken."""

    def answer(line: socket.socket) -> None:
        line.sendall(head)
        with contextlib.suppress(OSError):
            while poured[0] < GIGABYTE:
                poured[0] += line.send(part)

    return answer


@pytest.mark.medium
@pytest.mark.parametrize(
    ("head", "part"),
    [
        (OK + b"Content-Length: %d\r\n\r\n" % GIGABYTE, PART),
        (OK + b"Transfer-Encoding: chunked\r\n\r\n", b"%x\r\n" % len(PART) + PART + b"\r\n"),
        (OK + b"\r\n", PART),
        (OK + b"X-Pad: ", PART),
        (OK + b"Content-Encoding: gzip\r\n\r\n", PART),
    ],
    ids=["declared", "chunked", "until the end", "in a header", "compressed"],
)
def test_an_answer_of_a_gigabyte_is_refused(
    head: bytes, part: bytes, guard: Process, upstream: Recorder
) -> None:
    sound, taken = upstream.answer, [0]
    upstream.answer = poured_answer(head, part, taken)
    with bounded(guard, upstream, 2.0, asked=1):
        came = exchanged(guard.port, SOUND)
        upstream.answer = sound
    assert statuses(came) == [502]
    assert taken[0] < LIMIT + BUFFERS
    assert b"1.5" not in came


@pytest.mark.medium
@pytest.mark.parametrize("part", [b"a" * 65536, b"data: {}\n\n" * 6553], ids=["a line", "events"])
def test_a_stream_of_a_gigabyte_ends(part: bytes, guard: Process, upstream: Recorder) -> None:
    sound, taken = upstream.answer, [0]
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"
    upstream.answer = poured_answer(head, part, taken)
    body = b'{"model": "m", "messages": [{"role": "user", "content": "a"}], "stream": true}'
    ask = ASK.replace(b"/predict", b"/v1/chat/completions")
    with bounded(guard, upstream, 5.0, asked=1):
        came = exchanged(guard.port, ask + b"Content-Length: %d\r\n\r\n" % len(body) + body)
        upstream.answer = sound
    assert statuses(came) == [200]
    assert taken[0] < LIMIT + BUFFERS
    assert b"[DONE]" not in came
