"""Requests over raw sockets that two servers could read differently, against a guard's process."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator

import pytest
from tests.guard.conftest import KEYS
from tests.guard.raw_sockets import Process, Recorder, exchanged, guard_process, statuses

WHO = f"Content-Type: application/json\r\nX-API-Key: {KEYS['alice']}\r\n".encode()
BODY = b'{"inputs": [[1.5, 3.5]]}'
HIDDEN = b"POST /hidden HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"
SECOND = b"POST /predict HTTP/1.1\r\nHost: a\r\n" + WHO + b"Content-Length: 24\r\n\r\n" + BODY
NESTED = b'{"inputs": [[1.5, 3.5]], "x": "%s"}' % HIDDEN.replace(b"\r\n", b"")
CHUNKED = b"18\r\n" + BODY + b"\r\n0\r\n\r\n"
assert len(BODY) == 24


def asked(
    fields: bytes,
    body: bytes = BODY,
    *,
    line: bytes = b"POST /predict HTTP/1.1",
    host: bytes = b"Host: a\r\n",
) -> bytes:
    return line + b"\r\n" + host + WHO + fields + b"\r\n\r\n" + body


def sized(**changes: bytes) -> bytes:
    return asked(b"Content-Length: 24", **changes)


LENGTHS = {
    "two lengths": asked(b"Content-Length: 24\r\nContent-Length: 25"),
    "a length twice": asked(b"Content-Length: 24\r\nContent-Length: 24"),
    "lengths in a list": asked(b"Content-Length: 24, 24"),
    "a length with a sign": asked(b"Content-Length: +24"),
    "a negative length": asked(b"Content-Length: -1"),
    "a length in hexadecimal": asked(b"Content-Length: 0x18"),
    "a length with a space": asked(b"Content-Length: 2 4"),
    "a length beyond 64 bits": asked(b"Content-Length: 18446744073709551640"),
    "no length's value": asked(b"Content-Length: "),
    "length and coding": asked(b"Content-Length: 24\r\nTransfer-Encoding: chunked", CHUNKED),
    "coding and length": asked(b"Transfer-Encoding: chunked\r\nContent-Length: 24", CHUNKED),
    "a space before the colon": asked(b"Transfer-Encoding : chunked", CHUNKED),
    "a length with a space before the colon": asked(b"Content-Length : 24"),
}
CODINGS = {
    "two codings": asked(b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", CHUNKED),
    "chunked and identity": asked(b"Transfer-Encoding: chunked, identity", CHUNKED),
    "identity and chunked": asked(b"Transfer-Encoding: identity, chunked", CHUNKED),
    "an unknown coding": asked(b"Transfer-Encoding: xchunked", CHUNKED),
    "a coding after a tab": asked(b"Transfer-Encoding:\x0bchunked", CHUNKED),
    "a coding in quotes": asked(b'Transfer-Encoding: "chunked"', CHUNKED),
    "a coding of an older version": asked(
        b"Transfer-Encoding: chunked", CHUNKED, line=b"POST /predict HTTP/1.0"
    ),
    "a chunk's size in 0x": asked(b"Transfer-Encoding: chunked", b"0x18\r\n" + BODY),
    "a chunk's negative size": asked(b"Transfer-Encoding: chunked", b"-1\r\n" + BODY),
    "a chunk's size beyond 64 bits": asked(
        b"Transfer-Encoding: chunked", b"10000000000000018\r\n" + BODY
    ),
    "a chunk without its end": asked(
        b"Transfer-Encoding: chunked", b"18\r\n" + BODY + b"0\r\n\r\n"
    ),
    "a length in a trailer": asked(
        b"Transfer-Encoding: chunked", CHUNKED[:-2] + b"Content-Length: 9\r\n\r\n"
    ),
    "chunks with bare line feeds": asked(
        b"Transfer-Encoding: chunked", b"18\n" + BODY + b"\n0\n\n"
    ),
}
LINES = {
    "a folded field": asked(b"X-A: b\r\n Transfer-Encoding: chunked\r\nContent-Length: 24"),
    "a folded length": asked(b"Content-Length:\r\n 24"),
    "a folded first field": asked(b"Content-Length: 24", host=b" X: a\r\nHost: a\r\n"),
    "bare line feeds": sized().replace(b"\r\n", b"\n"),
    "a bare line feed in a head": asked(b"X-A: b\nContent-Length: 24"),
    "a bare carriage return in a head": asked(b"X-A: b\rContent-Length: 24"),
    "a field without a colon": asked(b"Content-Length 24\r\nContent-Length: 24"),
    "a field without a name": asked(b": a\r\nContent-Length: 24"),
    "a space in a name": asked(b"X A: b\r\nContent-Length: 24"),
    "a null in a value": asked(b"X-A: b\0c\r\nContent-Length: 24"),
    "a null in a name": asked(b"X\0A: b\r\nContent-Length: 24"),
    "a version of its own": sized(line=b"POST /predict HTTP/9.9"),
    "no version": sized(line=b"POST /predict"),
    "the preface of HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "a method in small letters": sized(line=b"post /predict HTTP/1.1"),
}
HOSTS = {
    "no host": sized(host=b""),
    "two hosts": sized(host=b"Host: a\r\nHost: b\r\n"),
    "a host twice": sized(host=b"Host: a\r\nHost: a\r\n"),
    "an empty host": sized(host=b"Host: \r\n"),
    "hosts in a list": sized(host=b"Host: a, b\r\n"),
    "a host with a user": sized(host=b"Host: a@b\r\n"),
    "a host with a path": sized(host=b"Host: a/b\r\n"),
    "a host with a space": sized(host=b"Host: a b\r\n"),
    "a host with a port that is none": sized(host=b"Host: a:b\r\n"),
    "a host in the target's place": sized(host=b"Host: http://a/\r\n"),
}
TARGETS = {
    "an encoded letter": sized(line=b"POST /%70redict HTTP/1.1"),
    "an encoded slash": sized(line=b"POST /x%2f..%2fpredict HTTP/1.1"),
    "encoded dots": sized(line=b"POST /x/%2e%2e/predict HTTP/1.1"),
    "dots encoded twice": sized(line=b"POST /x/%252e%252e/predict HTTP/1.1"),
    "dots": sized(line=b"POST /x/../predict HTTP/1.1"),
    "a dot": sized(line=b"POST /./predict HTTP/1.1"),
    "two slashes": sized(line=b"POST //predict HTTP/1.1"),
    "a slash at the end": sized(line=b"POST /predict/ HTTP/1.1"),
    "a backslash": sized(line=b"POST /x\\..\\predict HTTP/1.1"),
    "a semicolon": sized(line=b"POST /predict;x=1 HTTP/1.1"),
    "a query": sized(line=b"POST /predict?raw=1 HTTP/1.1"),
    "a null": sized(line=b"POST /predict\0 HTTP/1.1"),
    "an encoded null": sized(line=b"POST /predict%00 HTTP/1.1"),
    "an encoded line's end": sized(line=b"POST /predict%0d%0aX:%20y HTTP/1.1"),
    "letters beyond ASCII": sized(line="POST /predictß HTTP/1.1".encode()),
    "an authority": sized(line=b"POST a:80 HTTP/1.1"),
    "an asterisk": sized(line=b"POST * HTTP/1.1"),
    "a tunnel": sized(line=b"CONNECT a:80 HTTP/1.1"),
    "a file": sized(line=b"POST file:///predict HTTP/1.1"),
    "a whole address with an encoded path": sized(line=b"POST http://b/%70redict HTTP/1.1"),
}
SIZES = {
    "another protocol": asked(
        b"Connection: upgrade\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\nContent-Length: 24"
    ),
    "a huge head": asked(b"X-A: " + b"b" * (1 << 20) + b"\r\nContent-Length: 24"),
    "many fields": asked(b"X-A: b\r\n" * 100_000 + b"Content-Length: 24"),
    "a huge target": sized(line=b"POST /" + b"a" * (1 << 20) + b" HTTP/1.1"),
    "a huge extension of a chunk": asked(
        b"Transfer-Encoding: chunked", b"18;" + b"a" * (1 << 20) + b"\r\n" + BODY + b"\r\n0\r\n\r\n"
    ),
    "a request in the place of a body": asked(b"Content-Length: %d" % len(SECOND), SECOND),
}
PASSED = {"host", "content-type", "content-length"} | {
    *("accept", "accept-encoding", "user-agent", "connection", "x-request-id"),  # the guard's own
}
REFUSED = {**LENGTHS, **CODINGS, **LINES, **HOSTS, **TARGETS, **SIZES}

SERVED = {
    "one": (sized(), [200]),
    "two, one after another": (sized() + sized(), [200, 200]),
    "one after one that was refused": (
        asked(b"Content-Length: 24", BODY[:-1] + b"]") + SECOND,
        [400, 200],
    ),
    "one that holds another": (
        asked(b"Content-Length: %d" % len(NESTED), NESTED),
        [422],
    ),
    "in chunks": (asked(b"Transfer-Encoding: chunked", CHUNKED), [200]),
    "in chunks, spelt otherwise": (asked(b"transfer-encoding: Chunked", CHUNKED), [200]),
    "with trailers": (
        asked(
            b"Transfer-Encoding: chunked", CHUNKED[:-2] + b"Host: b\r\nX-API-Key: dk_bob\r\n\r\n"
        ),
        [200],
    ),
    # RFC 9112, section 3.2.2: a server must take it, and its authority stands for the Host.
    "with a whole address": (sized(line=b"POST http://b/predict HTTP/1.1"), [200]),
    "with a fragment": (sized(line=b"POST /predict#x HTTP/1.1"), [200]),
    "with more spaces": (sized(line=b"POST  /predict  HTTP/1.1"), [200]),
    "with fields of one connection": (
        asked(
            b"Connection: X-API-Key\r\nTE: trailers\r\nExpect: 100-continue\r\nContent-Length: 24"
        ),
        [200],
    ),
}


@pytest.fixture(scope="module")
def upstream() -> Iterator[Recorder]:
    made = Recorder()
    yield made
    made.close()


@pytest.fixture(scope="module")
def guard(upstream: Recorder, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    with guard_process(tmp_path_factory.mktemp("smuggling"), upstream.url) as made:
        yield made


def settled(guard: Process, upstream: Recorder) -> tuple[int, int]:
    """Returns rows charged and requests that reached the upstream, when both stay as they are."""
    seen = [(guard.charged(), len(upstream.heads))]
    while len(seen) < 3 or len({*seen[-3:]}) > 1:
        time.sleep(0.01)
        seen.append((guard.charged(), len(upstream.heads)))
    return seen[-1]


@pytest.mark.medium
@pytest.mark.parametrize("name", REFUSED)
def test_what_could_be_read_otherwise_never_reaches_the_model(
    name: str, guard: Process, upstream: Recorder
) -> None:
    before = settled(guard, upstream)
    came = exchanged(guard.port, REFUSED[name] + HIDDEN, patience=0.5)
    assert all(400 <= status < 500 or status == 505 for status in statuses(came)), came
    assert settled(guard, upstream) == before
    assert not upstream.errors


@pytest.mark.medium
@pytest.mark.parametrize("name", SERVED)
def test_what_is_served_is_charged_once_and_reaches_the_model_once(
    name: str, guard: Process, upstream: Recorder
) -> None:
    before = settled(guard, upstream)
    raw, expected = SERVED[name]
    came = exchanged(guard.port, raw + HIDDEN, answers=len(expected) + 1)
    assert [one for one in statuses(came) if one != 100] == [*expected, 404]
    charged, reached = settled(guard, upstream)
    served = expected.count(200)
    assert (charged - before[0], reached - before[1]) == (served, served)
    for head in upstream.heads[len(upstream.heads) - served :]:
        assert (head.method, head.target) == ("POST", "/predict")
        assert head.of("host") == [upstream.url.removeprefix("http://")]
        assert head.of("content-length") == ["24"]
        assert {name for name, _ in head.fields} <= PASSED
    assert not upstream.errors


@pytest.mark.slow
def test_every_pair_is_charged_for_each_request_that_reaches_the_model(
    guard: Process, upstream: Recorder
) -> None:
    seconds = [sized(), *itertools.islice(REFUSED.values(), 4)]
    for first, second in itertools.product(REFUSED.values(), seconds):
        before = settled(guard, upstream)
        exchanged(guard.port, first + second + SECOND, patience=0.2)
        charged, reached = settled(guard, upstream)
        assert charged - before[0] == reached - before[1]
    assert {head.target for head in upstream.heads} <= {"/predict"}
    assert not upstream.errors
