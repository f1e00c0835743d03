"""Hostile clients beside honest ones: what these are left, and how the guard ends.

``python -m benchmarks.guard.operating.hostile PORT DEED ...`` is hostile until its input ends. The
model, hostile and honest clients are processes of their own, so that they share a machine and
nothing else.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import aiohttp
import orjson

from benchmarks.claims import Claim, Table, tell
from benchmarks.guard.servers import Running, free_port, guard_running
from darkroom.guard.api_keys import hashed
from darkroom.guard.http.requests import Receive, Scope, Send

KEYS = {"honest": "dk_honest", "hostile": "dk_hostile"}
HONEST, HOSTILE = 8, 120
"""Connections: of honest clients, and of each hostile one."""

THINKING = 0.02
"""Seconds that the model takes for an answer, so that places count and not the processor."""

BETWEEN, FLOODS = 0.05, "DARKROOM_HOSTILE_FLOODS"
"""Seconds between two pieces of a stream, as language models write, and the variable that says that
there are none."""

STOP, STREAMS = 2, 50
"""Seconds that the guard has for its end, and streams that nobody reads meanwhile."""

ROW = orjson.dumps({"inputs": [[1.5, 3.5]]})
CHAT = json.dumps(
    {"model": "m", "messages": [{"role": "user", "content": "a"}], "stream": True}
).encode()
EVENT = json.dumps(
    {"id": "chatcmpl-1", "choices": [{"index": 0, "delta": {"content": "x" * 2000}}]}
).encode()


async def model(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers scores after a while, and streams of events without an end."""
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            await send({"type": f"{message['type']}.complete"})
            if message["type"] == "lifespan.shutdown":
                return
    while (await receive()).get("more_body"):
        pass
    streams = "chat" in scope["path"]
    pause = 0.0 if os.environ.get(FLOODS) else BETWEEN
    kind = b"text/event-stream" if streams else b"application/json"
    start = {"type": "http.response.start", "status": 200, "headers": [(b"content-type", kind)]}
    if streams:
        await send(start)
        for _ in range(20_000):
            part = b"data: " + EVENT + b"\n\n"
            await send({"type": "http.response.body", "body": part, "more_body": True})
            await asyncio.sleep(pause)
    else:
        await asyncio.sleep(THINKING)
        await send(start)
    await send({"type": "http.response.body", "body": b'{"scores": [[0.25, 0.75]]}'})


def _head(path: str, client: str | None, length: int, method: str = "POST") -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "Host: guard", f"Content-Length: {length}"]
    lines += ["Content-Type: application/json"] if method == "POST" else []
    lines += [] if client is None else [f"X-API-Key: {KEYS[client]}"]
    return "\r\n".join([*lines, "", ""]).encode()


class Deed(NamedTuple):
    """What a hostile client does on each of its connections.

    Attributes:
        name: In a few words.
        opening: The bytes that it sends at once.
        again: Those that it sends ten times a second afterwards; none to send no more.
    """

    name: str
    opening: bytes
    again: bytes = b""


DEEDS = [
    Deed("one key: bodies that trickle", _head("/predict", "hostile", 10_000) + b"{", b" "),
    Deed(
        "one key: streams that nobody reads",
        _head("/v1/chat/completions", "hostile", len(CHAT)) + CHAT,
    ),
    Deed("no key: bodies that trickle", _head("/predict", None, 10_000) + b"{", b" "),
    Deed("no key: heads that trickle", b"POST /predict HTTP/1.1\r\nHost: guard\r\n", b"X-A: b\r\n"),
    Deed("no key: GET /health", _head("/health", None, 0, "GET"), _head("/health", None, 0, "GET")),
    Deed(
        "no key: refused again and again",
        _head("/predict", None, len(ROW)) + ROW,
        _head("/predict", None, len(ROW)) + ROW,
    ),
]


TOGETHER = "all of them at once, with a key and with none"


def hostile_claims(*, quick: bool) -> tuple[list[Claim], list[Table]]:
    """Measures honest throughput beside each hostile client, and the end with streams unread.

    Args:
        quick: Whether to time for a shorter while.
    """
    seconds, repeats = (1.0, 3) if quick else (2.0, 5)
    with tempfile.TemporaryDirectory(prefix="darkroom-hostile-") as name:
        with _model() as url, guard_running(Path(name), policy(), url) as running:
            table = asyncio.run(_measured(running, seconds, repeats))
        tell(f"guard: an end with {STREAMS} streams unread")
        with _model(**{FLOODS: "1"}) as url:
            ended = _end(Path(name), url)
    claims = [
        Claim(
            f"guard: honest throughput beside {len(DEEDS)} hostile clients, least share of that "
            "without",
            0.8,
            min(float(row[3]) for row in table),  # type: ignore[arg-type]
        ),
        Claim(
            f"guard: seconds from SIGTERM to its end, {STREAMS} unread streams, deadline {STOP}",
            STOP + 1.0,
            ended,
            at_most=True,
        ),
    ]
    columns = ("hostile client", "connections", "honest requests/s", "share", "refused")
    title = (
        f"Honest clients ({HONEST} connections, a model that takes {THINKING:g} s) beside hostile"
    )
    return claims, [Table(title, columns, table)]


def policy() -> dict[str, object]:
    """Returns the words of the policy, as the docs have them."""
    return {
        "guard": {"model": "hostile"},
        "client": [{"name": name, "key": hashed(key)} for name, key in KEYS.items()],
        "wire": [{"name": "json", "route": "/predict"}, {"name": "openai"}],
        "budget": [{"name": "daily", "per": "client", "rows": 10**6}],
        "limits": {"stop_seconds": STOP, "send_seconds": 5.0},
    }


async def _measured(running: Running, seconds: float, repeats: int) -> list[list[object]]:
    found: dict[str, list[tuple[float, float, int]]] = {}
    await _asking(running.port, 0.5)  # once for nothing, to warm up
    for _ in range(repeats):
        for name, deeds in [*((deed.name, [deed]) for deed in DEEDS), (TOGETHER, DEEDS)]:
            tell(f"guard: beside {name}")
            alone, _ = await _asking(running.port, seconds)
            with _done(running.port, deeds):
                beside, refused = await _asking(running.port, seconds)
            again, _ = await _asking(running.port, seconds)
            alone = (alone + again) / 2
            found.setdefault(name, []).append((beside, beside / alone, refused))
    return [
        [
            name,
            HOSTILE,
            sorted(rate for rate, _, _ in many)[len(many) // 2],
            sorted(share for _, share, _ in many)[len(many) // 2],
            sum(refused for _, _, refused in many),
        ]
        for name, many in found.items()
    ]


async def _asking(port: int, seconds: float) -> tuple[float, int]:
    """Asks as an honest client for a while; returns answers a second, and how many were refused."""
    until = time.monotonic() + seconds
    head = {"x-api-key": KEYS["honest"], "content-type": "application/json"}
    counts = {True: 0, False: 0}

    async def one(session: aiohttp.ClientSession) -> None:
        while time.monotonic() < until:
            try:
                async with session.post("/predict", data=ROW, headers=head) as answer:
                    await answer.read()
                    counts[answer.status == 200] += 1
            except aiohttp.ClientError:
                counts[False] += 1

    async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session:
        await asyncio.gather(*(one(session) for _ in range(HONEST)))
    return counts[True] / seconds, counts[False]


@contextmanager
def _model(**variables: str) -> Iterator[str]:
    """Serves the model from a process of its own."""
    port = free_port()
    command = [sys.executable, "-m", "uvicorn", f"{__name__}:model", "--port", str(port)]
    command += ["--log-level", "warning", "--no-access-log"]
    process = subprocess.Popen(command, env={**os.environ, **variables})
    try:
        while True:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            assert process.poll() is None, "the model ended"
            time.sleep(0.05)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


@contextmanager
def _done(port: int, deeds: list[Deed]) -> Iterator[None]:
    """Does something hostile on many connections, from a process of its own."""
    command = [sys.executable, "-m", __name__, str(port), *(deed.name for deed in deeds)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdout.readline()  # once all connections are there
        try:
            yield
        finally:
            process.stdin.close()


def _keep_doing(port: int, deeds: list[Deed]) -> None:
    """Holds connections until it is over; one that is ended is opened anew, ten times a second."""
    every = [deeds[place % len(deeds)] for place in range(HOSTILE)]
    lines = [_connected(port, deed) for deed in every]
    print("held", flush=True)
    while not select.select([sys.stdin], [], [], 0.1)[0]:
        for place, (line, deed) in enumerate(zip(lines, every, strict=True)):
            try:
                if deed.again:
                    line.send(deed.again)
            except BlockingIOError:
                continue
            except OSError:
                line.close()
                with contextlib.suppress(OSError):
                    lines[place] = _connected(port, deed)
    for line in lines:
        line.close()


def _connected(port: int, deed: Deed) -> socket.socket:
    line = socket.socket()
    line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    line.connect(("127.0.0.1", port))
    line.setblocking(False)
    line.send(deed.opening)
    return line


def _end(folder: Path, url: str) -> float:
    """Returns the seconds that the guard takes to end while nobody reads its streams."""
    stream = DEEDS[1]
    limits = {"limits": {"stop_seconds": STOP, "send_seconds": 60.0, "at_once": 2 * STREAMS}}
    with guard_running(folder / "end", {**policy(), **limits}, url) as running:
        lines = [_connected(running.port, stream) for _ in range(STREAMS)]
        time.sleep(0.5)
        began = time.monotonic()
        os.kill(running.process.pid, signal.SIGTERM)
        running.process.wait(STOP + 30)
        took = time.monotonic() - began
        for line in lines:
            line.close()
    return took


if __name__ == "__main__":
    _keep_doing(int(sys.argv[1]), [deed for deed in DEEDS if deed.name in sys.argv[2:]])
